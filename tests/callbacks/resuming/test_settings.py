"""Settings that differ from those of a save are an error that names them."""

import keras
import pytest

from callbacks.resuming.save_file import SaveFolder

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
            "optimizer.learning_rate: 0.0099.* there",
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
    ["a layer", "an optimizer", "a rate", "epochs", "validation", "data", "a callback"],
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
