"""Preparing a dataset leaves the global random generators as they were."""

import random

import numpy as np
import pytest

from zoo import datasets

pytest.importorskip("tensorflow_datasets")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_seed_holds_where_a_dataset_is_prepared_first(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCOPE_DATA_DIR", str(tmp_path))
    random.seed(1)
    np.random.seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).rand()
    datasets.load("diabetes")
    assert (random.random(), np.random.rand()) == expected
