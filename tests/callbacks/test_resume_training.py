"""Trainings that are interrupted, beside those that are not: equal bit for bit."""

import itertools
import os
import signal

import keras
import numpy as np
import pytest

import callbacks
from callbacks import ResumeTraining
from callbacks.schedules import Cosine
from zoo import datasets, mlp

EPOCHS = 3


class Interruption(Exception):
    pass


class InterruptAt(keras.callbacks.Callback):
    """Raises at the beginning of the n-th step that runs in this `fit`."""

    def __init__(self, step):
        super().__init__()
        self.steps_left = step

    def on_train_batch_begin(self, batch, logs=None):
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Interruption


def arrays(size=72):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(size, 6)).astype("float32")
    return x, generator.integers(0, 3, size)


def build(optimizer=None, dropout=0.3, **options):
    """A model as a new process would make it."""
    keras.utils.set_random_seed(7)
    model = mlp((6,), 3, units=(8,), dropout=dropout)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, loss, metrics=["accuracy"], **options)
    return model


def fit_data(kind="zoo"):
    """Arguments of `fit` for 5 steps of 12 an epoch."""
    x, y = arrays()
    if kind == "zoo":
        data = datasets.from_arrays(
            train=(x[:60], y[:60]), validation=(x[60:], y[60:]), batch_size=12, seed=3
        )
        return {"x": data.train, "validation_data": data.validation, "shuffle": False}
    if kind == "arrays":
        return {"x": x[:60], "y": y[:60], "batch_size": 12}
    if kind == "pipeline":
        tf = pytest.importorskip("tensorflow")
        pipeline = tf.data.Dataset.from_tensor_slices((x[:60], y[:60]))
        return {"x": pipeline.shuffle(60, seed=1).batch(12), "shuffle": False}
    if kind == "generator":
        batches = ((x[i : i + 12], y[i : i + 12]) for i in itertools.cycle(range(60)))
        return {"x": batches, "steps_per_epoch": 5, "shuffle": False}
    if kind == "py_dataset":
        return {"x": Rolling(x[:60], y[:60]), "shuffle": False}
    raise ValueError(kind)


class Rolling(keras.utils.PyDataset):
    """Another order in every epoch, which the dataset counts itself."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.shift = x, y, 0

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = (np.arange(12) + 12 * index + self.shift) % 60
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        self.shift += 1


def result(model):
    """All that a training leaves, by name."""
    variables = [*model.variables, *model.optimizer.variables]
    found = {
        f"{i} {v.name}": np.array(keras.ops.convert_to_numpy(v))
        for i, v in enumerate([*variables, *model.metrics_variables])
    }
    found |= {f"history {k}": np.array(v) for k, v in model.history.history.items()}
    return found | {"epochs": np.array(model.history.epoch)}


def assert_same(one, other):
    assert one.keys() == other.keys()
    different = [
        name for name in one if not np.array_equal(one[name], other[name], True)
    ]
    assert not different


def train(folder, kept=(), *, stop=None, make=build, kind="zoo", **options):
    """One run of a program: a new model and new data; stopped before a step, or not."""
    model = make()
    names = {"every", "seconds", "overwrite"} & options.keys()
    own = {name: options.pop(name) for name in names}
    resume = ResumeTraining(folder, **{"every": 2, **own}, callbacks=kept)
    others = [] if stop is None else [InterruptAt(stop)]
    arguments = {**fit_data(kind), "epochs": EPOCHS, "verbose": 0, **options}
    if stop is None:
        model.fit(callbacks=[resume, *others], **arguments)
    else:
        with pytest.raises(Interruption):
            model.fit(callbacks=[resume, *others], **arguments)
    return model


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What a `fit` without ResumeTraining leaves."""
    model = build()
    model.fit(epochs=EPOCHS, verbose=0, **fit_data())
    return result(model)


def test_training_is_the_same_with_it(uninterrupted, tmp_path):
    assert_same(result(train(tmp_path)), uninterrupted)


