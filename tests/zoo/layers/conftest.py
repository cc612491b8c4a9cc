import keras
import pytest


@pytest.fixture
def jit_compile():
    """Compiles with XLA, which PyTorch has not."""
    return keras.backend.backend() != "torch"
