import json

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

from callbacks import schedules
from callbacks.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseSquareRoot,
    InverseTime,
    Linear,
    OneCycle,
    Schedule,
    StepDecay,
    scale_learning_rate,
)

# One of each, with every argument other than its default.
ALL = [
    Constant(warmup=2),
    StepDecay(30, factor=0.3, warmup=2),
    StepDecay(boundaries=(3, 5.5), factor=0.3, warmup=2),
    Cosine(90, minimum=0.1, cycles=2, growth=1.5, warmup=2),
    Linear(90, minimum=0.1, warmup=2),
    Exponential(0.1, warmup=2),
    InverseTime(0.1, warmup=2),
    InverseSquareRoot(3, warmup=2),
    OneCycle(90, peak=0.4, initial=0.2, final=0.1, warmup=2),
]


TIMES = np.linspace(0, 100, 501)


def values(schedule, times=TIMES):
    return keras.ops.convert_to_numpy(schedule(times))


def test_there_is_one_of_each():
    public = {getattr(schedules, name) for name in schedules.__all__}
    classes = {cls for cls in public if isinstance(cls, type)} - {Schedule}
    assert {type(schedule) for schedule in ALL} == classes


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_a_config_makes_the_same_schedule_again(schedule):
    config = json.loads(json.dumps(schedule.get_config()))
    again = type(schedule).from_config(config)
    assert again.get_config() == schedule.get_config()
    np.testing.assert_array_equal(values(again), values(schedule))


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_keras_saves_it_under_our_name(schedule):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(schedule)))
    assert config["registered_name"] == f"kerascope>{type(schedule).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert repr(again) == repr(schedule)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_in_an_optimizer_it_gives_the_rate_at_every_step(schedule):
    rate = schedule.as_keras(0.25, steps_per_unit=7)
    steps = range(0, 701, 20)
    expected = 0.25 * values(schedule, np.array(steps) / 7)
    np.testing.assert_allclose([float(rate(step)) for step in steps], expected, 1e-5)


@pytest.mark.parametrize("steps_per_unit", [1, 3, 41, 391])
def test_a_drop_comes_at_the_first_step_of_its_epoch(steps_per_unit):
    rate = StepDecay(2, factor=0.5).as_keras(1.0, steps_per_unit=steps_per_unit)
    last = [float(rate(2 * steps_per_unit * i - 1)) for i in range(1, 5)]
    first = [float(rate(2 * steps_per_unit * i)) for i in range(1, 5)]
    assert last == [1, 0.5, 0.25, 0.125]
    assert first == [0.5, 0.25, 0.125, 0.0625]


def test_a_model_saved_with_it_has_it_again(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    rate = Cosine(4, warmup=1).as_keras(0.5, steps_per_unit=2)
    model.compile(keras.optimizers.SGD(rate), "mse")
    x, y = np.ones((8, 2)), np.zeros(8)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert (
        again.get_config()["learning_rate"]
        == (model.optimizer.get_config()["learning_rate"])
    )
    # After 2 of 4 epochs: a third of the way from 1 to the end.
    assert float(again.learning_rate) == pytest.approx(0.5 * 0.75)


def test_an_optimizer_steps_by_it():
    rate = Linear(4, warmup=2).as_keras(0.5)
    optimizer = keras.optimizers.SGD(rate)
    weight = keras.Variable(0.0, trainable=False)
    optimizer.build([weight])
    weights = [0.0]
    for _ in range(6):
        optimizer.apply([keras.ops.ones(())])
        weights.append(float(weight))
    np.testing.assert_allclose(-np.diff(weights), [0, 0.25, 0.5, 0.25, 0, 0])


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_a_plot_shows_the_factors(schedule):
    figure = schedule.plot(50)
    (ax,) = figure.axes
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xdata()[[0, -1]], [0, 50])
    np.testing.assert_array_equal(
        line.get_ydata(), values(schedule, np.linspace(0, 50, 1001))
    )
    assert Constant().plot(50, ax=ax) is figure
    assert len(ax.get_lines()) == 2
    plt.close(figure)


