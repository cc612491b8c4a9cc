import itertools

import keras
import numpy as np
import pytest

from callbacks import Snapshots
from callbacks.schedules import Cosine


def small_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.05), loss="mse")
    return model


class Record(keras.callbacks.Callback):
    """Keeps the weights of every epoch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


def fit(model, snapshots, epochs=4, initial_epoch=0):
    x = np.random.default_rng(0).standard_normal((16, 3)).astype("float32")
    record = Record()
    model.fit(
        x,
        x[:, :2],
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[snapshots, record],
        verbose=0,
    )
    return x, record.weights


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_each_file_holds_the_model_of_its_epoch(tmp_path):
    folder = tmp_path / "new" / "runs"
    model, snapshots = small_model(), Snapshots(folder, every=2)
    x, weights = fit(model, snapshots)
    assert names(folder) == ["snapshot-0002.keras", "snapshot-0004.keras"]
    assert snapshots.paths == sorted(folder.iterdir())
    saved = [keras.models.load_model(path) for path in snapshots.paths]
    for loaded, (kernel, bias), steps in zip(saved, weights[1::2], (2, 4), strict=True):
        np.testing.assert_array_equal(loaded.get_weights()[0], kernel)
        np.testing.assert_allclose(
            loaded.predict(x, verbose=0), x @ kernel + bias, rtol=1e-4, atol=1e-5
        )
        assert int(loaded.optimizer.iterations) == steps  # it can train on


def test_they_are_saved_where_growing_cycles_end(tmp_path):
    snapshots = Snapshots(tmp_path, epochs=itertools.accumulate((1, 2, 4)))
    fit(small_model(), snapshots, epochs=5)  # the third cycle does not end
    assert names(tmp_path) == ["snapshot-0001.keras", "snapshot-0003.keras"]


def test_a_resumed_training_counts_on(tmp_path):
    snapshots = Snapshots(str(tmp_path), every=3)
    fit(small_model(), snapshots, epochs=7, initial_epoch=4)
    assert names(tmp_path) == ["snapshot-0006.keras"]


def test_paths_are_those_of_the_last_fit(tmp_path):
    snapshots = Snapshots(tmp_path, epochs=[1])
    model = small_model()
    fit(model, snapshots, epochs=1)
    _, weights = fit(model, snapshots, epochs=1)
    assert snapshots.paths == [tmp_path / "snapshot-0001.keras"]
    loaded = keras.models.load_model(snapshots.paths[0])
    np.testing.assert_array_equal(loaded.get_weights()[0], weights[0][0])


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "snapshot-0001.keras"
    path.write_text("an earlier one")
    model = small_model()

    def write_half(filepath):
        filepath.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(model, "save", write_half)
    snapshots = Snapshots(tmp_path, every=1)
    with pytest.raises(OSError, match="disk full"):
        fit(model, snapshots)
    assert path.read_text() == "an earlier one"
    assert names(tmp_path) == [path.name]
    assert snapshots.paths == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Cannot write to folder"):
        fit(small_model(), Snapshots(tmp_path / "file", every=1))


@pytest.mark.parametrize("arguments", [{}, {"every": 1, "epochs": [1]}])
def test_exactly_one_of_every_and_epochs(arguments):
    with pytest.raises(ValueError, match="Expected exactly one of them. Received: eve"):
        Snapshots("runs", **arguments)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("every", 0, "`every`. Expected an integer >= 1. Received: every=0"),
        ("every", 2.0, "`every`. Expected an integer >= 1. Received: every=2.0"),
        ("epochs", [], "`epochs`. Expected whole numbers >= 1, at least"),
        ("epochs", [0, 3], "`epochs`. Expected whole numbers >= 1, at least"),
        ("epochs", "12", "`epochs`. Expected whole numbers >= 1, at least"),
        ("epochs", [2.5], "`epochs`. Expected whole numbers >= 1, at least"),
        ("epochs", 10, "Received: epochs=10\nEvery 10 epochs is `every=10`."),
    ],
)
def test_bad_arguments(argument, value, message):
    with pytest.raises(ValueError, match=message):
        Snapshots("runs", **{argument: value})


def test_the_ends_of_cycles_are_epochs_but_for_rounding(tmp_path):
    cosine = Cosine(7, cycles=3, growth=2)
    assert Snapshots(tmp_path, epochs=cosine.cycle_ends).epochs == (1, 3, 7)
    assert Snapshots(tmp_path, epochs=(0.1 * 3 * 10, 7)).epochs == (3, 7)
