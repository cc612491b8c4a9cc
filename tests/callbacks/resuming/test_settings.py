"""Settings that differ from those of a save are an error that names them."""

import keras
import numpy as np
import pandas as pd
import pytest

from callbacks.resuming import settings
from callbacks.resuming.save_file import SaveFolder
from zoo.datasets import Arrays, Order, tf_dataset

pytestmark = pytest.mark.one_backend


@pytest.fixture(scope="module")
def saves(run, tmp_path_factory):
    """The saves of an interrupted training."""
    folder = tmp_path_factory.mktemp("saves")
    run.train(folder, [keras.callbacks.TerminateOnNaN()], stop=3)
    return folder


def changes(run):
    x, y = run.arrays()
    return {
        "a layer": (
            {"make": lambda: run.build(dropout=0.5)},
            "model.config.*0.3 there, 0.5 here",
        ),
        "an optimizer": (
            {"make": lambda: run.build(keras.optimizers.SGD(0.01))},
            "optimizer.class: 'Adam' there, 'SGD' here",
        ),
        "a rate": (
            {"make": lambda: run.build(keras.optimizers.Adam(0.02))},
            "optimizer.learning_rate: 0.01 there, 0.02 here",
        ),
        "validation batches": (
            {"validation_batch_size": 7},
            "validation_batch_size: None there, 7 here",
        ),
        "epochs": ({"epochs": 2}, "epochs: 3 there, 2 here"),
        "validation": (
            {"validation_freq": 2},
            "validation_freq: 1 there, 2 here",
        ),
        "data": (
            {"x": x[:60], "y": y[:60]},
            r"data.batch_size: 12 there, 'nothing' here",
        ),
        "a callback": (
            {"kept": [keras.callbacks.EarlyStopping("loss")]},
            "callbacks.0.class: 'TerminateOnNaN' there, 'EarlyStopping' here",
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "a layer",
        "an optimizer",
        "a rate",
        "epochs",
        "validation",
        "validation batches",
        "data",
        "a callback",
    ],
)
def test_settings_that_differ_are_named(name, run, saves):
    change, message = changes(run)[name]
    change = {"kept": [keras.callbacks.TerminateOnNaN()], **change}
    with pytest.raises(ValueError, match=message):
        run.train(saves, **change)


def test_other_arrays_and_batch_sizes_are_named(run, tmp_path):
    x, _ = run.arrays()
    run.train(tmp_path, kind="arrays", stop=3)
    for arguments, message in (
        ({"x": x[:60] + 1}, "data.arrays.0.checksum"),
        ({"batch_size": 10}, "batch_size: 12 there, 10 here"),
    ):
        with pytest.raises(ValueError, match=message):
            run.train(tmp_path, kind="arrays", **arguments)


def test_settings_of_a_callback_that_differ_are_named(run, tmp_path):
    run.train(tmp_path, [keras.callbacks.EarlyStopping("loss", patience=3)], stop=3)
    with pytest.raises(ValueError, match=r"patience: 3 there, 4 here"):
        run.train(tmp_path, [keras.callbacks.EarlyStopping("loss", patience=4)])


def test_a_save_whose_header_names_another_backend_is_refused(run, tmp_path):
    run.train(tmp_path, stop=3)
    folder = SaveFolder(tmp_path)
    save = folder.read_latest()
    settings = {**save.header["settings"], "backend": "another"}
    header = {**save.header, "settings": settings}
    folder.write(header, save.state(), save.arrays())
    with pytest.raises(ValueError, match="backend: 'another' there"):
        run.train(tmp_path)


def test_another_dataset_of_the_same_shapes_is_named(run, tmp_path):
    tf = pytest.importorskip("tensorflow")
    x, y = run.arrays()

    def stored(x):
        dataset = tf_dataset.in_memory(Arrays(x, y), 12, Order(0)).rebatch(6)
        return dataset.apply(tf.data.experimental.assert_cardinality(-(-len(x) // 6)))

    run.train(tmp_path, x=stored(x), validation_data=None, stop=3)
    with pytest.raises(ValueError, match="data.origins.0.checksum"):
        run.train(tmp_path, x=stored(x + 1), validation_data=None)


def test_examples_that_are_streamed_are_compared():
    tf = pytest.importorskip("tensorflow")

    def checksum(value):
        examples = tf.data.Dataset.from_tensor_slices((np.full(9, value), np.arange(9)))
        found = settings.data_settings(tf_dataset.streamed(examples, 9, 3))
        return found["origins"][0]["checksum"]

    assert checksum(1.0) == checksum(1.0) != checksum(2.0)


@pytest.mark.parametrize("kind", ["tensors", "frames", "objects"])
def test_all_kinds_of_arrays_are_compared(kind):
    def checksum(value):
        array = np.full((9, 2), value)
        made = {
            "tensors": keras.ops.convert_to_tensor,
            "frames": pd.DataFrame,
            "objects": lambda array: array.astype(object),
        }[kind](array)
        return settings.data_settings(made)["arrays"][0]["checksum"]

    assert checksum(1.0) == checksum(1.0) != checksum(2.0)


def test_class_weights_may_have_keys_of_numpy(run, tmp_path):
    def weights(last):
        return {np.int64(0): 1.0, np.int64(1): np.float32(2.0), np.int64(2): last}

    run.train(tmp_path, class_weight=weights(1.0), stop=3)
    with pytest.raises(ValueError, match="class_weight.2: 1.0 there, 2.0 here"):
        run.train(tmp_path, class_weight=weights(2.0))


def test_nan_equals_itself():
    settings.check_same({"rate": float("nan")}, {"rate": float("nan")}, "folder")
    with pytest.raises(ValueError, match="rate: nan there, 1.0 here"):
        settings.check_same({"rate": float("nan")}, {"rate": 1.0}, "folder")


def test_another_version_of_keras_is_warned_of(run, tmp_path, monkeypatch):
    run.train(tmp_path, stop=3)
    monkeypatch.setattr(keras, "__version__", "9.9")
    with pytest.warns(UserWarning, match=r"saved with keras 3.*with keras 9.9"):
        run.train(tmp_path, stop=0)
