import keras
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
