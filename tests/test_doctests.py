"""The examples in the docstrings, run as they stand."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest

import callbacks
import tuning
import zoo

pytestmark = pytest.mark.one_backend

OTHER_BACKENDS = {"jax", "tensorflow", "torch"} - {keras.backend.backend()}
MODULES = ["kerascope"] + [
    name
    for package in (zoo, callbacks, tuning)
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if name.rpartition(".")[2] not in OTHER_BACKENDS
]
HEAVY = (
    "callbacks.monitors.activation_histograms",
    "callbacks.monitors.gradient_histograms",
    "callbacks.snapshots",
    "tuning.random_search",
    "zoo.adversarial.evaluation.evaluate_robustness",
    "zoo.adversarial.training.adversarial_trainer",
    "zoo.adversarial.training.certified_trainer",
    "zoo.ensemble",
)


@pytest.fixture(scope="module", autouse=True)
def _prepared():
    """TFDS prints when it prepares a dataset, which no example expects."""
    zoo.datasets.load("digits")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.heavy) if name in HEAVY else name
        for name in MODULES
    ],
)
def test_examples_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"keras": keras, "np": np})
    assert result.failed == 0
