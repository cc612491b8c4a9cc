"""Event files, read back, and served by a real TensorBoard."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio

X = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")


@pytest.fixture
def logged(tmp_path):
    """The folder of one training, and its monitors."""
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "tanh", name="dense")]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    folder = tmp_path / "logs"
    monitors = [
        UpdateRatio(2, log_dir=folder),
        GradientHistograms(2, log_dir=folder),
        ActivationHistograms(X, log_dir=folder),
    ]
    model.fit(
        *(X, X[:, :3]), batch_size=2, epochs=2, verbose=0, callbacks=monitors
    )  # fmt: skip
    return folder, monitors


SCALARS = {
    "update_ratio",
    "update_ratio/dense/kernel",
    "update_ratio/dense/bias",
    "gradient_norm/dense/kernel",
    "gradient_norm/dense/bias",
    "dead_units/dense",
    "saturated_units/dense",
}
HISTOGRAMS = {
    "gradient_log2/dense/kernel",
    "gradient_log2/dense/bias",
    "activation/dense",
}


def test_the_files_hold_what_was_recorded(logged):
    folder, (ratio, histograms, activations) = logged
    events = EventAccumulator(str(folder), {"tensors": 0}).Reload()
    assert set(events.Tags()["tensors"]) == SCALARS | HISTOGRAMS

    def read(tag):
        found = events.Tensors(tag)
        return [e.step for e in found], [make_ndarray(e.tensor_proto) for e in found]

    steps, values = read("update_ratio")
    info = ratio.ratio_info()
    np.testing.assert_array_equal(steps, info["step"])
    np.testing.assert_allclose(values, info["median"], rtol=1e-6)
    steps, values = read("gradient_norm/dense/kernel")
    np.testing.assert_array_equal(steps, histograms.histogram_info()["step"])
    np.testing.assert_allclose(values, histograms.histogram_info()["norm"][:, 0])
    _, values = read("gradient_log2/dense/kernel")
    assert values[0].shape == (96, 3)
    np.testing.assert_array_equal(values[0][:, 0], np.arange(-64, 32))
    np.testing.assert_array_equal(
        values[0][:, 2], histograms.histogram_info()["counts"][0, 0].sum(axis=0)
    )
    steps, values = read("activation/dense")
    assert steps == [0, 4, 8]
    np.testing.assert_array_equal(
        np.array(values)[:, :, 2], activations.activation_info()["counts"][:, 0]
    )


@pytest.mark.slow
def test_tensorboard_serves_them(logged):
    folder, _ = logged
    command = "from tensorboard.main import run_main; run_main()"
    arguments = ("--logdir", folder, "--port", "0", "--load_fast", "false")
    server = subprocess.Popen(
        [sys.executable, "-c", command, *map(str, arguments)],
        # It imports TensorFlow, which does not go together with PyTorch everywhere.
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = []
        for line in server.stderr:
            lines.append(line)
            if "http://" in line:
                address = line[line.index("http://") :].split()[0].rstrip("/")
                break
        else:
            pytest.fail(f"TensorBoard did not start: {lines[-5:]}")
        deadline = time.monotonic() + 120
        tags = {}
        while time.monotonic() < deadline:
            tags = {name: _tags(address, name) for name in ("scalars", "histograms")}
            if all(tags.values()):
                break
            time.sleep(0.5)
        assert tags == {"scalars": SCALARS, "histograms": HISTOGRAMS}
        served = _get(
            f"{address}/data/plugin/histograms/histograms"
            "?run=.&tag=gradient_log2/dense/kernel"
        )
        assert [step for _, step, _ in served] == [0, 2, 4, 6]
    finally:
        server.terminate()
        server.wait(30)
        server.stderr.close()


def _tags(address, plugin) -> set:
    runs = _get(f"{address}/data/plugin/{plugin}/tags")
    return set().union(*runs.values())


def _get(address):
    try:
        with urllib.request.urlopen(address, timeout=30) as response:
            return json.load(response)
    except urllib.error.URLError:
        return {}


def test_a_folder_that_cannot_be_written_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    for monitor in (UpdateRatio, GradientHistograms):
        with pytest.raises(OSError, match="Cannot write to folder"):
            model.fit(
                *(X, X[:, :1]), verbose=0,
                callbacks=[monitor(log_dir=tmp_path / "file")],
            )  # fmt: skip
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


WITHOUT = """
import sys
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec

def without_tensorflow(name, *rest):
    return None if name.split(".")[0] == "tensorflow" else find_spec(name, *rest)

PathFinder.find_spec = without_tensorflow
from callbacks.monitors.event_log import EventLog
import numpy as np
log = EventLog("logs")
log.add_scalar("a", 1.5, 3)
log.add_histogram("b", np.arange(3), np.ones(2), 3)
log.close()
assert not any(name.startswith("tensorflow.") for name in sys.modules)
"""


@pytest.mark.heavy
@pytest.mark.one_backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_is_written_without_tensorflow(backend, run_python, root, tmp_path):
    pytest.importorskip(backend)
    run_python("-c", WITHOUT, KERAS_BACKEND=backend, PYTHONPATH=str(root))
    events = EventAccumulator(str(tmp_path / "logs"), {"tensors": 0}).Reload()
    assert events.Tags()["tensors"] == ["a", "b"]
