"""States of callbacks that a resumed training takes over, one by one."""

import re

import keras
import numpy as np
import pytest

import callbacks
from callbacks import ResumeTraining
from callbacks.resuming import pickles
from callbacks.resuming.callback_state import give_states, take_states
from callbacks.resuming.check_callbacks import check_others
from callbacks.schedules import Cosine, Linear


class Counting(keras.callbacks.Callback):
    """A callback of the user's: counts, draws numbers, and fills a list."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen
        self.generator = np.random.default_rng(5)

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(f"epoch {epoch}")

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, self.generator.random(), np.random.rand(), logs))


class WithMethods(keras.callbacks.Callback):
    """A callback of the user's that says itself what its state is."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.lock = iter([])

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        self.unpicklable = lambda: None

    def get_state(self):
        return self.count

    def set_state(self, state):
        self.count = state


def monitors(folder, run):
    """Callbacks of this package, of Keras and of the user, all with a state."""
    return [
        callbacks.ScheduleLearningRate(Cosine(run.epochs, warmup=1)),
        callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
        callbacks.UpdateRatio(every=3),
        callbacks.GradientHistograms(every=4),
        callbacks.ActivationHistograms(run.arrays()[0][:9]),
        callbacks.Snapshots(folder / "snapshots", every=2),
        keras.callbacks.CSVLogger(folder / "log.csv", append=True),
        keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1.0),
        keras.callbacks.EarlyStopping("val_loss", patience=9),
        keras.callbacks.ModelCheckpoint(
            folder / "best.weights.h5", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.TerminateOnNaN(),
        Counting([]),
        WithMethods(),
    ]


def records(folder, kept):
    info = {}
    reports = kept[2].ratio_info(), kept[3].histogram_info(), kept[4].activation_info()
    for number, report in enumerate(reports):
        info |= {f"{number} {name}": value for name, value in report.items()}
    info["csv"] = np.array((folder / "log.csv").read_bytes())
    info["best"] = np.array([kept[1].best, kept[1].best_epoch, kept[1].wait])
    info["plateau"] = np.array([kept[7].best, kept[7].wait, kept[7].cooldown_counter])
    info["Keras' best"] = np.array([kept[8].best, kept[8].best_epoch, kept[8].wait])
    info["checkpoint"] = np.array(kept[9].best)
    info["snapshots"] = np.array([path.name for path in kept[5].paths])
    info["seen"] = np.array(list(map(str, kept[11].seen)))
    info["count"] = np.array(kept[12].count)
    return info


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    different = [
        name
        for name, value in expected.items()
        if not np.array_equal(found[name], value, equal_nan=value.dtype.kind in "fc")
    ]
    assert not different