@pytest.mark.parametrize("stop", [3, 7, 10, 14])
def test_it_ends_as_if_it_had_not_been_interrupted(stop, uninterrupted, tmp_path):
    train(tmp_path, stop=stop)
    assert_same(result(train(tmp_path)), uninterrupted)


def test_it_can_be_interrupted_again_and_again(uninterrupted, tmp_path):
    for _ in range(3):
        train(tmp_path, stop=4)
    assert_same(result(train(tmp_path)), uninterrupted)


def test_the_end_of_an_epoch_is_a_place_to_go_on(uninterrupted, tmp_path):
    train(tmp_path, every="epoch", stop=12)
    model = train(tmp_path, every="epoch")
    assert_same(result(model), uninterrupted)


def test_it_goes_on_without_training_steps_twice(tmp_path):
    train(tmp_path, stop=9)
    counted = InterruptAt(100)
    model = build()
    resume = ResumeTraining(tmp_path, every=2)
    model.fit(callbacks=[resume, counted], epochs=EPOCHS, verbose=0, **fit_data())
    assert 100 - counted.steps_left == EPOCHS * 5 - 8


def test_after_the_end_it_returns_at_once(uninterrupted, tmp_path, capsys):
    train(tmp_path)
    capsys.readouterr()
    model = build()
    counted = InterruptAt(0)  # raises in the first step
    resume = ResumeTraining(tmp_path, every=2)
    arguments = {"epochs": EPOCHS, "verbose": 0, **fit_data()}
    history = model.fit(callbacks=[resume, counted], **arguments)
    assert "has ended, at epoch 3" in capsys.readouterr().out
    assert history is model.history
    assert_same(result(model), uninterrupted)


def test_more_epochs_go_on_after_the_end(tmp_path):
    train(tmp_path, epochs=2)
    model = build()
    model.fit(epochs=4, verbose=0, **fit_data())
    assert_same(result(train(tmp_path, epochs=4)), result(model))


def test_overwrite_begins_again(uninterrupted, tmp_path):
    train(tmp_path, epochs=4, stop=9)
    assert_same(result(train(tmp_path, overwrite=True)), uninterrupted)


def test_a_later_fit_begins_at_its_first_epoch(tmp_path):
    train(tmp_path, stop=7)
    model = train(tmp_path)
    history = model.fit(epochs=2, verbose=0, **fit_data())
    assert history.epoch == [0, 1]


@pytest.mark.parametrize("kind", ["arrays", "pipeline", "generator", "py_dataset"])
@pytest.mark.filterwarnings("ignore:The data may not come")
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_other_data_go_on(kind, tmp_path):
    model = build()
    model.fit(epochs=EPOCHS, verbose=0, **fit_data(kind))
    train(tmp_path, kind=kind, stop=8)
    assert_same(result(train(tmp_path, kind=kind)), result(model))


def test_a_shuffle_without_a_seed_is_warned_of(tmp_path):
    tf = pytest.importorskip("tensorflow")
    tf.random.set_seed(None)
    pipeline = tf.data.Dataset.from_tensor_slices(arrays()).shuffle(60).batch(12)
    model = build()
    resume = ResumeTraining(tmp_path)
    with pytest.warns(UserWarning, match="`shuffle` has no seed"):
        model.fit(pipeline, shuffle=False, verbose=0, callbacks=[resume])


def test_a_generator_is_warned_of_when_it_is_drawn_again(tmp_path):
    train(tmp_path, kind="generator", stop=8)
    with pytest.warns(UserWarning, match="a generator is code of yours"):
        train(tmp_path, kind="generator")


OPTIMIZERS = {
    "ema": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5),
    "accumulation": lambda: keras.optimizers.SGD(
        0.1, momentum=0.9, gradient_accumulation_steps=3
    ),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01), initial_scale=4.0, dynamic_growth_steps=3
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_all_of_an_optimizer_goes_on(name, tmp_path):
    def make():
        return build(OPTIMIZERS[name]())

    model = make()
    model.fit(epochs=EPOCHS, verbose=0, **fit_data())
    train(tmp_path, make=make, stop=8)
    assert_same(result(train(tmp_path, make=make)), result(model))


