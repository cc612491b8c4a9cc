import keras
import numpy as np
import pytest

from callbacks.diagnosis.reading.loss_facts import read_losses
from callbacks.diagnosis.reading.read_graph import read_graph


def kinds(graph):
    return [node.kind for node in graph.nodes]


def test_inner_models_are_part_of_the_graph():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
    inputs = keras.Input((4,))
    outputs = keras.layers.Add()([inner(inputs), inner(inputs)])
    graph = read_graph(keras.Model(inputs, keras.layers.Dense(2)(outputs)))
    assert sorted(kinds(graph)) == ["Add", "Dense", "Dense", "InputLayer"]
    assert graph.nodes[graph.outputs[0]].shape == (2,)
    assert len(graph.hidden()) == 1


def test_inputs_have_the_order_of_a_batch():
    inputs = {"b": keras.Input((2,), name="b"), "a": keras.Input((3,), name="a")}
    unused = keras.Input((5,), name="c")
    joined = keras.layers.concatenate([inputs["b"], inputs["a"]])
    outputs = keras.layers.Dense(1)(joined)
    graph = read_graph(keras.Model(inputs | {"c": unused}, outputs))
    names = [None if i is None else graph.nodes[i].name for i in graph.inputs]
    assert names[:2] == ["a", "b"]


@pytest.mark.parametrize(
    ("layers", "activation", "before"),
    [
        ([keras.layers.Dense(3, "softmax")], "softmax", "linear"),
        ([keras.layers.Dense(3), keras.layers.Softmax()], "softmax", "linear"),
        ([keras.layers.Dense(3), keras.layers.Activation("tanh")], "tanh", "linear"),
        ([keras.layers.Dense(3, "relu"), keras.layers.Softmax()], "softmax", "relu"),
        ([keras.layers.Dense(3), keras.layers.Flatten()], "linear", "linear"),
        ([keras.layers.Dense(3, lambda x: x)], None, "linear"),
        ([keras.layers.Dense(3, keras.layers.LeakyReLU())], "leaky_relu", "linear"),
        ([keras.layers.Dense(3), keras.layers.Dropout(0.5)], "linear", "linear"),
    ],
)
def test_heads(layers, activation, before):
    head = read_graph(keras.Sequential([keras.Input((4,)), *layers])).head(0)
    assert head.activation == activation
    assert head.before == before
    assert head.units == 3
    assert head.node.name == layers[0].name


def test_operations_are_read():
    inputs = keras.Input((4,))
    hidden = keras.ops.relu(keras.layers.Dense(8)(inputs))
    outputs = keras.ops.softmax(keras.layers.Dense(3)(hidden))
    graph = read_graph(keras.Model(inputs, outputs))
    assert graph.head(0).activation == "softmax"
    assert [graph.applied_activation(i) for i in graph.hidden()] == ["relu"]


def test_kernels_are_measured():
    layer = keras.layers.Dense(64)
    model = keras.Sequential([keras.Input((100,)), layer])
    kernel = read_graph(model).nodes[-1].kernel
    values = layer.get_weights()[0]
    assert kernel.rms == pytest.approx(np.sqrt((values**2).mean()))
    assert kernel.gain == pytest.approx(10 * kernel.rms)
    assert kernel.looks_initial
    assert not kernel.equal_units
    layer.set_weights(
        [values + 0.01 * np.random.default_rng(0).normal(size=(100, 64)), np.zeros(64)]
    )
    assert not read_graph(model).nodes[-1].kernel.looks_initial


def test_code_of_a_backend_is_not_read():
    class Foreign(keras.Model):
        def call(self, x):
            return np.asarray(x) * 2

    assert read_graph(Foreign(), np.zeros((2, 3), "float32")) is None
    assert read_graph(Foreign()) is None


@pytest.mark.parametrize(
    ("loss", "name", "from_logits"),
    [
        ("mse", "mean_squared_error", None),
        (keras.losses.MeanSquaredError(), "mean_squared_error", None),
        (keras.losses.mean_squared_error, "mean_squared_error", None),
        ("binary_crossentropy", "binary_crossentropy", False),
        (
            keras.losses.BinaryCrossentropy(from_logits=True),
            "binary_crossentropy",
            True,
        ),
        (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "sparse_categorical_crossentropy",
            True,
        ),
        (
            keras.losses.sparse_categorical_crossentropy,
            "sparse_categorical_crossentropy",
            False,
        ),
        (keras.losses.KLDivergence(), "kl_divergence", None),
        (keras.losses.LogCosh(), "log_cosh", None),
        (lambda y, p: p, None, None),
        (None, None, None),
    ],
)
def test_losses(loss, name, from_logits):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", loss)
    (facts,) = read_losses(model, ["output"])
    assert (facts.name, facts.from_logits) == (name, from_logits)
