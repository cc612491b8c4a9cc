import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.differentiation import (
    compile_function,
    float64_scope,
    input_gradient,
    unchanged_state,
    weight_gradients,
)

ops = keras.ops
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


def standard_normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def state_of(model):
    return [to_numpy(variable) for variable in model.variables]


def assert_state(model, before):
    for value, earlier in zip(state_of(model), before, strict=True):
        np.testing.assert_array_equal(value, earlier)


def per_example_loss(model, y, training=False):
    def function(x):
        return keras.losses.sparse_categorical_crossentropy(
            y, model(x, training=training), from_logits=True
        )

    return function


def logistic_regression():
    """A linear model, and the closed forms of its loss and gradients."""
    model = mlp((4,), 3, units=())
    kernel, bias = (to_numpy(weight) for weight in model.weights)
    x, y = standard_normal(6, 4), np.arange(6) % 3
    logits = x @ kernel + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    residuals = probabilities - np.eye(3)[y]
    losses = -np.log(probabilities[np.arange(6), y])
    return model, x, y, losses, residuals


def test_input_gradient_is_the_closed_form():
    model, x, y, losses, residuals = logistic_regression()
    values, gradient = input_gradient(per_example_loss(model, y), x)
    np.testing.assert_allclose(to_numpy(values), losses, rtol=1e-5)
    expected = residuals @ to_numpy(model.weights[0]).T
    np.testing.assert_allclose(to_numpy(gradient), expected, rtol=1e-4, atol=1e-6)


def test_what_a_function_does_not_depend_on_has_gradient_zero():
    x = standard_normal(3, 2)
    for function in (
        lambda x: ops.sum(x[:, :1] ** 2, axis=1),
        lambda x: ops.ones(3),
    ):
        _, gradient = input_gradient(function, x)
        assert not to_numpy(gradient)[:, 1].any()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_gradient_has_the_dtype_of_the_input(dtype):
    _, gradient = input_gradient(
        lambda x: ops.sum(ops.cast(x, "float32") ** 2, axis=1), np.ones((2, 3), dtype)
    )
    assert keras.backend.standardize_dtype(gradient.dtype) == dtype


@pytest.mark.parametrize(
    ("function", "x", "message"),
    [
        (ops.mean, np.array([[1, 2]]), "`x`. Expected a float tensor.*Received: x='in"),
        (ops.mean, np.ones((2, 2)), r"`function`. Expected.*shape \(batch,\)"),
        (ops.sin, np.ones((2, 2)), r"Received: function=\(2, 2\)"),
        (lambda x: 3.0, np.ones((2, 2)), r"Received: function=\(\)"),
        (3, np.ones((2, 2)), "`function`. Expected a function of a batch"),
    ],
)
def test_wrong_arguments_of_input_gradient(function, x, message):
    with pytest.raises(ValueError, match=message):
        input_gradient(function, x)


