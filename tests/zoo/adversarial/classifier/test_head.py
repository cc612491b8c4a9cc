"""How outputs are read: against NumPy on what the model itself returns."""

import functools

import keras
import numpy as np
import pytest

from zoo.adversarial.classifier.classifier import Classifier
from zoo.adversarial.classifier.expected_outputs import expected_outputs
from zoo.adversarial.evaluation.head_checks import check_accuracy, check_head

ops = keras.ops
losses = keras.losses
BINARY = losses.BinaryCrossentropy(from_logits=True)
X = np.linspace(0, 1, 41, dtype="float32")[:, None]
INPUT = keras.Input


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def one_output(*layers, scale=1.0, shift=0.0):
    """A model whose output is `scale * x + shift`, and then layers."""
    dense = keras.layers.Dense(1)
    model = keras.Sequential([INPUT((1,)), dense, *layers])
    dense.set_weights([np.array([[scale]]), np.array([shift])])
    return model


def several_outputs(*layers):
    dense = keras.layers.Dense(3)
    model = keras.Sequential([INPUT((1,)), dense, *layers])
    dense.set_weights([np.array([[-6.0, 1.0, 5.0]]), np.array([3.0, 0.5, -2.0])])
    return model


class Hidden(keras.Model):
    """A model that ends in an activation that no graph shows."""

    def __init__(self, model, activation):
        super().__init__()
        self.inner, self.activation = model, activation

    def call(self, x):
        return self.activation(self.inner(x))


def hidden(model, activation):
    model = Hidden(model, activation)
    model(X)
    return model


def check(model, y):
    """Returns the model as attacks see it, and what is said about it."""
    target = Classifier(model)
    x, classes = target.check_data(X, y, (0.0, 1.0))
    outputs = to_numpy(target.outputs(x))
    said = [
        *check_head(target, outputs),
        *check_accuracy(model, target.head, y, classes, outputs),
    ]
    return target, classes, outputs, said


def squared(y, outputs):
    return ops.mean(ops.square(y - outputs), axis=-1)


def entropy(y, outputs):
    return losses.binary_crossentropy(y, outputs, from_logits=True)


def entropy_of_probabilities(y, outputs):
    return losses.binary_crossentropy(y, outputs)


def hinge(y, outputs):
    return ops.mean(ops.relu(1 - (2 * y - 1) * outputs), axis=-1)


HALF = {
    "mse": "mse",
    "object": losses.MeanAbsoluteError(),
    "function": losses.huber,
    "list": ["mean_squared_error"],
    "dict": {"label": "mse"},
    "own": squared,
    "lambda": lambda y, outputs: squared(y, outputs),
    "wrapped": losses.get("log_cosh"),
}
ZERO = {
    "object": BINARY,
    "list": [BINARY],
    "partial": functools.partial(losses.binary_crossentropy, from_logits=True),
    "own": entropy,
    "hinge": "hinge",
    "squared hinge": losses.SquaredHinge(),
    "own hinge": hinge,
    "focal": losses.BinaryFocalCrossentropy(from_logits=True),
}


@pytest.mark.parametrize("name", HALF)
def test_outputs_driven_to_0_and_1_have_a_threshold_of_one_half(name):
    loss = HALF[name]
    model = one_output(scale=1.2, shift=-0.1)
    if name == "dict":
        model = keras.Model(model.inputs, {"label": model.outputs[0]})
    model.compile("sgd", loss)
    y = (X[:, 0] > 0.4).astype(int)
    target, classes, outputs, said = check(model, y)
    expected = (outputs[:, 0] > 0.5).astype(int)
    np.testing.assert_array_equal(target.head.classes(outputs), expected)
    np.testing.assert_array_equal(to_numpy(target.logits(X)).argmax(axis=1), expected)
    np.testing.assert_array_equal(classes, y)
    assert said == []


