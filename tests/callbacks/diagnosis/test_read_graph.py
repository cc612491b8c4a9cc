from types import SimpleNamespace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.reading.loss_facts import read_losses
from callbacks.diagnosis.reading.model_facts import read_model
from callbacks.diagnosis.reading.read_graph import name_of_activation, read_graph


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


@pytest.mark.parametrize("has_unused", [False, True])
def test_inputs_have_the_order_of_a_batch(has_unused):
    inputs = {"b": keras.Input((2,), name="b"), "a": keras.Input((3,), name="a")}
    joined = keras.layers.concatenate([inputs["b"], inputs["a"]])
    if has_unused:
        inputs["c"] = keras.Input((5,), name="c")
    try:
        model = keras.Model(inputs, keras.layers.Dense(1)(joined))
    except ValueError:
        assert has_unused
        pytest.skip("this version of Keras has no unused inputs")
    graph = read_graph(model)
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


def pooled(*last):
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(3, 1, activation=last[0], name="conv"),
        keras.layers.GlobalAveragePooling2D(),
        *last[1:],
    ]
    return read_graph(keras.Sequential(layers)).head(0)


def test_a_mean_hides_the_activation_before_it():
    softmax = keras.layers.Softmax()
    head = pooled("relu", softmax)
    assert (head.activation, head.before) == ("softmax", None)
    assert head.node.name == "conv"
    assert pooled("relu").activation is None
    head = pooled(None, softmax)
    assert (head.activation, head.before) == ("softmax", "linear")
    assert pooled(None).activation == "linear"


def test_activations_with_other_arguments_have_other_bounds():
    def last(layer):
        layers = [keras.Input((4,)), keras.layers.Dense(3), layer]
        return read_graph(keras.Sequential(layers)).head(0).activation

    assert last(keras.layers.ReLU()) == "relu"
    assert last(keras.layers.ReLU(negative_slope=0.1)) == "leaky_relu"
    assert last(keras.layers.ELU()) == "elu"
    assert last(keras.layers.ELU(alpha=3.0)) is None


def test_versions_in_the_names_of_functions_are_ignored():
    assert name_of_activation(SimpleNamespace(__name__="softmax_v2")) == "softmax"
    assert name_of_activation(SimpleNamespace(__name__="relu_v2x")) is None


def test_arguments_of_layers_are_read():
    layers = [keras.Input((5, 2)), keras.layers.Masking(-99.0), keras.layers.LSTM(3)]
    node = read_graph(keras.Sequential(layers)).nodes[1]
    assert node.options["mask_value"] == -99.0


def test_normalizations_of_examples_are_not_linear():
    def applied(layer):
        layers = [keras.Input((4,)), keras.layers.Dense(8), layer]
        model = keras.Sequential([*layers, keras.layers.Dense(3)])
        return read_graph(model).applied_activation(1)

    assert applied(keras.layers.BatchNormalization()) == "linear"
    assert applied(keras.layers.LayerNormalization()) is None


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


def test_kernels_without_a_variable_are_left_out():
    layer = keras.layers.Dense(8, name="adapted")
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(3)])
    model.compile("adam", "mse")
    layer.enable_lora(2)
    nodes = read_model(model).graph.nodes
    assert [node.has_kernel for node in nodes] == [False, False, True]


@pytest.mark.parametrize(
    "initializer",
    [
        "glorot_uniform",
        "he_normal",
        "lecun_uniform",
        "orthogonal",
        keras.initializers.RandomNormal(stddev=1.0),
        keras.initializers.TruncatedNormal(stddev=0.1),
        keras.initializers.RandomUniform(-0.2, 0.2),
        keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
    ],
)
@pytest.mark.parametrize("shape", [(50, 40), (40, 50)])
def test_kernels_look_initial_until_they_are_trained(initializer, shape):
    inputs, units = shape
    layer = keras.layers.Dense(
        units, use_bias=False, kernel_initializer=initializer, name="d"
    )
    model = keras.Sequential([keras.Input((inputs,)), layer])
    keras.utils.set_random_seed(1)
    values = np.array(layer.kernel_initializer(shape))
    layer.set_weights([values])
    kernel = read_graph(model).nodes[-1].kernel
    assert kernel.looks_initial
    assert kernel.is_new
    layer.set_weights([values * 1.3])
    assert not read_graph(model).nodes[-1].kernel.looks_initial


