"""The errors of uneven batches; `test_several_devices.py` tests how they are shared."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import zoo  # noqa: F401
from zoo.backend.keras_fit_internals import replace_batch_distribution

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX has keras.distribution"
)


@pytest.fixture
def library():
    """The module of Keras in which the function is replaced."""
    from keras.src.backend import distribution_lib

    return distribution_lib


def test_several_processes_must_have_even_batches(library, monkeypatch):
    monkeypatch.setattr("jax.process_count", lambda: 2)
    layout = SimpleNamespace(mesh=SimpleNamespace(shape={"batch": 4}))
    with pytest.raises(ValueError, match="a multiple of 2, .* Received: 3 examples"):
        library.distribute_data_input(np.ones((3, 5)), layout, "batch")


def test_a_function_that_is_gone(library, monkeypatch):
    monkeypatch.delattr(library, "distribute_data_input")
    with pytest.raises(ImportError, match=r"kerascope uses .*\.distribute_data_input`"):
        replace_batch_distribution(lambda *arguments: None)
