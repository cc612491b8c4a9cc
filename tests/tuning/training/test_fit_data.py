"""Data in the arguments of `fit`."""

import functools

import numpy as np
import pytest

from tuning.training.fit_data import made_data, named_arguments
from zoo import datasets

pytestmark = pytest.mark.one_backend


def test_arguments_of_fit_are_named():
    named = named_arguments(("images", "labels", 32), {"epochs": 3})
    assert named == {"x": "images", "y": "labels", "batch_size": 32, "epochs": 3}


def test_functions_that_stand_for_data_are_called():
    calls = []

    def make(kind):
        calls.append(kind)
        return np.ones(3) if kind == "train" else (np.zeros(2), np.zeros(2))

    def on_end():
        raise AssertionError("is no data")

    train, validation = (functools.partial(make, k) for k in ("train", "validation"))
    for count in (1, 2):  # once per training run
        args, kwargs = made_data(
            (lambda: train(), np.arange(3)),
            {"validation_data": validation, "on_end": on_end},
        )
        assert calls == ["train", "validation"] * count
    np.testing.assert_array_equal(args, [np.ones(3), np.arange(3)])
    np.testing.assert_array_equal(kwargs["validation_data"], np.zeros((2, 2)))
    assert kwargs["on_end"] is on_end


def test_each_training_run_uses_the_same_orders():
    x = np.arange(30.0)[:, None]
    data = datasets.from_arrays((x, np.sin(x[:, 0])), seed=1, batch_size=30)
    orders = []
    for _ in range(2):
        (train,), _ = made_data((data.train,), {})
        orders.append([next(iter(train))[0][:, 0] for _ in range(2)])
    np.testing.assert_array_equal(*orders)
    assert not np.array_equal(*orders[0])
