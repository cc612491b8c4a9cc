"""Exported to ONNX, models predict what they predict in Keras."""

import keras
import numpy as np
import pytest

from zoo import ensemble, lstm, mlp, res_mlp

pytestmark = [
    # Of the exporters, which trace the model and say what they treat as constant.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        keras.backend.backend() not in ("tensorflow", "torch"),
        reason="on JAX Keras exports with another package, jax2onnx",
    ),
]

IDS = np.array(
    [[1, 2, 3, 0, 0, 0, 0], [4, 5, 6, 7, 8, 9, 9], [0] * 7, [3, 0, 4, 0, 0, 0, 0]],
    "int32",
)
VECTORS = np.random.default_rng(0).normal(size=(4, 7, 5)).astype("float32")
TABLE = VECTORS[:, 0]


def of_tokens(**options):
    return lstm((7,), 3, vocabulary_size=10, units=(5,), embedding_size=4, **options)


MODELS = {
    **{
        f"tokens, {pooling}, {both}": (
            lambda pooling=pooling, both=both: of_tokens(
                pooling=pooling, bidirectional=both
            ),
            IDS,
        )
        for pooling in ("last", "mean", "max")
        for both in (False, True)
    },
    "two layers of tokens in both directions": (
        lambda: lstm((7,), 3, vocabulary_size=10, units=(5, 4), bidirectional=True),
        IDS,
    ),
    "vectors in both directions": (
        lambda: lstm((7, 5), 3, units=(5,), bidirectional=True, return_sequences=True),
        VECTORS,
    ),
    "language model": (
        lambda: lstm((7,), 10, vocabulary_size=10, units=(5,), return_sequences=True),
        IDS,
    ),
    "maxout": (lambda: mlp((5,), 3, units=(4, 4), activation="maxout"), TABLE),
    "res_mlp": (lambda: res_mlp((5,), 3, units=4, num_blocks=2), TABLE),
    "average of mlp": (
        lambda: ensemble.average([mlp((5,), 3, units=(4,)) for _ in range(2)]),
        TABLE,
    ),
    "average of labels": (
        lambda: ensemble.average(
            [mlp((5,), 3, units=(4,)) for _ in range(2)], task="multi_label"
        ),
        TABLE,
    ),
    "average of tokens": (
        lambda: ensemble.average(
            [of_tokens(pooling="max", bidirectional=True) for _ in range(2)]
        ),
        IDS,
    ),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", MODELS)
def test_onnx_predicts_what_keras_does(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="it runs ONNX")
    pytest.importorskip("onnx", reason="PyTorch exports with it")
    if keras.backend.backend() == "tensorflow":
        pytest.importorskip("tf2onnx", reason="TensorFlow exports with it")
    build, x = MODELS[name]
    model = build()
    weights = model.get_weights()  # heads start near zero
    model.set_weights([weight + 0.1 * (weight.ndim > 1) for weight in weights])
    path = str(tmp_path / "model.onnx")
    expected = model.predict(x, verbose=0)
    model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (received,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
