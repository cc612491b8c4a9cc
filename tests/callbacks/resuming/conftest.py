"""Trainings that are interrupted and run again, in one process: what tests share."""

import itertools
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from callbacks import ResumeTraining
from zoo import datasets, mlp

EPOCHS, STEPS, BATCH_SIZE = 3, 5, 12
SIZE = STEPS * BATCH_SIZE


class Interruption(Exception):
    """Ends a `fit` as a kill does: Keras calls no hook after it."""


class InterruptAt(keras.callbacks.Callback):
    """Raises at the beginning of the n-th step that runs in this `fit`."""

    def __init__(self, step):
        super().__init__()
        self.steps_left = step

    def on_train_batch_begin(self, batch, logs=None):
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Interruption


class Rolling(keras.utils.PyDataset):
    """Another order in every epoch, which the dataset counts itself."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.shift = x, y, 0

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        rows = (np.arange(BATCH_SIZE) + BATCH_SIZE * index + self.shift) % SIZE
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        self.shift += 1


def arrays():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(SIZE + BATCH_SIZE, 6)).astype("float32")
    return x, generator.integers(0, 3, len(x))


def build(optimizer=None, dropout=0.3, **options):
    """A model as a new process would make it."""
    keras.utils.set_random_seed(7)
    model = mlp((6,), 3, units=(8,), dropout=dropout)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, loss, metrics=["accuracy"], **options)
    return model


def data(kind="zoo"):
    """Arguments of `fit`, with new data as a new process would make them."""
    x, y = arrays()
    train, rest = (x[:SIZE], y[:SIZE]), (x[SIZE:], y[SIZE:])
    if kind == "zoo":
        found = datasets.from_arrays(
            train=train, validation=rest, batch_size=BATCH_SIZE, seed=3
        )
        parts = {"x": found.train, "validation_data": found.validation}
        return {**parts, "shuffle": False}
    if kind == "arrays":
        return {"x": train[0], "y": train[1], "batch_size": BATCH_SIZE}
    if kind == "pipeline":
        tf = pytest.importorskip("tensorflow")
        pipeline = tf.data.Dataset.from_tensor_slices(train)
        pipeline = pipeline.shuffle(SIZE, seed=1).batch(BATCH_SIZE)
        return {"x": pipeline, "shuffle": False}
    if kind == "unknown length":
        found = data("pipeline")
        return {**found, "x": found["x"].filter(lambda x, y: True)}
    if kind == "generator":
        starts = itertools.cycle(range(SIZE))
        batches = ((x[i : i + BATCH_SIZE], y[i : i + BATCH_SIZE]) for i in starts)
        return {"x": batches, "steps_per_epoch": STEPS, "shuffle": False}
    return {"x": Rolling(*train), "shuffle": False}


def train(
    folder=None, kept=(), *, stop=None, make=build, kind="zoo", beside=(), **options
):
    """Runs a program: a new model, new data, and `fit`.

    Args:
        folder: Folder of the saves; `None` to train without ResumeTraining.
        kept: Callbacks of ResumeTraining.
        stop: Number of the step before which it is interrupted.
        make: Function that makes the model.
        kind: Kind of the data.
        beside: Callbacks of `fit` beside ResumeTraining.
        **options: Of ResumeTraining, and of `fit`.

    Returns:
        The model.
    """
    model = make()
    names = {"every", "seconds", "overwrite"} & options.keys()
    own = {"every": 2, **{name: options.pop(name) for name in names}}
    used = kept if folder is None else [ResumeTraining(folder, **own, callbacks=kept)]
    used = [*used, *beside, *([] if stop is None else [InterruptAt(stop)])]
    arguments = {**data(kind), "epochs": EPOCHS, "verbose": 0, **options}
    try:
        with warnings.catch_warnings():
            # Nothing but these is passed to `fit`, and they have no state to resume.
            names = "((, )?(InterruptAt|SignalAt))+"
            warnings.filterwarnings("ignore", f"The state of {names} will be lost")
            model.fit(callbacks=used, **arguments)
    except Interruption:
        assert stop is not None
    else:
        assert stop is None
    return model


def result(model):
    """All that a training leaves, by name."""
    variables = [*model.variables, *model.optimizer.variables]
    found = {
        f"{i} {v.name}": np.array(keras.ops.convert_to_numpy(v))
        for i, v in enumerate([*variables, *model.metrics_variables])
    }
    found |= {f"history {k}": np.array(v) for k, v in model.history.history.items()}
    return found | {"epochs": np.array(model.history.epoch)}


def assert_same(model, expected):
    """Asserts that a training has left the same as another one, bit for bit.

    Args:
        model: Model that was trained.
        expected: Another one, or the result of one.
    """
    if isinstance(expected, keras.Model):
        expected = result(expected)
    found = result(model)
    assert found.keys() == expected.keys()
    different = [
        name for name in found if not np.array_equal(found[name], expected[name], True)
    ]
    assert not different


@pytest.fixture(scope="session")
def run():
    """The functions of this file."""
    return SimpleNamespace(
        arrays=arrays,
        assert_same=assert_same,
        build=build,
        data=data,
        epochs=EPOCHS,
        interrupt_at=InterruptAt,
        saves=saves,
        steps=STEPS,
        train=train,
    )


def saves(folder):
    """Paths of the saves in a folder."""
    return sorted(folder.glob("save-*"))


@pytest.fixture(scope="session")
def uninterrupted():
    """What a `fit` without ResumeTraining leaves."""
    return result(train())
