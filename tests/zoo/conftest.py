import keras
import numpy as np
import pytest


@pytest.fixture
def jit_compile():
    """Compiles with XLA, which PyTorch has not."""
    return keras.backend.backend() != "torch"


@pytest.fixture
def check_new_process(tmp_path, run_python):
    """Checks that a saved model predicts the same bits in a new process."""

    def check(model, x, imports="keras"):
        model.save(tmp_path / "model.keras")
        np.savez(tmp_path / "data.npz", x=x, expected=model.predict(x, verbose=0))
        run_python(
            "-c",
            f"import keras, numpy as np, {imports}\n"
            "model = keras.saving.load_model('model.keras')\n"
            "data = np.load('data.npz')\n"
            "predicted = model.predict(data['x'], verbose=0)\n"
            "np.testing.assert_array_equal(predicted, data['expected'])\n",
        )

    return check