def test_several_steps_in_one_call(tmp_path):
    def make():
        return build(steps_per_execution=2)

    model = make()
    model.fit(epochs=EPOCHS, verbose=0, **fit_data())
    train(tmp_path, make=make, stop=4)
    assert_same(result(train(tmp_path, make=make)), result(model))


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


def test_a_callback_of_the_users_goes_on(tmp_path):
    seen, expected = [], []
    train(tmp_path / "straight", [Counting(expected)])
    train(tmp_path / "killed", [Counting([])], stop=8)
    train(tmp_path / "killed", [Counting(seen)])
    assert seen == expected
    assert len(seen) == EPOCHS * 6


class WithMethods(keras.callbacks.Callback):
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


def test_a_callback_says_itself_what_its_state_is(tmp_path):
    train(tmp_path, [WithMethods()], stop=8)
    resumed = WithMethods()
    train(tmp_path, [resumed])
    assert resumed.count == EPOCHS * 5


def monitors(folder):
    """Callbacks of this package and of Keras, all with a state."""
    return [
        callbacks.ScheduleLearningRate(Cosine(EPOCHS, warmup=1)),
        callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
        callbacks.UpdateRatio(every=3),
        callbacks.GradientHistograms(every=4),
        callbacks.ActivationHistograms(arrays()[0][:9]),
        callbacks.Snapshots(folder / "snapshots", every=2),
        keras.callbacks.CSVLogger(folder / "log.csv", append=True),
        keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1.0),
        keras.callbacks.EarlyStopping("val_loss", patience=9),
        keras.callbacks.ModelCheckpoint(
            folder / "best.weights.h5", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.TerminateOnNaN(),
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
    return info


def equal(one, other):
    numeric = one.dtype.kind in "fc"
    return np.array_equal(one, other, equal_nan=numeric)


@pytest.mark.parametrize("every", [2, "epoch"])
def test_all_callbacks_end_as_without_an_interruption(every, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    kept = monitors(straight)
    model = build()
    model.fit(epochs=EPOCHS, verbose=0, callbacks=kept, **fit_data())
    expected = records(straight, kept)

    interrupted = monitors(killed)
    train(killed / "saves", interrupted, every=every, stop=12)
    interrupted[6].csv_file.close()  # as the end of a process does
    resumed = monitors(killed)
    assert_same(result(train(killed / "saves", resumed, every=every)), result(model))
    found = records(killed, resumed)
    assert [name for name in expected if not equal(found[name], expected[name])] == []

    again = monitors(killed)  # after the end
    train(killed / "saves", again, every=every)
    found = records(killed, again)
    assert [name for name in expected if not equal(found[name], expected[name])] == []


def test_a_training_that_stopped_early_has_ended(tmp_path):
    def stopping():
        return [callbacks.EarlyStopping("loss", patience=1, min_delta=9.0)]

    model = train(tmp_path, stopping(), epochs=5)
    assert model.history.epoch == [0, 1]
    assert train(tmp_path, stopping(), epochs=9).history.epoch == [0, 1]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"make": lambda: build(dropout=0.5)}, "model.config.*0.3 there, 0.5 here"),
        ({"make": lambda: build(keras.optimizers.SGD(0.01))}, "optimizer.class"),
        ({"make": lambda: build(keras.optimizers.Adam(0.02))}, "learning_rate"),
        ({"epochs": 2}, "epochs: 3 there, 2 here"),
        ({"validation_freq": 2}, "validation_freq: 1 there, 2 here"),
        ({"kind": "arrays"}, "data"),
        ({"kept": [keras.callbacks.TerminateOnNaN()]}, "callbacks.0.class"),
    ],
)
def test_settings_that_differ_are_named(change, name, tmp_path):
    train(tmp_path, stop=7)
    change = dict(change)
    with pytest.raises(ValueError, match=name):
        train(tmp_path, change.pop("kept", ()), **change)


