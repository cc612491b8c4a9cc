import keras
import numpy as np
import pytest

from zoo.adversarial.certification import certifier


@pytest.fixture
def eager(monkeypatch):
    """Runs the bounds without compilation, which takes longer than tiny networks.

    JAX would compile every operation by itself, which takes longer still.
    """
    if keras.backend.backend() == "jax":
        return

    def call_directly(function, variables=()):
        convert = keras.ops.convert_to_tensor
        return lambda *given: function(*keras.tree.map_structure(convert, given))

    monkeypatch.setattr(certifier, "compile_function", call_directly)


@pytest.fixture
def random_weights():
    return _random_weights


def _random_weights(model, seed, scale=1.0):
    """Gives all variables values that are not special, variances positive ones."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        values = generator.normal(size=variable.shape) * scale
        if len(variable.shape) == 2:
            values = values / np.sqrt(variable.shape[0])
        if "variance" in variable.path:
            values = 0.5 + values**2
        if "alpha" in variable.path:
            values = np.abs(np.tanh(values))
        if "count" not in variable.path and "seed" not in variable.path:
            variable.assign(values)
    return model
