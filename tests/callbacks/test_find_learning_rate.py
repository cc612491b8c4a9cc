import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from callbacks import find_learning_rate
from callbacks.learning_rate_sweep import RangeTest
from zoo import datasets

SHORT = {"min_learning_rate": 1e-4, "max_learning_rate": 1e-1, "steps": 12}


def quadratic_model(weight=2.0, optimizer=None):
    """A single weight w, whose loss on `unit_batches` is w^2."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False)], name="quadratic"
    )
    model.set_weights([np.full((1, 1), weight)])
    model.compile(optimizer or keras.optimizers.SGD(0.125), loss="mse")
    return model


def unit_batches(number=3):
    return [(np.ones((4, 1)), np.zeros((4, 1)))] * number


def quadratic_losses(rates, weight=2.0):
    """The loss before each step of w <- w - rate * 2w."""
    before = weight * np.cumprod(np.concatenate([[1.0], 1 - 2 * rates[:-1]]))
    return before**2


def smooth(losses, beta):
    """The average with weights beta^age, straight from its definition."""
    return np.array(
        [
            np.average(losses[: t + 1], weights=beta ** np.arange(t, -1, -1.0))
            for t in range(len(losses))
        ]
    )


def rich_model(optimizer):
    """Has all that a training step changes: weights, moments, statistics, seeds.

    Dropout is seeded, since on PyTorch it draws from the global generator without.
    """
    model = keras.Sequential(
        [
            keras.layers.GaussianNoise(0.1, seed=1),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=2),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, loss="mse", metrics=["mae"])
    return model


def batches():
    x = np.random.default_rng(0).standard_normal((32, 3)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    return [(x[start : start + 8], y[start : start + 8]) for start in (0, 8, 16, 24)]


def state(model):
    variables = (
        *model.variables,
        *model.optimizer.variables,
        *model.metrics_variables,
    )
    return [
        (variable.path, np.array(keras.ops.convert_to_numpy(variable)))
        for variable in variables
    ]


def assert_equal_states(actual, expected):
    assert [path for path, _ in actual] == [path for path, _ in expected]
    for (path, value), (_, other) in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(value, other, err_msg=path)


OPTIMIZERS = [
    lambda: keras.optimizers.Adam(0.01),
    lambda: keras.optimizers.SGD(0.01, momentum=0.9, use_ema=True),
    lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
]


# What it measures


@pytest.mark.parametrize("smoothing", [0.0, 0.9])
def test_losses_are_those_of_sgd_at_the_rates_of_the_sweep(smoothing):
    test = find_learning_rate(
        quadratic_model(),
        unit_batches(),
        min_learning_rate=1e-3,
        max_learning_rate=0.5,
        steps=50,
        smoothing=smoothing,
    )
    rates = np.logspace(-3, np.log10(0.5), 50)
    np.testing.assert_allclose(test.learning_rates, rates, rtol=1e-12)
    expected = quadratic_losses(rates)
    np.testing.assert_allclose(test.losses, expected, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(
        test.smoothed_losses, smooth(test.losses, smoothing), rtol=1e-10
    )
    assert not test.diverged


@pytest.mark.parametrize("factor", [2.0, 50.0])
def test_it_stops_when_the_smoothed_loss_is_a_multiple_of_its_lowest(factor):
    test = find_learning_rate(
        quadratic_model(),
        unit_batches(),
        min_learning_rate=1e-2,
        max_learning_rate=100.0,
        steps=60,
        divergence_factor=factor,
    )
    losses = quadratic_losses(np.logspace(-2, 2, 60))
    smoothed = smooth(losses, 0.9)
    beyond = smoothed > factor * np.minimum.accumulate(smoothed)
    assert test.diverged
    assert len(test.losses) == np.argmax(beyond) + 1 < 60


def test_it_stops_at_a_loss_that_is_not_finite():
    good, bad = unit_batches()[0], (np.full((4, 1), np.nan), np.zeros((4, 1)))
    model = quadratic_model()
    test = find_learning_rate(model, [good, good, bad, good], **SHORT)
    assert test.diverged
    assert len(test.losses) == 3
    assert np.isnan(test.losses[-1])
    assert model.get_weights()[0][0, 0] == 2.0


def assert_it_suggests_nothing(test, fault):
    assert fault in test.fault
    assert test.steepest is test.tenth_of_minimum is None
    assert f"no rate suggested, because {test.fault[:-1]}>" in repr(test)


def relu_model():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, "relu", name="hidden"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(keras.optimizers.SGD(0.01), loss="mse")
    return model


def test_new_weights_have_no_fault():
    assert find_learning_rate(relu_model(), batches(), **SHORT).fault == ""


def test_weights_without_a_gradient_suggest_nothing():
    model = relu_model()
    model.layers[0].bias.assign(np.full(16, -1e3))  # every unit is dead
    test = find_learning_rate(model, batches(), **SHORT)
    assert_it_suggests_nothing(test, "no gradient reaches the kernels")


def test_weights_that_have_diverged_suggest_nothing():
    model = relu_model()
    model.set_weights([20 * weight for weight in model.get_weights()])
    test = find_learning_rate(model, batches(), **SHORT)
    assert_it_suggests_nothing(test, "times as large as new ones")


def test_weights_that_are_not_finite_are_an_error_that_names_them():
    model = relu_model()
    kernel = model.layers[0].kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match="Received: NaN or infinity in hidden\n"):
        find_learning_rate(model, batches(), **SHORT)


def test_a_first_loss_that_is_not_finite_is_an_error():
    bad = (np.full((4, 1), np.nan), np.zeros((4, 1)))
    model = quadratic_model()
    with pytest.raises(ValueError, match="Received: loss=nan\nLook for the cause"):
        find_learning_rate(model, [bad], **SHORT)
    assert model.get_weights()[0][0, 0] == 2.0


def test_a_loss_below_zero_is_no_divergence():
    model = quadratic_model()
    model.compile("sgd", loss=lambda y_true, y_pred: y_pred[:, 0] - 10.0)
    assert not find_learning_rate(model, unit_batches(), **SHORT).diverged


def test_a_short_dataset_is_read_again():
    x = np.arange(1.0, 4.0)[:, None]
    seen = []

    class Batches:
        def __iter__(self):
            for row in x:
                seen.append(float(row[0]))
                yield row[None], np.zeros((1, 1))

    find_learning_rate(quadratic_model(), Batches(), divergence_factor=1e6, **SHORT)
    assert seen == [1.0, 2.0, 3.0] * 4


def test_weights_of_examples_count():
    x, y = unit_batches()[0]
    double = find_learning_rate(quadratic_model(), [(x, y, np.full(4, 2.0))], **SHORT)
    single = find_learning_rate(quadratic_model(), [(x, y)], **SHORT)
    assert double.losses[0] == 2 * single.losses[0] == 8.0


def test_it_reads_what_datasets_give():
    x = np.random.default_rng(0).random((40, 3))
    data = datasets.from_arrays((x, x.sum(axis=1)), batch_size=8)
    model = rich_model("adam")
    assert len(find_learning_rate(model, data.train, **SHORT).losses) == 12


def test_it_reads_tf_data_on_every_backend():
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    dataset = tf.data.Dataset.from_tensor_slices((np.ones((8, 1)), np.zeros((8, 1))))
    test = find_learning_rate(quadratic_model(), dataset.batch(4), **SHORT)
    np.testing.assert_allclose(
        test.losses, quadratic_losses(test.learning_rates), rtol=1e-4
    )


# What it leaves behind


@pytest.mark.heavy
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_model_in_training_is_left_bit_for_bit_as_it_was(optimizer):
    model = rich_model(optimizer())
    for x, y in batches():
        model.train_on_batch(x, y)
    before = state(model)
    find_learning_rate(model, batches(), **SHORT)
    assert_equal_states(state(model), before)


@pytest.mark.heavy
def test_training_goes_on_as_if_nothing_had_been():
    def train(sweep):
        keras.utils.set_random_seed(1)
        model = rich_model(keras.optimizers.Adam(0.01))
        if sweep:  # before anything is built
            find_learning_rate(model, batches(), **SHORT)
        (x, y), *_ = batches()
        model.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
        return model

    with_sweep, without = train(True), train(False)
    for ours, theirs in zip(
        (*with_sweep.variables, *with_sweep.optimizer.variables),
        (*without.variables, *without.optimizer.variables),
        strict=True,
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
        )


@pytest.mark.heavy
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_in_the_data_it_is_as_it_was(error):
    class Broken:
        def __iter__(self):
            yield from batches()
            raise error

    model = rich_model("adam")
    model.fit(*batches()[0], verbose=0)
    before = state(model)
    with pytest.raises(error):
        find_learning_rate(model, Broken(), **SHORT)
    assert_equal_states(state(model), before)


@pytest.mark.heavy
def test_after_an_interrupt_of_a_step_it_is_as_it_was():
    """On JAX such a step has already given away the buffers of the variables."""
    model = rich_model("adam")
    model.fit(*batches()[0], verbose=0)
    before = state(model)
    step, calls = model.train_function, []

    def interrupted(*arguments):
        result = step(*arguments)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return result

    model.train_function = interrupted
    with pytest.raises(KeyboardInterrupt):
        find_learning_rate(model, batches(), **SHORT)
    model.train_function = step
    assert_equal_states(state(model), before)

    class Look(keras.callbacks.Callback):
        """Asks for the model, upon which JAX would bring back a pending state."""

        def on_train_begin(self, logs=None):
            self.seen = state(self.model)

    look = Look()
    model.fit(*batches()[0], verbose=0, callbacks=[look])
    assert_equal_states(look.seen, before)


# What it suggests


def fall_and_rise():
    """Falls from 2 to 1 around 1e-3 and rises from 1e-1 on: steepest at 1e-3."""
    rates = np.geomspace(1e-6, 1, 121)
    decades = np.log10(rates)
    losses = 1.5 - np.tanh(2 * (decades + 3)) / 2 + np.maximum(decades + 1, 0) ** 2 * 9
    return rates, losses


def test_suggestions_are_the_steepest_descent_and_a_tenth_of_the_minimum():
    rates, losses = fall_and_rise()
    test = RangeTest(rates, losses, losses, smoothing=0.9, diverged=False)
    np.testing.assert_allclose(test.steepest, 1e-3, rtol=1e-6)
    lowest = rates[np.argmin(losses)]
    assert 0.09 < lowest < 0.2
    np.testing.assert_allclose(test.tenth_of_minimum, lowest / 10)


def test_the_run_in_of_the_average_suggests_nothing():
    rates, losses = fall_and_rise()
    losses[:3] = 9.0, 4.0, 0.5  # the steepest fall, and the lowest loss
    test = RangeTest(rates, losses, losses, smoothing=0.9, diverged=False)
    np.testing.assert_allclose(test.steepest, 1e-3, rtol=1e-6)
    assert test.tenth_of_minimum > 1e-3


def test_a_last_loss_that_is_not_finite_suggests_nothing():
    rates, losses = fall_and_rise()
    losses[-1] = np.nan
    test = RangeTest(rates, losses, losses, smoothing=0.9, diverged=True)
    np.testing.assert_allclose(test.steepest, 1e-3, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 5, 30])
def test_without_a_fall_there_is_no_suggestion(length):
    rates = np.geomspace(1e-3, 1, length)
    losses = np.linspace(1.0, 9.0, length)
    test = RangeTest(rates, losses, losses, smoothing=0.9, diverged=True)
    assert test.steepest is None
    assert test.tenth_of_minimum is None
    assert "no rate suggested, because the loss does not fall by clearly" in repr(test)
    plt.close(test.plot())


def range_test_of(losses):
    rates = np.geomspace(1e-6, 1, len(losses))
    smoothed = pd.Series(losses).ewm(alpha=0.1).mean().to_numpy()
    return RangeTest(rates, losses, smoothed, smoothing=0.9, diverged=False)


@pytest.mark.parametrize("freedom", [2, 1000])  # heavy tails, and a normal distribution
def test_noise_suggests_nothing(freedom):
    noise = np.random.default_rng(0).standard_t(freedom, size=(30, 200))
    assert [range_test_of(row).steepest for row in noise] == 30 * [None]


def test_noise_before_the_fall_suggests_nothing():
    generator = np.random.default_rng(0)
    for _ in range(20):
        losses = generator.exponential(size=200)
        losses[120:170] *= 0.1
        losses[170:] *= 30
        test = range_test_of(losses)
        start, stop = test.learning_rates[[120, 170]]
        assert start / 10 < test.steepest < stop
        assert start / 100 < test.tenth_of_minimum < stop / 10


def test_a_frame_has_a_row_for_every_step():
    test = find_learning_rate(quadratic_model(), unit_batches(), **SHORT)
    frame = test.to_frame()
    assert list(frame.columns) == ["learning_rate", "loss", "smoothed_loss"]
    assert frame["learning_rate"].iloc[[0, -1]].tolist() == [1e-4, 1e-1]
    assert frame["loss"].tolist() == test.losses.tolist()


def test_the_plot_marks_both_suggestions_on_a_log_axis():
    rates, losses = fall_and_rise()
    test = RangeTest(rates, losses, losses, smoothing=0.9, diverged=False)
    figure, ax = plt.subplots()
    assert test.plot(ax) is figure
    assert ax.get_xscale() == "log"
    marks = {line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2}
    assert marks == {test.steepest, test.tenth_of_minimum}
    low, high = ax.get_ylim()
    assert low < losses.min() < 2.0 < high < losses[-1]  # the fall fills it
    plt.close(figure)


# Bad input


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("min_learning_rate", 0, "a number > 0"),
        ("min_learning_rate", "1e-7", "a number > 0"),
        ("max_learning_rate", float("inf"), "a number > 0"),
        ("max_learning_rate", 1e-7, "more than min_learning_rate=1e-07"),
        ("steps", 1, "an integer >= 2"),
        ("smoothing", 1.0, "a float in .0, 1."),
        ("divergence_factor", 1, "a finite number > 1"),
        ("dataset", [], "at least one batch in every iteration"),
        ("dataset", unit_batches()[0], "an iterable of batches .*model, x, y"),
        ("dataset", np.ones((4, 1)), "an iterable of batches"),
        ("model", "mlp", "a compiled keras.Model"),
    ],
)
def test_bad_arguments(argument, value, expected):
    arguments = {"model": quadratic_model(), "dataset": unit_batches()}
    message = rf"(?s)Invalid value for argument `{argument}`. Expected {expected}"
    with pytest.raises(ValueError, match=message):
        find_learning_rate(**{**arguments, argument: value})


@pytest.mark.parametrize(
    ("x", "y"),
    [(np.ones((4, 1)), np.ones((3, 1))), (unit_batches(), np.ones((3, 1))), (1, 1)],
)
def test_arrays_of_different_lengths(x, y):
    with pytest.raises(ValueError, match="`y`. Expected arrays with as many examples"):
        find_learning_rate(quadratic_model(), x, y)


def test_arrays_give_the_result_of_their_shuffled_batches():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(70, 1))
    y = np.sort(x, axis=0)
    order = np.random.default_rng(0).permutation(70)
    parts = [order[:32], order[32:64]]  # the rest is left over
    expected = find_learning_rate(
        quadratic_model(), [(x[part], y[part]) for part in parts], **SHORT
    )
    given = find_learning_rate(quadratic_model(), x, y, **SHORT)
    np.testing.assert_array_equal(given.losses, expected.losses)
    one = find_learning_rate(quadratic_model(), x, y, batch_size=100, **SHORT)
    assert one.losses[0] == pytest.approx(np.mean((2 * x - y) ** 2), rel=1e-5)


def test_a_generator_that_ends_too_early():
    model = quadratic_model()
    with pytest.raises(ValueError, match="A generator can be read only once"):
        find_learning_rate(model, iter(unit_batches(5)), **SHORT)
    assert model.get_weights()[0][0, 0] == 2.0


def test_a_model_that_is_not_compiled():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="raw")
    with pytest.raises(ValueError, match="Received: model='raw'\nCall `model.compile"):
        find_learning_rate(model, unit_batches())


def test_an_optimizer_that_holds_a_schedule():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=10)
    model = quadratic_model(optimizer=keras.optimizers.Adam(schedule))
    with pytest.raises(ValueError, match="a float as learning rate.*\nCompile with a"):
        find_learning_rate(model, unit_batches())


# Models with steps or optimizers of their own


class OwnStep(keras.Model):
    """Has a second optimizer, and logs as it is told."""

    def __init__(self, name_of_loss="loss", uses_compiled=True):
        super().__init__()
        self.layer = keras.layers.Dense(1, use_bias=False)
        self.further = {"second": keras.optimizers.Adam(0.1)}
        self.name_of_loss, self.uses_compiled = name_of_loss, uses_compiled

    def call(self, x):
        return self.layer(x)

    def train_step(self, *arguments):
        logs = {self.name_of_loss: keras.ops.ones(())}
        if keras.backend.backend() == "jax":
            (weights, others, optimizer, metrics), _ = arguments
            if self.uses_compiled:
                weights, optimizer = self.optimizer.stateless_apply(
                    optimizer, weights, weights
                )
            return logs, (weights, others, optimizer, metrics)
        weights = self.trainable_variables
        used = [self.further["second"], *([self.optimizer] * self.uses_compiled)]
        for optimizer in used:
            optimizer.apply([keras.ops.ones_like(w) for w in weights], weights)
        return logs


def own_step(*, build=True, **arguments):
    model = OwnStep(**arguments)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model(unit_batches()[0][0])
    if build:
        model.further["second"].build(model.trainable_variables)
    return model


def test_a_loss_of_another_name_is_an_error_that_names_what_there_is():
    with pytest.raises(ValueError, match=r'as "loss". Received: model=\[.total_loss'):
        find_learning_rate(own_step(name_of_loss="total_loss"), unit_batches(), **SHORT)


def test_a_second_optimizer_is_left_as_it_was():
    model = own_step()
    model.train_on_batch(*unit_batches()[0])
    variables = [*model.variables, *model.further["second"].variables]
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    find_learning_rate(model, unit_batches(), **SHORT)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)


def test_a_second_optimizer_that_cannot_be_put_back_is_an_error():
    with pytest.raises(ValueError, match="further optimizers that are built"):
        find_learning_rate(own_step(build=False), unit_batches(), **SHORT)


def test_an_optimizer_that_is_not_used_is_an_error():
    model = own_step(uses_compiled=False)
    before = model.get_weights()
    with pytest.raises(ValueError, match="updates weights with the compiled optimizer"):
        find_learning_rate(model, unit_batches(), **SHORT)
    np.testing.assert_array_equal(model.get_weights(), before)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_so_is_a_model_that_trains_nothing():
    model = quadratic_model()
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no weight is trainable"):
        find_learning_rate(model, unit_batches(), **SHORT)


def test_a_model_without_one_optimizer():
    model = quadratic_model()
    model.compile(optimizer=None, loss="mse")
    with pytest.raises(ValueError, match="compiled with one optimizer"):
        find_learning_rate(model, unit_batches())
    if hasattr(keras.optimizers, "MultiOptimizer"):  # since Keras 3.13
        several = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1))
        model = quadratic_model(optimizer=keras.optimizers.MultiOptimizer(several))
        with pytest.raises(ValueError, match="compiled with one optimizer"):
            find_learning_rate(model, unit_batches())
