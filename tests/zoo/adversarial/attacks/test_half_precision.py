"""Attacks on models that compute in 16 bits, against the same weights in float32."""

import keras
import numpy as np
import pytest
from keras import ops

from zoo.adversarial import APGD, FGSM, PGD

LARGE = 800.0  # of the gradient: times 1,024 it is beyond float16


def build(policy, scale=LARGE, dtype="float32"):
    """Two classes by a linear function, with a gradient of about `scale`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layers = [
            keras.layers.Dense(8, use_bias=False),
            keras.layers.Dense(2, use_bias=False, dtype="float32"),
        ]
        model = keras.Sequential([keras.Input((5,), dtype=dtype), *layers])
    finally:
        keras.config.set_dtype_policy(before)
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(5, 8)) * scale / 8
    model.set_weights([kernel, generator.normal(size=(8, 2))])
    return model, kernel @ model.get_weights()[1] @ np.array([-1.0, 1.0])


@pytest.mark.heavy
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("attack", [FGSM, PGD, APGD])
def test_the_direction_of_a_large_gradient_is_kept(attack, policy, norm):
    model, slope = build(policy)
    x = np.full((1, 5), 0.5, "float32")
    y = model.predict(x, verbose=0).argmax(axis=1)
    options = {} if attack is FGSM else {"steps": 5, "random_start": False}
    epsilon = 0.01  # too small to change the class
    found = attack(epsilon, norm=norm, **options)(model, x, y) - x
    uphill = slope if y[0] == 0 else -slope
    uphill = np.sign(uphill) if norm == "linf" else uphill / np.linalg.norm(uphill)
    cosine = (found @ uphill) / np.linalg.norm(found) / np.linalg.norm(uphill)
    assert cosine > 0.99


def test_training_keeps_the_direction_of_a_large_gradient():
    model, slope = build("mixed_float16")
    x = ops.convert_to_tensor(np.full((1, 5), 0.5, "float32"))
    found = FGSM(0.01, norm="l2").perturb(
        lambda x: ops.cast(model(x, training=False), "float32"),
        x,
        lambda logits: logits[:, 1] - logits[:, 0],
    )
    moved = np.asarray(ops.convert_to_numpy(found - x))[0]
    np.testing.assert_allclose(moved, 0.01 * slope / np.linalg.norm(slope), atol=1e-4)


def test_a_float32_model_takes_each_step_once():
    calls = []
    model, _ = build("float32")

    def logits(x):
        calls.append(1)
        return model(x, training=False)

    attack = PGD(0.01, steps=5, random_start=False)
    if keras.backend.backend() != "torch":
        pytest.skip("Only PyTorch runs the function at every step.")
    x = ops.convert_to_tensor(np.full((1, 5), 0.5, "float32"))
    attack.perturb(logits, x, lambda logits: logits[:, 1])
    assert len(calls) == 5


def test_a_gradient_that_is_never_finite_ends_the_search():
    class Root(keras.layers.Layer):
        def call(self, x):
            return ops.concatenate([x, ops.sqrt(0 * x)], axis=1)

    model = keras.Sequential([keras.Input((1,)), Root()])
    x = np.full((2, 1), 0.5, "float32")
    found = PGD(0.1, steps=4, random_start=False)(model, x, np.zeros(2, int))
    assert found.shape == x.shape
