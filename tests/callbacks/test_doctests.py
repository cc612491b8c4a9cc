"""The examples in the docstrings, run as they stand."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest

import callbacks

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(callbacks.__path__, "callbacks.")
    if not name.startswith("callbacks.train_step.")  # one backend each
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    names = {"keras": keras, "np": np}
    result = doctest.testmod(module, extraglobs=names)
    assert result.failed == 0