def test_a_model_is_new_until_its_biases_move():
    layers = [keras.layers.Dense(6, "relu"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("sgd", "mse")
    assert read_model(model).is_new
    for layer in layers:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, bias + 0.01])
    assert read_model(model).is_new is False
    unread = keras.Sequential([keras.Input((5, 4)), keras.layers.LSTM(3)])
    unread.compile("sgd", "mse")
    assert read_model(unread).is_new is None


def test_code_of_a_backend_is_not_read():
    class Foreign(keras.Model):
        def call(self, x):
            return np.asarray(x) * 2

    assert read_graph(Foreign(), np.zeros((2, 3), "float32")) is None
    assert read_graph(Foreign()) is None
    assert read_graph(Foreign(), np.array(["a", "b"])) is None


def test_errors_of_our_own_are_not_hidden(monkeypatch):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    def fail(*_):
        raise TypeError("a bug")

    model, x = Net(), np.zeros((2, 4), "float32")
    model(x)
    assert kinds(read_graph(model, x)) == ["InputLayer", "Dense"]
    monkeypatch.setattr("callbacks.diagnosis.reading.read_graph._node", fail)
    with pytest.raises(TypeError, match="a bug"):
        read_graph(model, x)


class Masked(keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.fn = keras.losses.mean_squared_error

    def call(self, y, p):
        return keras.ops.mean(p**2, axis=-1)


class Shifted(keras.losses.BinaryCrossentropy):
    def call(self, y, p):
        return super().call(y, p) - 1.0


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
        ("BinaryCrossentropy", "binary_crossentropy", False),
        (lambda y, p: p, None, None),
        (Masked(), None, None),
        (Shifted(), None, None),
        (None, None, None),
    ],
)
def test_losses(loss, name, from_logits):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", loss)
    (facts,) = read_losses(model, ["output"])
    assert (facts.name, facts.from_logits) == (name, from_logits)
    assert facts.is_known is (name is not None)


def test_the_settings_of_a_loss_are_read():
    def read(loss, outputs=1, **options):
        inputs = keras.Input((4,))
        ends = [keras.layers.Dense(3, name=f"o{i}")(inputs) for i in range(outputs)]
        model = keras.Model(inputs, ends if outputs > 1 else ends[0])
        model.compile("adam", loss, **options)
        return read_losses(model, model.output_names)

    sparse = keras.losses.SparseCategoricalCrossentropy
    (facts,) = read(sparse(ignore_class=255, reduction="sum", axis=1))
    assert (facts.ignore_class, facts.reduction, facts.axis) == (255, "sum", 1)
    (facts,) = read(keras.losses.MeanSquaredError(reduction=None))
    assert (facts.ignore_class, facts.reduction, facts.axis) == (None, "none", -1)
    (facts,) = read("mse", loss_weights=0.5)
    assert (facts.weight, facts.reduction) == (0.5, "sum_over_batch_size")
    facts = read(["mse", "mae"], 2, loss_weights=[1.0, 100.0])
    assert [one.weight for one in facts] == [1.0, 100.0]
    facts = read({"o0": "mse", "o1": "mae"}, 2, loss_weights={"o0": 1.0, "o1": 3})
    assert [one.weight for one in facts] == [1.0, 3.0]
    facts = read(["mse", None], 2)
    assert [(one.is_known, one.weight) for one in facts] == [(True, 1.0), (False, 0.0)]