def test_other_arrays_and_batch_sizes_are_named(tmp_path):
    x, y = arrays()
    train(tmp_path, kind="arrays", stop=7)
    for arguments, name in (
        ({"x": x[:60] + 1, "y": y[:60], "batch_size": 12}, "data.arrays.0.checksum"),
        ({"x": x[:60], "y": y[:60], "batch_size": 10}, "batch_size: 12 there, 10 here"),
    ):
        with pytest.raises(ValueError, match=name):
            build().fit(
                **arguments,
                epochs=EPOCHS,
                verbose=0,
                callbacks=[ResumeTraining(tmp_path, every=2)],
            )


def test_settings_of_a_callback_that_differ_are_named(tmp_path):
    train(tmp_path, [keras.callbacks.EarlyStopping("loss", patience=3)], stop=7)
    with pytest.raises(ValueError, match=r"patience: 3 there, 4 here"):
        train(tmp_path, [keras.callbacks.EarlyStopping("loss", patience=4)])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"directory": 3}, "`directory`"),
        ({"every": 0}, "`every`"),
        ({"every": "step"}, "`every`"),
        ({"every": 1.5}, "`every`"),
        ({"every": 2, "seconds": 1}, "`every`"),
        ({"seconds": 0}, "`seconds`"),
        ({"callbacks": ["x"]}, "`callbacks`"),
        ({"overwrite": "yes"}, "`overwrite`"),
    ],
)
def test_wrong_arguments_are_named(options, name, tmp_path):
    with pytest.raises(ValueError, match=name):
        ResumeTraining(**{"directory": tmp_path, **options})


def test_keras_backup_is_refused(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(ValueError, match="It restarts an epoch"):
        ResumeTraining(tmp_path, callbacks=[backup])


def test_a_state_that_cannot_be_saved_is_named_at_the_start(tmp_path):
    class Secret(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.function = lambda: None

    with pytest.raises(ValueError, match=r"Secret cannot be saved: function"):
        train(tmp_path, [Secret()])
    assert not list(tmp_path.iterdir())


def test_callbacks_beside_it_are_warned_of(tmp_path):
    resume = ResumeTraining(tmp_path)
    stopping = keras.callbacks.EarlyStopping("loss", patience=9)
    with pytest.warns(UserWarning, match="The state of EarlyStopping is lost"):
        build().fit(verbose=0, callbacks=[resume, stopping], **fit_data())


def test_a_damaged_save_is_told_and_the_one_before_it_used(uninterrupted, tmp_path):
    train(tmp_path, stop=9)
    last = sorted(tmp_path.iterdir())[-1]
    contents = bytearray(last.read_bytes())
    contents[len(contents) // 2] ^= 1
    last.write_bytes(contents)
    with pytest.warns(UserWarning, match="is damaged"):
        model = train(tmp_path)
    assert_same(result(model), uninterrupted)


def test_seconds_take_the_place_of_steps(tmp_path, monkeypatch):
    train(tmp_path, every=None, seconds=1e-9, stop=4)
    assert len(list(tmp_path.iterdir())) == 2
    train(tmp_path / "never", every=None, seconds=1e9, stop=14)
    assert not list((tmp_path / "never").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("place", ["on_train_batch_begin", "on_test_begin"])
def test_an_interrupt_is_answered_by_a_save(place, uninterrupted, tmp_path, capsys):
    model = build()
    interrupt = keras.callbacks.Callback()
    times = itertools.count()

    def at_third(*_):
        if next(times) == (3 if place == "on_train_batch_begin" else 0):
            signal.raise_signal(signal.SIGINT)

    setattr(interrupt, place, lambda *_, **__: at_third())
    resume = ResumeTraining(tmp_path, every=1000)
    with pytest.raises(KeyboardInterrupt):
        model.fit(callbacks=[resume, interrupt], epochs=EPOCHS, verbose=0, **fit_data())
    assert "Run the same program again to go on." in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same(result(train(tmp_path, every=1000)), uninterrupted)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_after_a_failed_fit_acts_at_once(tmp_path):
    train(tmp_path, stop=2)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