@pytest.mark.parametrize("name", ZERO)
def test_logits_and_margins_have_a_threshold_of_zero(name):
    model = one_output(scale=4, shift=-2)
    model.compile("sgd", ZERO[name])
    y = (X[:, 0] > 0.4).astype(int)
    target, _, outputs, said = check(model, y)
    expected = (outputs[:, 0] > 0).astype(int)
    np.testing.assert_array_equal(target.head.classes(outputs), expected)
    np.testing.assert_array_equal(to_numpy(target.logits(X)).argmax(axis=1), expected)
    assert said == []


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("crossentropy", "probabilities"),
        (losses.binary_crossentropy, "probabilities"),
        (losses.KLDivergence(), "probabilities"),
        ("dice", "probabilities"),
        (entropy_of_probabilities, "probabilities"),
        (functools.partial(losses.binary_crossentropy), "probabilities"),
        (entropy, "logits"),
        ("poisson", "rates"),
        (squared, "values"),
        (hinge, "margins"),
        (lambda y, outputs: 0 * outputs, None),
        (lambda outputs: outputs, None),
        ([None, None], None),
        (["mse", "mse"], None),
    ],
)
def test_what_a_loss_takes_outputs_for(loss, kind):
    assert expected_outputs(loss, 1) == kind


@pytest.mark.parametrize("threshold", [0.3, 0.8])
@pytest.mark.parametrize("layers", [(), (keras.layers.Activation("sigmoid"),)])
def test_a_chosen_threshold_counts(threshold, layers):
    model = one_output(*layers, scale=4 if layers else 1, shift=-2 if layers else 0)
    metric = keras.metrics.BinaryAccuracy(threshold=threshold)
    model.compile("sgd", "binary_crossentropy" if layers else "mse", metrics=[metric])
    y = (X[:, 0] > 0.5).astype(int)
    target, _, outputs, said = check(model, y)
    expected = (outputs[:, 0] > threshold).astype(int)
    np.testing.assert_array_equal(target.head.classes(outputs), expected)
    np.testing.assert_array_equal(to_numpy(target.logits(X)).argmax(axis=1), expected)
    assert said == []
    assert not metric.variables or not np.any(to_numpy(metric.variables[0]))


@pytest.mark.parametrize("labels", ["0 and 1", "-1 and 1", "booleans", "column"])
@pytest.mark.parametrize("loss", ["hinge", "mse"])
def test_labels_of_one_output(labels, loss):
    shift = -0.5 if loss == "hinge" or labels == "-1 and 1" else 0
    model = one_output(shift=shift)
    model.compile("sgd", loss)
    right = X[:, 0] > 0.5
    y = {
        "0 and 1": right.astype("float64"),
        "-1 and 1": np.where(right, 1, -1),
        "booleans": right,
        "column": right.astype("uint8")[:, None],
    }[labels]
    target, classes, outputs, said = check(model, y)
    np.testing.assert_array_equal(classes, right)
    np.testing.assert_array_equal(target.head.classes(outputs), right)
    assert said == []


def test_labels_of_minus_one_are_no_labels_of_a_cross_entropy():
    model = one_output()
    model.compile("sgd", BINARY)
    with pytest.raises(ValueError, match="`y`. Expected 41 classes.*from -1 to 1"):
        check(model, np.where(X[:, 0] > 0.5, 1, -1))


HEADS = {
    "visible": lambda: one_output(
        keras.layers.Activation("sigmoid"), scale=4, shift=-2
    ),
    "operation": lambda: one_output(
        keras.layers.Activation(ops.sigmoid), scale=4, shift=-2
    ),
    "float32 after it": lambda: one_output(
        keras.layers.Activation("sigmoid"),
        keras.layers.Activation("linear", dtype="float32"),
        scale=4,
        shift=-2,
    ),
    "lambda": lambda: one_output(
        keras.layers.Lambda(lambda x: 1 / (1 + ops.exp(-x))), scale=4, shift=-2
    ),
    "subclassed": lambda: hidden(one_output(scale=4, shift=-2), ops.sigmoid),
}


@pytest.mark.parametrize("name", HEADS)
def test_sigmoids_wherever_they_are(name):
    model = HEADS[name]()
    model.compile("sgd", losses.binary_crossentropy, metrics=["accuracy"])
    y = (X[:, 0] > 0.4).astype(int)
    target, _, outputs, said = check(model, y)
    np.testing.assert_array_equal(target.head.classes(outputs), outputs[:, 0] > 0.5)
    odds = np.log(outputs[:, 0] / (1 - outputs[:, 0]))
    np.testing.assert_allclose(to_numpy(target.logits(X))[:, 1], odds, atol=1e-4)
    assert said == []