def test_linear_scaling_rule():
    # Goyal et al. 2017: 0.1 for 256 images, 3.2 for 8192.
    rate = scale_learning_rate(0.1, batch_size=8192, reference_batch_size=256)
    assert rate == pytest.approx(3.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(warmup=-1), "`warmup`. Expected a number >= 0. Received: w"),
        (lambda: Constant(warmup=True), "`warmup`. Expected a number >= 0"),
        (lambda: Cosine(-90), "`length`. Expected a number > 0. Received: length=-90"),
        (lambda: Cosine(float("nan")), "`length`. Expected a number > 0"),
        (lambda: Cosine("90"), "`length`. Expected a number > 0"),
        (
            lambda: Cosine(90, warmup=100),
            r"`warmup`. Expected a number below `length`, which is 90 .*=100",
        ),
        (lambda: Cosine(90, warmup=90), "`warmup`. Expected a number below `length`"),
        (lambda: Cosine(90, minimum=1.0), r"`minimum`. Expected a float in \[0, 1\)"),
        (lambda: Cosine(90, cycles=0), "`cycles`. Expected an integer >= 1"),
        (lambda: Cosine(90, growth=0), "`growth`. Expected a number > 0"),
        (lambda: Linear(0), "`length`. Expected a number > 0"),
        (lambda: Linear(5, warmup=6), "`warmup`. Expected a number below `length`"),
        (lambda: Linear(5, minimum=-1), r"`minimum`. Expected a float in \[0, 1\)"),
        (
            lambda: StepDecay(),
            "`every` and `boundaries`. Expected one of them. Received",
        ),
        (
            lambda: StepDecay(3, boundaries=(3,)),
            "`every` and `boundaries`. Expected one of",
        ),
        (
            lambda: StepDecay(0),
            "`every`. Expected a number > `warmup`, which is 0. Rec",
        ),
        (
            lambda: StepDecay(5, warmup=5),
            "`every`. Expected a number > `warmup`, which is 5",
        ),
        (
            lambda: StepDecay(boundaries=(60, 30)),
            r"`boundaries`. Expected rising numbers > .*Received: .*\(60, 30\)",
        ),
        (lambda: StepDecay(boundaries=(3, 3)), "`boundaries`. Expected rising numbers"),
        (lambda: StepDecay(boundaries=()), "`boundaries`. Expected rising numbers"),
        (lambda: StepDecay(boundaries=30), "`boundaries`. Expected rising numbers"),
        (lambda: StepDecay(boundaries="30"), "`boundaries`. Expected rising numbers"),
        (lambda: StepDecay(boundaries=(3,), warmup=4), "`boundaries`. Expected rising"),
        (lambda: StepDecay(30, factor=0), "`factor`. Expected a number > 0. Received"),
        (lambda: Exponential(0), "`decay`. Expected a number > 0"),
        (lambda: Exponential(1, warmup=-1), "`warmup`. Expected a number >= 0"),
        (lambda: InverseTime(-0.1), "`decay`. Expected a number > 0"),
        (lambda: InverseSquareRoot(), "`timescale`. Expected a number > 0 where there"),
        (lambda: InverseSquareRoot(0), "`timescale`. Expected a number > 0"),
        (lambda: OneCycle(-1), "`length`. Expected a number > 0"),
        (lambda: OneCycle(9, peak=1), r"`peak`. Expected a float in \(0, 1\)"),
        (lambda: OneCycle(9, initial=1), r"`initial`. Expected a float in \[0, 1\)"),
        (lambda: OneCycle(9, final=-1), r"`final`. Expected a float in \[0, 1\)"),
        (lambda: Constant().as_keras(0), "`learning_rate`. Expected a number > 0"),
        (lambda: Constant().as_keras(1, 0), "`steps_per_unit`. Expected an integer"),
        (lambda: Constant().plot(0), "`length`. Expected a number > 0"),
        (
            lambda: schedules.schedule.Schedule.as_keras("cosine", 1.0),
            "`schedule`. Expected a schedule of callbacks.schedules. Received",
        ),
        (
            lambda: scale_learning_rate(0, batch_size=1, reference_batch_size=1),
            "`learning_rate`. Expected a number > 0",
        ),
        (
            lambda: scale_learning_rate(1, batch_size=0, reference_batch_size=1),
            "`batch_size`. Expected an integer >= 1",
        ),
        (
            lambda: scale_learning_rate(1, batch_size=1, reference_batch_size=0.5),
            "`reference_batch_size`. Expected an integer >= 1",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_former_name_of_step_decay_warns():
    with pytest.warns(DeprecationWarning, match="now called `StepDecay`"):
        assert schedules.Step is StepDecay


def test_files_with_the_former_name_of_step_decay_can_be_loaded():
    config = keras.saving.serialize_keras_object(StepDecay(3, factor=0.3, warmup=2))
    config |= {"class_name": "Step", "registered_name": "kerascope>Step"}
    config["module"] = "callbacks.schedules.step"
    loaded = keras.saving.deserialize_keras_object(config)
    assert type(loaded) is StepDecay
    assert loaded.get_config() == {
        "every": 3.0,
        "boundaries": None,
        "factor": 0.3,
        "warmup": 2.0,
    }
