import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial.classifier.logits import as_classes, find_logits, log_probabilities

ops = keras.ops


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def base():
    return mlp((4,), 3, units=(8,))


def with_layer(layer):
    model = base()
    return keras.Model(model.input, layer(model.output)), model


def in_the_last_layer(activation):
    model = base()
    last = keras.layers.Dense(3, activation=activation)
    outputs = last(model.layers[-2].output)
    last.set_weights(model.layers[-1].get_weights())
    return keras.Model(model.input, outputs), model


def nested():
    inner, model = in_the_last_layer("softmax")
    return keras.Sequential([keras.Input((4,)), keras.layers.Identity(), inner]), model


HEADS = {
    "layer": (lambda: with_layer(keras.layers.Softmax()), "softmax"),
    "activation": (
        lambda: with_layer(keras.layers.Activation("softmax")),
        "softmax",
    ),
    "operation": (lambda: with_layer(ops.softmax), "softmax"),
    "last layer": (lambda: in_the_last_layer("softmax"), "softmax"),
    "sigmoid": (lambda: in_the_last_layer("sigmoid"), "sigmoid"),
    "nested": (nested, "softmax"),
    "none": (lambda: (base(),) * 2, None),
    "tanh": (lambda: with_layer(keras.layers.Activation("tanh")), None),
}


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_found_before_the_activation(name):
    make, activation = HEADS[name]
    model, plain = make()
    logits, found = find_logits(model)
    assert found == activation
    x = np.random.default_rng(0).random((5, 4), dtype="float32")
    expected = model(x) if name == "tanh" else plain(x)
    before = to_numpy(model(x))
    np.testing.assert_allclose(to_numpy(logits(x)), to_numpy(expected), atol=1e-6)
    np.testing.assert_array_equal(to_numpy(model(x)), before)


def test_a_subclassed_model_is_taken_as_it_is():
    class Doubles(keras.Model):
        def call(self, x):
            return 2 * x

    model = Doubles()
    logits, activation = find_logits(model)
    assert activation is None
    assert to_numpy(logits(np.ones((1, 2), "float32"))).tolist() == [[2.0, 2.0]]


def test_one_output_becomes_two_classes():
    outputs = np.array([[2.0], [-1.0]], "float32")
    assert to_numpy(as_classes(outputs)).tolist() == [[0, 2], [0, -1]]


def test_logits_of_probabilities():
    probabilities = np.array([[0.25, 0.75], [0.0, 1.0]], "float32")
    logits = to_numpy(log_probabilities(probabilities, "softmax"))
    np.testing.assert_allclose(np.exp(logits), probabilities, atol=1e-6)
    logits = to_numpy(log_probabilities(probabilities[:1], "sigmoid"))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), probabilities[:1], rtol=1e-5)


def test_a_graph_that_cannot_be_read_is_an_error():
    """It must not count as a model without a final softmax."""
    model = base()
    del model.outputs[0]._keras_history
    with pytest.raises(ImportError, match="`KerasTensor._keras_history`"):
        find_logits(model)
