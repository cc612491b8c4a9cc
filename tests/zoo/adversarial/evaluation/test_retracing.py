"""Compiled functions, which are traced once and then reused."""

import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import evaluate_robustness

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="counts traces of TensorFlow"
)


@pytest.mark.heavy
def test_an_evaluation_traces_each_function_once(monkeypatch):
    import tensorflow as tf

    functions, messages = [], []
    make = tf.function

    def recorded(*arguments, **options):
        functions.append(make(*arguments, **options))
        return functions[-1]

    monkeypatch.setattr(tf, "function", recorded)
    monkeypatch.setattr(
        tf.get_logger(), "handle", lambda record: messages.append(record.getMessage())
    )
    generator = np.random.default_rng(0)
    data = generator.random((60, 4)), generator.integers(0, 2, 60)
    model = mlp((4,), 2, units=(5,))
    epsilons = (0.05, 0.1, 0.2)  # each leaves another number of examples
    evaluate_robustness(model, data, epsilons, steps=3, batch_size=32, verbose=0)
    assert len(functions) > 5
    counts = [one.experimental_get_tracing_count() for one in functions]
    assert max(counts) == 1
    assert not [text for text in messages if "retracing" in text]