@pytest.mark.parametrize(
    "activation", [ops.softmax, ops.sigmoid, ops.log_softmax, lambda x: x]
)
@pytest.mark.parametrize("one_hot", [False, True])
def test_several_outputs(activation, one_hot):
    model = hidden(several_outputs(), activation)
    from_logits = activation not in (ops.softmax, ops.sigmoid)
    if activation is ops.sigmoid:
        loss = losses.BinaryCrossentropy()
    else:
        loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile("sgd", loss, metrics=["accuracy", "binary_accuracy"])
    y = np.digitize(X[:, 0], [0.3, 0.6])
    target, classes, outputs, said = check(model, np.eye(3)[y] if one_hot else y)
    np.testing.assert_array_equal(classes, y)
    np.testing.assert_array_equal(
        to_numpy(target.logits(X)).argmax(axis=1), outputs.argmax(axis=1)
    )
    assert said == []


SPARSE = losses.SparseCategoricalCrossentropy
CONTRADICTIONS = {
    "string": "sparse_categorical_crossentropy",
    "function": losses.sparse_categorical_crossentropy,
    "list": [losses.categorical_crossentropy],
    "dict": {"label": SPARSE()},
    "kl_divergence": "kl_divergence",
    "partial": functools.partial(losses.categorical_crossentropy, from_logits=False),
    "focal": losses.CategoricalFocalCrossentropy(),
    "short": "crossentropy",
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_logits_and_a_loss_of_probabilities(name):
    model = several_outputs()
    if name == "dict":
        model = keras.Model(model.inputs, {"label": model.outputs[0]})
    model.compile("sgd", CONTRADICTIONS[name])
    said = check(model, np.digitize(X[:, 0], [0.3, 0.6]))[-1]
    assert len(said) == 1
    assert "from_logits=False" in said[0]


@pytest.mark.parametrize("is_hidden", [False, True])
def test_probabilities_and_a_loss_of_logits(is_hidden):
    model = several_outputs(*([] if is_hidden else [keras.layers.Softmax()]))
    model = hidden(model, ops.softmax) if is_hidden else model
    model.compile("sgd", SPARSE(from_logits=True))
    said = check(model, np.digitize(X[:, 0], [0.3, 0.6]))[-1]
    assert len(said) == 1
    assert "ends in a softmax" in said[0]
    assert "from_logits=True" in said[0]


def own_accuracy(y, outputs):
    return ops.cast(ops.cast(y, "bool") == (ops.squeeze(outputs, -1) > 0.7), "float32")


own_accuracy.__name__ = "accuracy"


@pytest.mark.parametrize(
    ("loss", "metric", "name"),
    [
        (BINARY, "accuracy", "accuracy"),  # compares logits with 0.5
        ("hinge", "binary_accuracy", "binary_accuracy"),
        ("mse", own_accuracy, "accuracy"),
        ("mse", keras.metrics.Accuracy(), "accuracy"),
        (BINARY, keras.metrics.BinaryAccuracy(name="mine"), "mine"),
    ],
)
def test_an_accuracy_that_measures_something_else_is_named(loss, metric, name):
    model = one_output(scale=1.0, shift=0.0 if loss == "mse" else -0.2)
    model.compile("sgd", loss, metrics=[metric])
    y = (X[:, 0] > (0.5 if loss == "mse" else 0.2)).astype(int)
    said = check(model, y)[-1]
    assert len(said) == 1
    measured = model.evaluate(X, y, verbose=0)[1]
    assert f"`{name}` is {measured:.4f}" in said[0]


def test_one_output_of_a_model_that_is_not_compiled():
    """Logits by convention; that another threshold fits much better is said."""
    y = (X[:, 0] > 0.5).astype(int)
    said = check(one_output(scale=1.0, shift=0.1), y)[-1]
    assert len(said) == 1
    assert "would be 0.9024 by one of 0.5" in said[0]
    assert check(one_output(scale=4, shift=-2), y)[-1] == []


def test_a_model_of_rank_one_is_refused():
    model = hidden(one_output(), lambda x: ops.squeeze(x, axis=1))
    with pytest.raises(ValueError, match=r"`model`. Expected a classifier.*\(41,\)"):
        check(model, (X[:, 0] > 0.5).astype(int))
