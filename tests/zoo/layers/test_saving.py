import keras
import numpy as np
import pytest

from zoo.layers import DropConnect, Maxout, StochasticDepth, Whitening
from zoo.losses import GaussianNLL, MulticlassHinge

LOAD = """
import keras, numpy as np
import zoo

model = keras.saving.load_model("model.keras")
x, expected = np.load("x.npy"), np.load("expected.npz")
for predicted, name in zip(model.predict(x, verbose=0), ("first", "second")):
    np.testing.assert_array_equal(predicted, expected[name])
losses = model.evaluate(x, (np.arange(10) % 3, x[:, :1]), verbose=0)
np.testing.assert_allclose(losses, expected["losses"], rtol=1e-5)

settings = {
    "depth": {"rate": 0.3, "seed": 5},
    "drop": {"rate": 0.4, "seed": 6, "units": 3, "use_bias": False},
    "maxout": {"units": 3, "pieces": 5},
    "whitening": {"method": "pca", "epsilon": 0.1, "is_adapted": True},
}
for name, values in settings.items():
    layer = model.get_layer(name)
    assert {key: getattr(layer, key) for key in values} == values
assert float(model.get_layer("maxout").kernel_regularizer.l2) == 0.25
assert [loss.get_config()["name"] for loss in model.loss] == ["hinge", "gaussian_nll"]
assert model.loss[0].margin == 2.5
assert model.loss[1].reduction == "sum"
"""


@pytest.mark.heavy
def test_all_predict_the_same_bits_in_a_new_process(tmp_path, run_python):
    x = np.random.default_rng(0).standard_normal((10, 3)).astype("float32")
    whitening = Whitening("pca", epsilon=0.1, name="whitening")
    whitening.adapt(x)
    inputs = keras.Input((3,))
    white = whitening(inputs)
    hidden = Maxout(3, 5, kernel_regularizer=keras.regularizers.L2(0.25), name="maxout")
    branch = hidden(white)
    branch = DropConnect(3, 0.4, seed=6, use_bias=False, name="drop")(branch)
    branch = StochasticDepth(0.3, seed=5, name="depth")(branch)
    scores = keras.layers.add([white, branch])
    model = keras.Model(inputs, [scores, keras.layers.Dense(2)(scores)])
    losses = [MulticlassHinge(2.5, name="hinge"), GaussianNLL(reduction="sum")]
    model.compile("sgd", losses)
    model.save(tmp_path / "model.keras")
    first, second = model.predict(x, verbose=0)
    losses = model.evaluate(x, (np.arange(10) % 3, x[:, :1]), verbose=0)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "expected.npz", first=first, second=second, losses=losses)
    run_python("-c", LOAD)