@pytest.mark.heavy
@pytest.mark.parametrize("every", [2, "epoch"])
def test_all_callbacks_end_as_without_an_interruption(every, run, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    kept = monitors(straight, run)
    model = run.train(kept=kept)
    expected = records(straight, kept)

    interrupted = monitors(killed, run)
    run.train(killed / "saves", interrupted, every=every, stop=12)
    interrupted[6].csv_file.close()  # as the end of a process does
    resumed = monitors(killed, run)
    run.assert_same(run.train(killed / "saves", resumed, every=every), model)
    assert_equal(records(killed, resumed), expected)

    again = monitors(killed, run)  # after the end
    run.train(killed / "saves", again, every=every)
    assert_equal(records(killed, again), expected)


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
if keras.backend.backend() == "torch":  # takes one step in a call only
    del CASES["several steps in a call"]


@pytest.mark.heavy
@pytest.mark.parametrize("case", CASES)
def test_monitors_and_schedules_count_on(case, run, tmp_path):
    make, options = CASES[case]

    def build():
        return run.build(make(), **options)

    def monitors():
        return [
            callbacks.ScheduleLearningRate(Cosine(run.epochs, warmup=1)),
            callbacks.ScheduleMomentum(Linear(run.epochs), 0.5),
            callbacks.UpdateRatio(every=3),
            callbacks.GradientHistograms(every=2),
        ]

    def records(kept):
        return {**kept[2].ratio_info(), **kept[3].histogram_info()}

    straight, resumed = monitors(), monitors()
    expected = run.train(kept=straight, make=build)
    run.train(tmp_path, monitors(), make=build, stop=5 if options else 9)
    run.assert_same(run.train(tmp_path, resumed, make=build), expected)
    assert_equal(records(resumed), records(straight))


@pytest.mark.heavy
def test_a_record_can_be_read_before_the_first_step(run, tmp_path):
    def resumed(stop):
        ratio = callbacks.UpdateRatio(every=1)
        run.train(tmp_path, [ratio], stop=stop)
        return ratio.to_frame()

    there, here = resumed(stop=7), resumed(stop=0)
    assert here["step"].max() == 5  # saved before the step 6
    assert here.equals(there[there["step"] < 6])


@pytest.mark.heavy
def test_more_epochs_with_the_model_that_was_trained(run, tmp_path):
    def kept():
        return [
            callbacks.ScheduleLearningRate(Cosine(4)),
            callbacks.UpdateRatio(every=3),
        ]

    straight, resumed = kept(), kept()
    expected = run.train(kept=straight, epochs=4)
    model = run.train(tmp_path, resumed, epochs=2)
    run.assert_same(
        run.train(tmp_path, resumed, make=lambda: model, epochs=4), expected
    )
    assert resumed[1].to_frame().equals(straight[1].to_frame())


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
@pytest.mark.heavy
@pytest.mark.parametrize("is_scheduled", [False, True])
def test_tensorboard_is_resumed(is_scheduled, run, tmp_path):
    def kept(folder):
        rate = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        if is_scheduled:
            rate = callbacks.ScheduleLearningRate(Cosine(run.epochs))
        board = keras.callbacks.TensorBoard(
            folder, update_freq=2, write_steps_per_second=True
        )
        return [rate, board]

    straight, killed = tmp_path / "straight", tmp_path / "killed"
    expected = run.train(kept=kept(straight))
    run.train(tmp_path / "saves", kept(killed), stop=7)
    run.assert_same(run.train(tmp_path / "saves", kept(killed)), expected)
    assert any("learning_rate" in tag for tag, _ in scalars(straight))
    assert scalars(killed) == scalars(straight)


@pytest.mark.one_backend
def test_keras_backup_is_refused(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(ValueError, match="BackupAndRestore restarts the epoch"):
        ResumeTraining(tmp_path, callbacks=[backup])


@pytest.mark.one_backend
def test_a_state_that_cannot_be_saved_is_named_at_the_start(run, tmp_path):
    class Secret(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.function = lambda: None

    with pytest.raises(ValueError, match=r"Secret cannot be saved: function"):
        run.train(tmp_path, [Secret()])
    assert not run.saves(tmp_path)


@pytest.mark.one_backend
def test_a_model_in_a_state_is_named_at_the_start(run, tmp_path):
    class Holder(keras.callbacks.Callback):
        layers = None

        def on_train_begin(self, logs=None):
            self.layers = [self.model.layers[0]]

    with pytest.raises(ValueError, match=re.escape("Holder cannot be saved: layers")):
        run.train(tmp_path, [Holder()])


@pytest.mark.one_backend
def test_callbacks_beside_it_are_warned_of(run, tmp_path):
    stopping = keras.callbacks.EarlyStopping("loss", patience=9)
    with pytest.warns(
        UserWarning, match="The state of EarlyStopping, InterruptAt will"
    ):
        run.train(tmp_path, beside=[stopping], stop=0)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.9 * rate),
        keras.callbacks.SwapEMAWeights(),
        keras.callbacks.LambdaCallback(on_epoch_end=print),
        Counting([]),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_any_callback_beside_it_is_warned_of(callback):
    resume = ResumeTraining("folder")
    harmless = [keras.callbacks.TerminateOnNaN(), keras.callbacks.History()]
    with pytest.warns(UserWarning, match=f"The state of {type(callback).__name__} wil"):
        check_others([resume, *harmless, callback], resume)


@pytest.mark.one_backend
def test_a_callback_without_attributes_loses_nothing():
    class Slow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    resume = ResumeTraining("folder")
    check_others([resume, Slow()], resume)


@pytest.mark.one_backend
def test_a_callback_that_is_passed_twice_is_an_error(run, tmp_path):
    stopping = keras.callbacks.EarlyStopping("loss")
    with pytest.raises(ValueError, match="callbacks that are not also passed to `fit`"):
        run.train(tmp_path, [stopping], beside=[stopping])


@pytest.mark.one_backend
def test_a_log_that_is_not_a_local_file_is_refused(tmp_path):
    log = keras.callbacks.CSVLogger("gs://bucket/log.csv")
    with pytest.raises(ValueError, match="a CSVLogger that writes to a local file"):
        ResumeTraining(tmp_path, callbacks=[log])


@pytest.mark.one_backend
def test_a_folder_of_a_callback_may_be_moved():
    class Writing(keras.callbacks.Callback):
        def __init__(self, directory):
            super().__init__()
            self.directory, self.count = directory, 0

    there, here = Writing("there"), Writing("here")
    there.count = 3
    give_states([here], take_states([there]))
    assert (here.directory, here.count) == ("here", 3)


@pytest.mark.parametrize("in_file", [False, True])
def test_the_best_weights_are_resumed(in_file, run, tmp_path):
    def begun(folder):
        folder.mkdir(exist_ok=True)
        path = folder / "best.weights.h5" if in_file else None
        stopping = callbacks.EarlyStopping(
            "loss", patience=2, restore_best_weights=True, filepath=path
        )
        model = run.build()
        stopping.set_model(model)
        stopping.on_train_begin()
        return stopping, model

    stopping, model = begun(tmp_path / "there")
    best = [weight + 1 for weight in model.get_weights()]
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        model.set_weights(best if loss == 1 else model.get_weights())
        stopping.on_epoch_end(epoch, {"loss": loss})
    state = pickles.dump(stopping.get_state())
    (tmp_path / "there").rename(tmp_path / "here")

    resumed, other = begun(tmp_path / "here")
    resumed.set_state(pickles.load(state))
    resumed.on_epoch_end(3, {"loss": 1.5})
    assert (resumed.best, resumed.best_epoch, resumed.stopped_epoch) == (1.0, 1, 3)
    assert other.stop_training
    resumed.on_train_end()
    for weight, expected in zip(other.get_weights(), best, strict=True):
        np.testing.assert_array_equal(weight, expected)