@pytest.mark.parametrize("training", [False, True])
def test_input_gradient_leaves_the_state_as_found(training):
    model = mlp((4,), 3, units=(8,), normalization="batch", dropout=0.5)
    x, y = standard_normal(6, 4), np.arange(6) % 3
    before = state_of(model)
    function = per_example_loss(model, y, training)
    first, again = (to_numpy(input_gradient(function, x)[1]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert_state(model, before)


def test_a_step_after_input_gradient_is_the_same_step():
    def losses(attack):
        keras.utils.set_random_seed(0)
        model = mlp((4,), 3, units=(16,), dropout=0.5)
        model.compile("sgd", CROSS_ENTROPY)
        x, y = standard_normal(6, 4), np.arange(6) % 3
        if attack:
            input_gradient(per_example_loss(model, y, training=True), x)
        return [float(model.train_on_batch(x, y)) for _ in range(2)]

    assert losses(attack=True) == losses(attack=False)


def test_a_compiled_input_gradient_sees_the_weights_of_its_time():
    model = mlp((4,), 3, units=(8,), normalization="batch")
    x, y = standard_normal(6, 4), np.arange(6) % 3
    compiled = compile_function(
        lambda x, y: input_gradient(per_example_loss(model, y, training=True), x),
        model.variables,
    )
    compiled(x, y)
    model.set_weights([weight + 0.1 for weight in model.get_weights()])
    before = state_of(model)
    for batch in (x, x[:3]):  # the last batch of an epoch is smaller
        results = compiled(batch, y[: len(batch)])
        function = per_example_loss(model, y[: len(batch)], training=True)
        for result, expected in zip(
            results, input_gradient(function, batch), strict=True
        ):
            np.testing.assert_allclose(
                to_numpy(result), to_numpy(expected), rtol=1e-4, atol=1e-6
            )
    assert_state(model, before)


class AttackedModel(keras.Model):
    """Takes an input gradient inside of `fit`, on every backend."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x, training=False):
        function = per_example_loss(self.inner, ops.zeros(ops.shape(x)[:1], "int32"))
        _, gradient = input_gradient(function, x)
        return self.inner(x + 0.1 * ops.sign(gradient), training=training)


@pytest.mark.heavy
def test_input_gradient_inside_a_training_step():
    inner = mlp((4,), 3, units=(16,), normalization="batch", dropout=0.1)
    model = AttackedModel(inner)
    model.compile(keras.optimizers.Adam(0.05), CROSS_ENTROPY)
    x = standard_normal(32, 4)
    y = (x[:, 0] > 0).astype(int)
    losses = model.fit(x, y, epochs=8, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_weight_gradients_are_the_closed_form():
    model, x, y, _, residuals = logistic_regression()
    model.get_layer("head").kernel.regularizer = keras.regularizers.L2(0.1)
    model.compile("sgd", CROSS_ENTROPY)
    weights = np.linspace(0.0, 2.0, 6).astype("float32")
    kernel, bias = weight_gradients(model, x, y, sample_weight=weights)
    weighted = residuals * weights[:, None] / 6
    expected = x.T @ weighted + 0.2 * to_numpy(model.weights[0])
    np.testing.assert_allclose(to_numpy(kernel), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(to_numpy(bias), weighted.sum(axis=0), atol=1e-6)


class Penalty(keras.layers.Layer):
    def call(self, x):
        self.add_loss(0.01 * ops.sum(x**2))
        return x


def test_they_are_those_of_the_very_next_training_step():
    model = mlp(
        (4,),
        3,
        units=(16, 8),
        normalization="batch",
        dropout=0.5,
        kernel_regularizer="l2",
        postprocessing=Penalty(),
    )
    rate = 2.0**-4
    model.compile(keras.optimizers.SGD(rate), CROSS_ENTROPY)
    x, y = standard_normal(32, 4), np.arange(32) % 3
    model.train_on_batch(x, y)
    before = state_of(model)
    gradients = weight_gradients(model, x, y)
    assert_state(model, before)
    old = [to_numpy(variable) for variable in model.trainable_variables]
    model.train_on_batch(x, y)
    for variable, value, gradient in zip(
        model.trainable_variables, old, gradients, strict=True
    ):
        step = (value - to_numpy(variable)) / rate
        np.testing.assert_allclose(to_numpy(gradient), step, rtol=1e-3, atol=5e-6)


def test_without_training_they_are_those_of_inference():
    model = mlp((4,), 3, units=(), input_dropout=0.5)
    model.compile("sgd", CROSS_ENTROPY)
    plain = mlp((4,), 3, units=())
    plain.set_weights(model.get_weights())
    plain.compile("sgd", CROSS_ENTROPY)
    x, y = standard_normal(6, 4), np.arange(6) % 3
    gradients = weight_gradients(model, x, y, training=False)
    expected = weight_gradients(plain, x, y)
    for gradient, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(to_numpy(gradient), to_numpy(other), atol=1e-6)


def test_a_weight_that_the_loss_does_not_depend_on_has_gradient_zero():
    model = mlp((2,), 1, units=())
    model.unused = model.add_weight(shape=(3,), name="unused")
    model.compile("sgd", "mse")
    gradients = weight_gradients(model, np.ones((2, 2)), np.ones((2, 1)))
    used = {
        variable.name: bool(to_numpy(gradient).any())
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
    }
    assert used == {"kernel": True, "bias": True, "unused": False}


def test_gradients_of_tokens_are_dense():
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(5, 2),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    model.compile("sgd", CROSS_ENTROPY)
    tokens = np.array([[0, 1, 1], [3, 1, 0]])
    embedding, *_ = weight_gradients(model, tokens, np.array([0, 1]))
    assert [bool(row.any()) for row in to_numpy(embedding)] == [True, True, 0, True, 0]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = mlp((8,), 3, units=(16,))
    finally:
        keras.config.set_dtype_policy(before)
    full = mlp((8,), 3, units=(16,))
    full.set_weights(mixed.get_weights())
    for model in (mixed, full):
        model.compile("adam", CROSS_ENTROPY)
    x, y = standard_normal(32, 8), np.arange(32) % 3
    for gradient, expected in zip(
        weight_gradients(mixed, x, y), weight_gradients(full, x, y), strict=True
    ):
        assert keras.backend.standardize_dtype(gradient.dtype) == "float32"
        difference = np.linalg.norm(to_numpy(gradient) - to_numpy(expected))
        assert difference < 0.05 * np.linalg.norm(to_numpy(expected))


def test_small_gradients_survive_float16_since_the_loss_is_scaled():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mlp((1,), 1, units=(1,), activation="linear")
    finally:
        keras.config.set_dtype_policy(before)
    model.set_weights([np.ones((1, 1)), np.zeros(1), np.ones((1, 1)), np.zeros(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "mse")
    x = np.ones((1, 1), "float32")
    tiny = 2.0**-23  # to float16 half of its gradient, 2**-25, would be zero
    kernel, *_ = weight_gradients(
        model, x, x - 1, sample_weight=np.array([tiny / 4], "float32")
    )
    assert float(to_numpy(kernel)[0, 0]) == pytest.approx(tiny / 2)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (mlp((2,), 2), "`model`. Expected a keras.Model that is compiled"),
        (keras.Sequential([keras.layers.Dense(1)]), "`model`.*\nCall `model.compile"),
    ],
)
def test_a_model_that_is_not_ready(model, message):
    with pytest.raises(ValueError, match=message):
        weight_gradients(model, np.ones((1, 2)), np.zeros(1))


def test_training_is_true_or_false():
    with pytest.raises(ValueError, match="`training`. Expected one of True, False"):
        weight_gradients(mlp((2,), 2), np.ones((1, 2)), training="yes")


def test_assigned_values_hold_inside_alone():
    variable = keras.Variable(1.0, trainable=False)
    with unchanged_state([(variable, ops.convert_to_tensor(2.0))]):
        variable.assign_add(1.0)
        assert float(variable) == 3.0
        with unchanged_state():
            assert float(variable) == 3.0
            variable.assign(7.0)
        assert float(variable) == 3.0
    assert float(variable) == 1.0


def test_the_float64_scope_computes_in_float64_and_ends():
    usual = keras.backend.result_type("float64")
    with float64_scope():
        ones = ops.ones((1, 1))
        product = ops.matmul(ones, ones + 1e-12)
        assert keras.backend.standardize_dtype(product.dtype) == "float64"
        assert to_numpy(product)[0, 0] > 1.0
    assert keras.backend.result_type("float64") == usual
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.one_backend
def test_functions_of_several_models_are_not_one_that_is_traced_again(caplog):
    for i in range(8):
        compiled = compile_function(lambda x, i=i: x + i)
        assert float(compiled(np.float32(1.0))) == 1.0 + i
    assert "retracing" not in caplog.text
