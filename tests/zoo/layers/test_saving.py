import keras
import numpy as np

from zoo.layers import StochasticDepth

LOAD = """
import keras, numpy as np
import zoo

model = keras.saving.load_model("model.keras")
predicted = model.predict(np.load("x.npy"), verbose=0)
np.testing.assert_array_equal(predicted, np.load("expected.npy"))
depth = model.get_layer("depth")
assert (depth.rate, depth.seed) == (0.3, 5)
"""


def test_all_layers_predict_the_same_bits_in_a_new_process(tmp_path, run_python):
    inputs = keras.Input((3,))
    x = keras.layers.Dense(3)(inputs)
    x = keras.layers.add([inputs, StochasticDepth(0.3, seed=5, name="depth")(x)])
    model = keras.Model(inputs, x)
    x = np.random.default_rng(0).standard_normal((10, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "expected.npy", model.predict(x, verbose=0))
    run_python("-c", LOAD)
