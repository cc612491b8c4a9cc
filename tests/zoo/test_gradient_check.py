import keras
import numpy as np
import pytest

from zoo import lstm, mlp
from zoo.differentiation import weight_gradients
from zoo.gradient_check import check_gradients
from zoo.gradient_report import GradientReport

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def to_numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


def with_gradient_factor(factor):
    """The identity, whose gradient is a multiple of what it should be."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.custom_gradient(
            lambda x: (tf.identity(x), lambda upstream: factor * upstream)
        )
    if backend == "jax":
        import jax

        function = jax.custom_vjp(lambda x: x)
        function.defvjp(lambda x: (x, None), lambda _, upstream: (factor * upstream,))
        return function
    import torch

    class Identity(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, upstream):
            return factor * upstream

    return Identity.apply


class Planted(keras.layers.Layer):  # not registered
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return with_gradient_factor(self.factor)(x)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "right"), (1.01, "suspicious"), (1.1, "wrong")]
)
def test_it_finds_a_factor_in_a_custom_gradient(factor, verdict):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="tanh", name="before"),
            Planted(factor),
            keras.layers.Dense(3, name="after"),
        ]
    )
    model.compile("sgd", CROSS_ENTROPY)
    report = check_gradients(model, standard_normal(6, 4), np.arange(6) % 3)
    assert report.verdict == verdict
    before, _, after, _ = report.to_frame().itertuples()
    assert before.variable.endswith("before/kernel")
    assert (before.verdict, after.verdict) == (verdict, "right")
    assert before.error == pytest.approx(1 - 1 / factor, abs=1e-6)
    assert before.analytic / before.numeric == pytest.approx(factor, abs=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "relu", "units": (16, 8)},
        {
            "activation": "tanh",
            "normalization": "batch",
            "dropout": 0.5,
            "kernel_regularizer": "l2",
        },
        {
            "activation": keras.layers.LeakyReLU(negative_slope=0.1),
            "normalization": "layer",
        },
        {"activation": "tanh", "drop_connect": 0.3},
    ],
)
def test_correct_models_are_right(settings):
    model = mlp((5,), 3, **{"units": (8,), **settings})
    model.compile("adam", CROSS_ENTROPY)
    weights = np.linspace(0.5, 1.5, 12)
    x, y = standard_normal(12, 5), np.arange(12) % 3
    report = check_gradients(model, x, y, sample_weight=weights, samples=8)
    assert report.verdict == "right"
    assert report.error < 1e-7


def test_tied_embeddings_are_right():
    options = {"vocabulary_size": 9, "units": (4,), "embedding_size": 3}
    model = lstm((6,), 9, return_sequences=True, tie_embeddings=True, **options)
    model.compile("adam", CROSS_ENTROPY)
    ids = np.random.default_rng(0).integers(2, 9, (3, 6))
    report = check_gradients(model, ids, np.roll(ids, -1, axis=1), samples=5)
    assert (report.verdict, report.kinks) == ("right", 0)


def test_recurrent_layers_and_tokens():
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(6, 3),
            keras.layers.Bidirectional(keras.layers.LSTM(2)),
            keras.layers.Dense(2),
        ]
    )
    model.compile("adam", CROSS_ENTROPY)
    tokens = np.random.default_rng(0).integers(0, 6, (3, 4))
    assert check_gradients(model, tokens, np.array([0, 1, 1]), samples=4).error < 1e-7


def test_mixed_precision_is_checked_in_float64():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mlp((5,), 1, units=(4,), activation="tanh")
    finally:
        keras.config.set_dtype_policy(before)
    model.compile("adam", "mse")
    report = check_gradients(model, standard_normal(4, 5), np.ones((4, 1)))
    assert report.error < 1e-7


def two_units(weight):
    """Loss (max(w1, 0) - 1)^2 + (max(w2, 0) - 1)^2, halved, at (weight, 0.5)."""
    layer = keras.layers.Dense(2, activation="relu", use_bias=False)
    model = keras.Sequential([keras.Input((1,)), layer])
    model.set_weights([np.array([[weight, 0.5]])])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("weight", [0.0, 1e-6, -1e-5 / 3, 4e-6, -9e-6])
def test_a_coordinate_at_a_kink_is_left_out_and_counted(weight):
    report = check_gradients(two_units(weight), np.ones((1, 1)), np.ones((1, 2)))
    (row,) = report.rows
    assert (row["checked"], row["kinks"], report.kinks) == (1, 1, 1)
    assert report.verdict == "right"
    assert row["numeric"] == pytest.approx(0.5 - 1)


@pytest.mark.parametrize("weight", [2e-5, -2e-5])
def test_a_kink_beyond_the_step_is_none(weight):
    report = check_gradients(two_units(weight), np.ones((1, 1)), np.ones((1, 2)))
    assert (report.kinks, report.verdict) == (0, "right")


def test_a_derivative_that_is_not_finite_is_wrong_at_a_kink_too():
    class Norm(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(3,), initializer="zeros", name="w")

        def call(self, x):
            norm = keras.ops.sqrt(keras.ops.sum(keras.ops.square(self.kernel)))
            return x * norm

    model = keras.Sequential([keras.Input((1,)), Norm()])
    model.compile("sgd", "mae")
    report = check_gradients(model, np.ones((1, 1)), -np.ones((1, 1)))
    assert report.verdict == "wrong"
    assert not np.isfinite(report.rows[0]["analytic"])


def test_where_all_is_kinks_nothing_is_right():
    model = mlp((2,), 1, units=(3,), kernel_initializer="zeros")
    model.get_layer("head").kernel.assign(np.ones((3, 1)))
    model.get_layer("head").trainable = False
    model.compile("sgd", "mse")
    report = check_gradients(model, np.ones((2, 2)), np.ones((2, 1)))
    assert [row["checked"] for row in report.rows] == [0, 0]
    assert report.kinks == 9
    assert report.verdict == "suspicious"


def test_derivatives_of_zero_are_right():
    model = mlp((3,), 2, units=(4,), normalization="batch", activation="tanh")
    model.compile("sgd", CROSS_ENTROPY)
    report = check_gradients(model, standard_normal(8, 3), np.arange(8) % 2)
    bias = report.to_frame().set_index("variable").loc["hidden_1/bias"]
    assert abs(bias.analytic) < 1e-12  # normalization takes it out again
    assert bias.verdict == "right"


def test_a_loss_that_is_not_finite_is_wrong():
    model = mlp((1,), 1, units=())
    model.compile("sgd", "mse")
    report = check_gradients(model, np.array([[np.nan]]), np.ones((1, 1)))
    assert (report.verdict, report.error) == ("wrong", np.inf)


def test_the_copy_has_the_weights_and_the_statistics():
    data = 10 + 5 * standard_normal(30, 2)
    normalization = keras.layers.Normalization()
    normalization.adapt(data)
    model = mlp((2,), 1, units=(3,), preprocessing=normalization, activation="tanh")
    model.compile("sgd", "mse", loss_weights=3.0)
    x, y = data[:6], np.ones((6, 1))
    row = check_gradients(model, x, y, training=False).rows[-1]
    expected = float(to_numpy(weight_gradients(model, x, y, training=False)[-1])[0])
    assert row["variable"] == "head/bias"
    assert row["analytic"] == pytest.approx(expected, rel=1e-5)


def test_the_model_stays_as_it_is():
    model = mlp((3,), 2, units=(4,), normalization="batch", dropout=0.5)
    model.compile("sgd", CROSS_ENTROPY)
    before = [to_numpy(variable) for variable in model.variables]
    check_gradients(model, standard_normal(4, 3), np.arange(4) % 2, samples=1)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), value)
    assert keras.config.floatx() == "float32"
    assert model.get_layer("hidden_1").compute_dtype == "float32"


def test_a_sample_follows_the_seed_and_has_the_largest_derivative():
    model = mlp((30,), 1, units=())
    model.compile("sgd", "mse")
    x = np.zeros((2, 30), "float32")
    x[:, 17] = 1.0  # the only one with a derivative
    settings = {"x": x, "y": np.ones((2, 1)), "samples": 5}
    one, again = (check_gradients(model, **settings, seed=3) for _ in range(2))
    assert one == again
    kernel, bias = one.rows
    assert (kernel["size"], kernel["checked"], bias["checked"]) == (30, 5, 1)
    everything = check_gradients(model, **{**settings, "samples": 30})
    assert everything.rows[0]["checked"] == 30


def test_it_prints_the_worst_of_many_variables():
    row = {"size": 1, "checked": 1, "kinks": 0, "analytic": 1.0, "numeric": 1.0}
    rows = tuple({"variable": f"v{i}", "error": i * 1e-9, **row} for i in range(50))
    text = str(GradientReport(rows))
    lines = text.splitlines()
    assert lines[0].endswith("The 20 worst of 50 variables:")
    assert [line.split()[0] for line in lines[2:]] == [f"v{i}" for i in range(30, 50)]
    assert repr(GradientReport(rows)) == text


def test_it_prints_a_table():
    model = mlp((2,), 1, units=())
    model.compile("sgd", "mse")
    text = str(check_gradients(model, np.ones((2, 2)), np.ones((2, 1))))
    head, columns, kernel, bias = text.splitlines()
    assert head.startswith("Gradients: right. Largest relative error ")
    assert head.endswith("at 3 coordinates; 0 more at kinks, left out.")
    assert columns.split()[:5] == ["variable", "size", "checked", "kinks", "error"]
    assert kernel.split()[0] == "head/kernel"
    assert bias.split()[-1] == "right"


class Opaque(keras.layers.Layer):
    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)
        self.secret = secret

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("samples", 0, "`samples`. Expected an integer >= 1"),
        ("seed", -1, "`seed`. Expected an integer >= 0"),
        ("training", None, "`training`. Expected one of True, False"),
        ("model", mlp((2,), 2), "`model`. Expected a keras.Model that is compiled"),
        ("model", None, "`model`. Expected a keras.Model that is compiled"),
        ("x", np.ones((1, 3)), "incompatible with the layer"),
        ("y", np.zeros(2), r"`y`. Expected as many examples as `x`.*y=\(2,\)"),
        ("sample_weight", np.ones(2), "`sample_weight`. Expected as many examples"),
    ],
)
def test_bad_arguments(argument, value, message):
    model = mlp((2,), 2, units=())
    model.compile("sgd", CROSS_ENTROPY)
    arguments = {"model": model, "x": np.ones((1, 2)), "y": np.zeros(1)}
    with pytest.raises(ValueError, match=message):
        check_gradients(**{**arguments, argument: value})


def test_a_model_that_cannot_be_copied():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(2)(Opaque(object())(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", CROSS_ENTROPY)
    with pytest.raises(ValueError, match="that can be made from its `get_config`"):
        check_gradients(model, np.ones((1, 2)), np.zeros(1))


def test_a_model_without_trainable_weights():
    model = mlp((2,), 2, units=())
    model.trainable = False
    model.compile("sgd", CROSS_ENTROPY)
    with pytest.raises(ValueError, match="`model`. Expected one with trainable w"):
        check_gradients(model, np.ones((1, 2)), np.zeros(1))
