"""What all tests share: a cache of their own, and markers that skip with a reason."""

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

# A cache of this run alone, so that no test reads what an earlier one prepared.
_cache = tempfile.TemporaryDirectory(prefix="kerascope-tests-")
os.environ["KERASCOPE_DATA_DIR"] = _cache.name
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras

ROOT = Path(__file__).parent.parent


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items):
    """Marks the slow cases of a series as exhaustive, except every so many."""
    seen = Counter()
    for item in items:
        series, slow = map(item.get_closest_marker, ("series", "slow"))
        if series and slow:
            function = item.nodeid.partition("[")[0]
            if seen[function] % series.kwargs["every"]:
                item.add_marker("exhaustive")
            seen[function] += 1


def pytest_runtest_setup(item):
    for marker in item.iter_markers("tensorflow_only"):
        if keras.backend.backend() != "tensorflow":
            pytest.skip(f"TensorFlow only: {marker.kwargs['reason']}")
    for marker in item.iter_markers("real_data"):
        folder = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
        for name in marker.args:
            if not (folder.expanduser() / name).is_dir():
                pytest.skip(f"needs '{name}' prepared in TFDS_DATA_DIR")


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _interrupts():
    """Gives SIGINT its usual meaning, which background programs may not inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run_python(tmp_path):
    """Runs code or a script in a new Python process, and returns what it printed."""

    def run(*arguments, check=True, **environment):
        result = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if check:
            assert result.returncode == 0, result.stderr[-3000:]
        return result

    return run


# Splits the CPU into two devices, and defines `scope()`, which distributes training.
TWO_DEVICES = """
import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    device, = tf.config.list_physical_devices("CPU")
    pair = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, pair)
    scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
else:
    import jax
    assert len(jax.devices()) == 2
    scope = keras.distribution.DataParallel().scope
"""


@pytest.fixture
def run_on_two_devices(run_python, root):
    """Runs code that can use `scope()`, which distributes training to two devices."""
    if keras.backend.backend() == "torch":
        pytest.skip("Keras has no distribution for PyTorch")

    def run(code, *arguments):
        result = run_python(
            "-c",
            f"{TWO_DEVICES}\n{code}\nprint('works')",
            *arguments,
            PYTHONPATH=str(root),
            XLA_FLAGS="--xla_force_host_platform_device_count=2",
            CUDA_VISIBLE_DEVICES="",
        )
        assert result.stdout.endswith("works\n")

    return run


@pytest.fixture
def root():
    """The folder of the checkout."""
    return ROOT
