"""States of callbacks that a resumed training takes over, one by one."""

import pickle

import keras
import numpy as np
import pytest

import callbacks
from callbacks import ResumeTraining
from callbacks.schedules import Cosine, Linear
from zoo import datasets, mlp

EPOCHS = 3
STEPS = 5


class Interruption(Exception):
    pass


def build(optimizer, **options):
    keras.utils.set_random_seed(7)
    model = mlp((6,), 3, units=(8,), dropout=0.3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)
    return model


def fit(model, kept, epochs=EPOCHS, stop=None):
    """Trains, and is interrupted at the beginning of a step, or not."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(12 * STEPS, 6)).astype("float32")
    data = datasets.from_arrays(
        train=(x, generator.integers(0, 3, len(x))), batch_size=12, seed=3
    )
    steps = iter(range(stop or 0))

    def interrupt(batch, logs=None):
        if next(steps, None) is None:
            raise Interruption

    others = []
    if stop is not None:
        others = [keras.callbacks.LambdaCallback(on_train_batch_begin=interrupt)]
    arguments = {"epochs": epochs, "verbose": 0, "shuffle": False}
    try:
        model.fit(data.train, callbacks=[*kept, *others], **arguments)
    except Interruption:
        assert stop is not None
    return model.history.history


def momentum():
    return keras.optimizers.SGD(0.1, momentum=0.9)


CASES = {
    "plain": (momentum, {}),
    "accumulation": (
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2),
        {},
    ),
    "loss scale": (
        lambda: keras.optimizers.LossScaleOptimizer(
            momentum(), initial_scale=2.0**127, dynamic_growth_steps=3
        ),
        {},
    ),
    "several steps in a call": (momentum, {"steps_per_execution": 2}),
}


@pytest.mark.parametrize(
    "case",
    [
        "accumulation",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in CASES
            if name != "accumulation"
        ),
    ],
)
def test_monitors_and_schedules_count_on(case, tmp_path):
    make, options = CASES[case]

    def monitors():
        return [
            callbacks.ScheduleLearningRate(Cosine(EPOCHS, warmup=1)),
            callbacks.ScheduleMomentum(Linear(EPOCHS), 0.5),
            callbacks.UpdateRatio(every=3),
            callbacks.GradientHistograms(every=2),
        ]

    def records(kept):
        return {**kept[2].ratio_info(), **kept[3].histogram_info()}

    expected = monitors()
    history = fit(build(make(), **options), expected)
    resume = ResumeTraining(tmp_path, every=2, callbacks=monitors())
    fit(build(make(), **options), [resume], stop=5 if options else 9)
    kept = monitors()
    resume = ResumeTraining(tmp_path, every=2, callbacks=kept)
    assert fit(build(make(), **options), [resume]) == history
    for name, value in records(expected).items():
        np.testing.assert_array_equal(records(kept)[name], value, err_msg=name)


def test_a_record_can_be_read_before_the_first_step(tmp_path):
    def resumed(stop):
        ratio = callbacks.UpdateRatio(every=1)
        resume = ResumeTraining(tmp_path, every=2, callbacks=[ratio])
        fit(build("sgd"), [resume], stop=stop)
        return ratio.to_frame()

    there, here = resumed(stop=7), resumed(stop=0)
    assert here["step"].max() == 5  # saved before the step 6
    assert here.equals(there[there["step"] < 6])


def test_more_epochs_with_the_model_that_was_trained(tmp_path):
    def kept():
        return [
            callbacks.ScheduleLearningRate(Cosine(4)),
            callbacks.UpdateRatio(every=3),
        ]

    expected, found = kept(), kept()
    history = fit(build("sgd"), expected, epochs=4)
    resume = ResumeTraining(tmp_path, callbacks=found)
    model = build("sgd")
    fit(model, [resume], epochs=2)
    assert fit(model, [resume], epochs=4) == history
    assert found[1].to_frame().equals(expected[1].to_frame())


def scalars(folder):
    """The scalars of event files, the last of every step."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
    events = accumulator.EventAccumulator(str(folder / "train"))
    events.Reload()
    return {
        (tag, event.step): float(tensor_util.make_ndarray(event.tensor_proto))
        for tag in events.Tags()["tensors"]
        if "steps_per_second" not in tag and tag != "keras"
        for event in events.Tensors(tag)
    }


@pytest.mark.tensorflow_only(reason="Keras' TensorBoard writes with it")
@pytest.mark.parametrize("is_scheduled", [False, True])
def test_tensorboard_goes_on(is_scheduled, tmp_path):
    def kept(folder):
        rate = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        if is_scheduled:
            rate = callbacks.ScheduleLearningRate(Cosine(EPOCHS))
        return [rate, keras.callbacks.TensorBoard(folder, update_freq=2)]

    straight, killed = tmp_path / "straight", tmp_path / "killed"
    history = fit(build("sgd"), kept(straight))
    resume = ResumeTraining(tmp_path / "saves", every=2, callbacks=kept(killed))
    fit(build("sgd"), [resume], stop=7)
    resume = ResumeTraining(tmp_path / "saves", every=2, callbacks=kept(killed))
    assert fit(build("sgd"), [resume]) == history
    expected = scalars(straight)
    assert any("learning_rate" in tag for tag, _ in expected)
    assert scalars(killed) == expected


@pytest.mark.parametrize("in_file", [False, True])
def test_the_best_weights_go_on(in_file, tmp_path):
    def begun(folder):
        folder.mkdir(exist_ok=True)
        path = folder / "best.weights.h5" if in_file else None
        stopping = callbacks.EarlyStopping(
            "loss", patience=2, restore_best_weights=True, filepath=path
        )
        model = build("sgd")
        stopping.set_model(model)
        stopping.on_train_begin()
        return stopping, model

    stopping, model = begun(tmp_path / "there")
    best = [weight + 1 for weight in model.get_weights()]
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        model.set_weights(best if loss == 1 else model.get_weights())
        stopping.on_epoch_end(epoch, {"loss": loss})
    state = pickle.dumps(stopping.get_state())
    (tmp_path / "there").rename(tmp_path / "here")

    resumed, other = begun(tmp_path / "here")
    resumed.set_state(pickle.loads(state))
    resumed.on_epoch_end(3, {"loss": 1.5})
    assert (resumed.best, resumed.best_epoch, resumed.stopped_epoch) == (1.0, 1, 3)
    assert other.stop_training
    resumed.on_train_end()
    for weight, expected in zip(other.get_weights(), best, strict=True):
        np.testing.assert_array_equal(weight, expected)
