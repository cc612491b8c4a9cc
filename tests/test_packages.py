"""The three packages without TensorFlow, and what they export."""

import importlib

import numpy as np
import pytest

pytestmark = pytest.mark.one_backend

# Makes TensorFlow and TFDS look as if they were not installed.
BLOCK = """
import sys
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec

def without_tensorflow(name, path=None, target=None):
    if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
        return None
    return find_spec(name, path, target)

PathFinder.find_spec = without_tensorflow
"""

USE = """
import numpy as np
import callbacks, tuning
from zoo import datasets, mlp

x = np.random.default_rng(0).random((200, 4, 4, 1))
y = (x.mean(axis=(1, 2, 3)) > 0.5).astype(int)
data = datasets.from_arrays((x, y), batch_size=32, test=0.2)
model = mlp(data.input_shape, data.num_outputs, units=(8,),
            preprocessing=data.normalization())
model.compile("adam", data.loss, metrics=data.metrics)
model.fit(data.train, validation_data=data.validation, epochs=2, shuffle=False,
          verbose=0)
model.evaluate(data.test, verbose=0)
try:
    datasets.load("digits")
except ImportError as error:
    assert "from_arrays" in str(error)
else:
    raise AssertionError("load worked without TensorFlow")
assert "tensorflow" not in sys.modules
print("works")
"""


@pytest.mark.parametrize(
    "package",
    [
        "zoo",
        "zoo.adversarial",
        "zoo.datasets",
        "zoo.layers",
        "zoo.losses",
        "callbacks",
        "callbacks.monitors",
        "callbacks.schedules",
        "tuning",
    ],
)
def test_every_exported_name_is_there_and_documented(package):
    module = importlib.import_module(package)
    assert module.__doc__
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name).__doc__, name


def test_one_name_leads_to_all_packages():
    import callbacks
    import kerascope
    import tuning
    import zoo

    packages = (kerascope.callbacks, kerascope.tuning, kerascope.zoo)
    assert packages == (callbacks, tuning, zoo)
    assert kerascope.__version__


@pytest.mark.one_backend
def test_the_version_to_cite_is_that_of_the_package(root):
    import kerascope

    citation = (root / "CITATION.cff").read_text()
    assert f"\nversion: {kerascope.__version__}\n" in citation


def test_a_file_that_hides_a_package_is_named(tmp_path, run_python):
    (tmp_path / "callbacks.py").write_text("raise SystemExit(1)")
    result = run_python("-c", "import kerascope", check=False)
    assert "ImportError: `import callbacks` does not find the pack" in result.stderr
    assert f"It finds {tmp_path / 'callbacks.py'}.\nRename" in result.stderr


@pytest.mark.heavy
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_they_work_where_tensorflow_and_tfds_cannot_be_imported(backend, run_python):
    pytest.importorskip(backend, reason=f"the {backend} backend is not installed")
    result = run_python("-c", BLOCK + USE, KERAS_BACKEND=backend)
    assert result.stdout.endswith("works\n")


@pytest.mark.heavy
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_example_trains_where_they_cannot_be_imported(
    backend, root, tmp_path, run_python
):
    pytest.importorskip(backend, reason=f"the {backend} backend is not installed")
    x = np.random.default_rng(0).integers(0, 256, (100, 4, 4), dtype="uint8")
    y = np.arange(100) % 2
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    script = root / "examples" / "train.py"
    # Python adds the folder of a script that it runs; `run_path` does not.
    run = f"import runpy; sys.path.insert(0, {str(script.parent)!r}); "
    run += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    arguments = ("--arrays", "mine.npz", "--epochs", "2")
    result = run_python("-c", BLOCK + run, *arguments, KERAS_BACKEND=backend)
    assert f"on {backend}: [" in result.stdout
    assert (tmp_path / "runs" / "mine" / "model.keras").is_file()
