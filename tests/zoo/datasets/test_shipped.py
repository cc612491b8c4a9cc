import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_diabetes, load_digits

from zoo import datasets
from zoo.datasets.shipped import cache_folder

pytestmark = pytest.mark.one_backend


def arrays(dataset):
    batches = list(dataset.as_numpy_iterator())
    return tuple(np.concatenate(part) for part in zip(*batches, strict=True))


def all_rows(data):
    parts = [arrays(part) for part in (data.train, data.validation, data.test)]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def sorted_rows(x, y):
    rows = np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], axis=1)
    return rows[np.lexsort(rows.T)]


def test_digits_are_those_of_scikit_learn():
    data = datasets.load("digits")
    x, y = all_rows(data)
    pixels, labels = load_digits(return_X_y=True)
    assert data.sizes == {"train": 1294, "validation": 144, "test": 359}
    assert (x.min(), x.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(
        sorted_rows(np.rint(x * 16), y), sorted_rows(pixels, labels)
    )


def test_every_split_of_digits_has_every_class():
    data = datasets.load("digits")
    for part in (data.train, data.validation, data.test):
        counts = np.bincount(arrays(part)[1], minlength=10)
        assert counts.min() >= 0.05 * counts.sum()


def test_diabetes_are_those_of_scikit_learn():
    data = datasets.load("diabetes")
    x, y = all_rows(data)
    expected = load_diabetes(scaled=False)
    columns = [expected.feature_names.index(name) for name in data.feature_names]
    assert data.sizes == {"train": 319, "validation": 35, "test": 88}
    np.testing.assert_allclose(
        sorted_rows(x, y),
        sorted_rows(expected.data[:, columns], expected.target),
        rtol=1e-6,
    )


def test_tfds_finds_them_in_the_cache_of_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCOPE_DATA_DIR", str(tmp_path))
    rows = tfds.load("digits", split="train")
    assert rows.cardinality().numpy() == 1797
    assert (tmp_path / "digits" / "1.0.0" / "dataset_info.json").is_file()


def test_data_dir_is_left_alone(tmp_path):
    datasets.load("digits", data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_the_cache_lies(monkeypatch):
    monkeypatch.setenv("KERASCOPE_DATA_DIR", "~/data")
    assert cache_folder() == cache_folder().home() / "data"
    monkeypatch.delenv("KERASCOPE_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(cache_folder()) == os.path.join("/cache", "kerascope")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == cache_folder().home() / ".cache" / "kerascope"


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file, where even root can make no folder")
    monkeypatch.setenv("KERASCOPE_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"Cannot prepare dataset 'digits' in '.*file'"):
        datasets.load("digits")


@pytest.mark.slow
def test_two_processes_may_prepare_at_once(tmp_path):
    code = (
        "from zoo.datasets.shipped import prepare_shipped\n"
        "import sys\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(prepare_shipped('digits').info.splits['train'].num_examples)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "KERASCOPE_DATA_DIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors[-2000:]
        assert out.endswith("1797\n")
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["1.0.0"]
