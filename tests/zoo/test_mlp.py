import itertools
import math

import keras
import numpy as np
import pytest

from zoo import datasets, mlp
from zoo.layers import DropConnect
from zoo.losses import GaussianNLL
from zoo.utils.token_shape import TokenShape

to_numpy = keras.ops.convert_to_numpy

ACTIVATIONS = (
    *("relu", "leaky_relu", "elu", "gelu", "silu", "selu", "tanh", "sigmoid", "maxout"),
)


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def not_registered(x):
    return x


def initial_loss(model, x, num_classes):
    y = np.arange(len(x)) % num_classes
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return float(to_numpy(loss(y, model(x))))


def standard_deviation(model, layer):
    return float(np.std(to_numpy(model.get_layer(layer).kernel)))


@pytest.mark.parametrize("units", [(), (7,), (300, 100), (5, 4, 3, 2)])
def test_parameter_count_is_the_closed_form(units):
    model = mlp((4, 3), 6, units=units)
    sizes = (12, *units, 6)
    expected = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    assert model.count_params() == expected
    assert model.output_shape == (None, 6)


def test_without_hidden_units_it_is_a_linear_model():
    model = mlp((3,), 2, units=())
    x = standard_normal(5, 3)
    kernel = to_numpy(model.get_layer("head").kernel)
    np.testing.assert_allclose(to_numpy(model(x)), x @ kernel, rtol=1e-5, atol=1e-6)


def test_it_computes_what_numpy_computes():
    model = mlp((2, 3), 4, units=(8, 5))
    weights = [to_numpy(weight) for weight in model.weights]
    x = standard_normal(10, 2, 3)
    hidden = x.reshape(10, 6)
    for kernel, bias in zip(weights[:4:2], weights[1:4:2], strict=True):
        hidden = np.maximum(hidden @ kernel + bias, 0)
    expected = hidden @ weights[4] + weights[5]
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-4, atol=1e-5)


def test_layers_have_readable_names():
    model = mlp((3,), 2, units=(4,), normalization="batch", dropout=0.5)
    assert [layer.name for layer in model.layers] == [
        "input",
        "flatten",
        "hidden_1",
        "hidden_1_normalization",
        "hidden_1_activation",
        "hidden_1_dropout",
        "head",
    ]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_initial_loss_is_within_0_3_of_log_c(activation, num_classes):
    model = mlp((64,), num_classes, units=(128, 128, 128), activation=activation)
    loss = initial_loss(model, standard_normal(1000, 64), num_classes)
    assert abs(loss - math.log(num_classes)) < 0.3


@pytest.mark.parametrize("units", [(), (512, 512)])
def test_initial_loss_of_images_is_within_0_3_of_log_c(units):
    images = np.random.default_rng(0).random((500, 28, 28, 1), dtype="float32")
    loss = initial_loss(mlp((28, 28, 1), 10, units=units), images, 10)
    assert abs(loss - math.log(10)) < 0.3


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", math.sqrt(2 / 400)),  # He et al. 2015
        (keras.layers.LeakyReLU(negative_slope=0.1), math.sqrt(2 / 400)),
        (keras.layers.PReLU(), math.sqrt(2 / 400)),
        ("gelu", math.sqrt(2 / 400)),
        ("selu", math.sqrt(1 / 400)),  # LeCun, as Klambauer et al. 2017
        ("tanh", math.sqrt(2 / (400 + 200))),  # Glorot & Bengio 2010
        ("sigmoid", math.sqrt(2 / (400 + 200))),
    ],
)
def test_automatic_initializer_fits_the_activation(activation, expected):
    model = mlp((400,), 10, units=(200,), activation=activation)
    assert standard_deviation(model, "hidden_1") == pytest.approx(expected, rel=0.03)
    assert not to_numpy(model.get_layer("hidden_1").bias).any()


def test_an_initializer_of_ones_own():
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    model = mlp((300,), 10, units=(300, 300), kernel_initializer=initializer)
    assert standard_deviation(model, "hidden_1") == pytest.approx(0.01, rel=0.03)
    kernels = [to_numpy(model.get_layer(f"hidden_{i}").kernel) for i in (1, 2)]
    assert not np.array_equal(*kernels)


def test_activation_layers_are_copied_with_their_settings():
    slope = keras.layers.LeakyReLU(negative_slope=0.3)
    model = mlp((3,), 2, units=(4, 4), activation=slope)
    copies = [model.get_layer(f"hidden_{i}_activation") for i in (1, 2)]
    assert [copy.negative_slope for copy in copies] == [0.3, 0.3]
    assert copies[0] is not copies[1]
    parametric = mlp((3,), 2, units=(4, 5), activation=keras.layers.PReLU())
    assert parametric.count_params() == (4 * 4 + 4) + (5 * 5 + 5) + 6 * 2


@pytest.mark.parametrize(
    ("normalization", "layer", "per_unit"),
    [
        ("batch", keras.layers.BatchNormalization, 4),
        ("layer", keras.layers.LayerNormalization, 2),
    ],
)
def test_normalization(normalization, layer, per_unit):
    model = mlp((3,), 2, units=(7,), normalization=normalization)
    assert isinstance(model.get_layer("hidden_1_normalization"), layer)
    assert model.count_params() == 4 * 7 + per_unit * 7 + 8 * 2


def test_dropout_is_active_in_training_alone():
    model = mlp((50,), 2, units=(50,), dropout=0.5, input_dropout=0.5)
    x = standard_normal(4, 50)
    np.testing.assert_array_equal(to_numpy(model(x)), to_numpy(model(x)))
    one, other = (to_numpy(model(x, training=True)) for _ in range(2))
    assert not np.array_equal(one, other)


def test_input_dropout_drops_its_share_of_inputs():
    model = mlp((10_000,), 2, units=(), input_dropout=0.25)
    dropped = to_numpy(
        model.get_layer("input_dropout")(np.ones((1, 10_000)), training=True)
    )
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.02)
    assert dropped.max() == pytest.approx(1 / 0.75)


def test_regularizer_is_that_of_all_kernels():
    model = mlp((3,), 2, units=(4,), kernel_regularizer=keras.regularizers.L2(0.01))
    kernels = [to_numpy(model.get_layer(name).kernel) for name in ("hidden_1", "head")]
    expected = 0.01 * sum(float((kernel**2).sum()) for kernel in kernels)
    assert float(to_numpy(sum(model.losses))) == pytest.approx(expected, rel=1e-5)


def test_elastic_net():
    elastic = keras.regularizers.L1L2(l1=0.1, l2=0.01)
    model = mlp((3,), 2, units=(4,), kernel_regularizer=elastic)
    kernels = [to_numpy(model.get_layer(name).kernel) for name in ("hidden_1", "head")]
    expected = sum(0.1 * np.abs(k).sum() + 0.01 * (k**2).sum() for k in kernels)
    assert float(to_numpy(sum(model.losses))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout(pieces):
    l2 = keras.regularizers.L2(0.01)
    model = mlp(
        (3,),
        2,
        units=(7, 5),
        activation="maxout",
        maxout_pieces=pieces,
        kernel_regularizer=l2,
    )
    assert model.count_params() == (4 * 7 + 8 * 5) * pieces + 6 * 2
    assert [layer.name for layer in model.layers] == [
        *("input", "flatten", "hidden_1", "hidden_2", "head")
    ]
    x = hidden = standard_normal(10, 3)
    weights = [to_numpy(weight) for weight in model.weights]
    for kernel, bias in zip(weights[:4:2], weights[1:4:2], strict=True):
        pieces_of = (hidden @ kernel + bias).reshape(10, -1, pieces)
        hidden = pieces_of.max(axis=-1)
    expected = hidden @ weights[4] + weights[5]
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-4, atol=1e-5)
    penalty = 0.01 * sum((kernel**2).sum() for kernel in weights[::2])
    assert float(to_numpy(sum(model.losses))) == pytest.approx(penalty, rel=1e-5)


def test_drop_connect_is_that_of_the_hidden_layers_in_training():
    model = mlp((50,), 2, units=(50, 40), activation="tanh", drop_connect=0.5)
    kinds = [type(model.get_layer(name)) for name in ("hidden_1", "hidden_2", "head")]
    assert kinds == [DropConnect, DropConnect, keras.layers.Dense]
    assert model.get_layer("hidden_2").rate == 0.5
    x = standard_normal(4, 50)
    np.testing.assert_array_equal(to_numpy(model(x)), to_numpy(model(x)))
    one, other = (to_numpy(model(x, training=True)) for _ in range(2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("activation", ["selu", keras.layers.Activation("selu")])
def test_dropout_of_selu_keeps_mean_and_variance(activation):
    model = mlp((9,), 2, units=(9,), activation=activation, dropout=0.2)
    hidden = keras.activations.selu(standard_normal(1000, 100))
    dropped = model.get_layer("hidden_1_dropout")(hidden, training=True)
    mean, deviation = np.mean(to_numpy(dropped)), np.std(to_numpy(dropped))
    assert mean == pytest.approx(0, abs=0.02)  # plain dropout keeps it too
    assert deviation == pytest.approx(1, abs=0.02)  # and raises this to 1.12


def test_learnt_noise_comes_in_the_units_of_the_data():
    x = standard_normal(500, 3)
    y = np.stack([1e4 + 300 * x[:, 0], x[:, 1] / 50], axis=1)
    data = datasets.from_arrays((x, y), validation=0)
    model = mlp(
        (3,), 2, units=(), learn_noise=True, postprocessing=data.denormalization()
    )
    kernel = to_numpy(model.get_layer("head").kernel)
    assert model.count_params() == 4 * 4 + 4 + 4 - 8  # the statistics are constants
    standard = x @ kernel
    mean, log_variance = standard[:, :2], standard[:, 2:]
    expected = np.hstack([mean * y.std(axis=0) + y.mean(axis=0), log_variance])
    expected[:, 2:] += np.log(y.var(axis=0))
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.heavy
def test_learnt_noise_is_found():
    x = standard_normal(2000, 1)
    deviation = np.where(x > 0, 40.0, 10.0)
    y = 500 + 100 * x + deviation * np.random.default_rng(1).standard_normal(x.shape)
    data = datasets.from_arrays((x, y), validation=0)
    model = mlp(
        (1,), 1, units=(32,), learn_noise=True, postprocessing=data.denormalization()
    )
    model.compile(keras.optimizers.Adam(0.01), GaussianNLL())
    model.fit(data.train, epochs=25, shuffle=False, verbose=0)
    mean, log_variance = model.predict(np.array([[-1.0], [1.0]]), verbose=0).T
    np.testing.assert_allclose(mean, [400, 600], atol=15)
    np.testing.assert_allclose(np.exp(log_variance / 2), [10, 40], rtol=0.25)


def test_preprocessing_augmentation_and_postprocessing_are_inside():
    double = keras.layers.Rescaling(2.0)
    noise = keras.layers.GaussianNoise(1.0)
    model = mlp(
        (3,),
        2,
        units=(),
        preprocessing=double,
        augmentation=noise,
        postprocessing=keras.layers.Rescaling(1.0, offset=100.0),
    )
    x = standard_normal(5, 3)
    kernel = to_numpy(model.get_layer("head").kernel)
    expected = 2 * x @ kernel + 100
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-5)
    assert np.abs(to_numpy(model(x, training=True)) - expected).max() > 1e-3


@pytest.mark.heavy
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_ends_in_float32(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = mlp((8,), 3, units=(16,), normalization="batch", dropout=0.1)
        assert model.get_layer("hidden_1").compute_dtype == policy.removeprefix(
            "mixed_"
        )
        assert keras.backend.standardize_dtype(model(standard_normal(2, 8)).dtype) == (
            "float32"
        )
        model.compile(
            "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        x, y = standard_normal(64, 8), np.arange(64) % 3
        losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.heavy
@pytest.mark.tensorflow_only(
    reason="on JAX every step is compiled by XLA, and PyTorch has none"
)
def test_it_trains_under_xla():
    model = mlp((8,), 3, units=(16,), normalization="batch", dropout=0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=True)
    x, y = standard_normal(64, 8), np.arange(64) % 3
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.heavy
def test_a_saved_model_predicts_the_same_bits_in_a_new_process(check_new_process):
    model = mlp(
        (4, 4, 1),
        3,
        units=(16, 8),
        activation=keras.layers.LeakyReLU(negative_slope=0.1),
        normalization="batch",
        dropout=0.2,
        preprocessing=keras.layers.Normalization(axis=-1, mean=[0.5], variance=[4.0]),
    )
    check_new_process(model, standard_normal(10, 4, 4, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": 3}, "`input_shape`. Expected a tuple of integers >= 1"),
        ({"input_shape": (None, 3)}, "`input_shape`. Expected a tuple of integers"),
        ({"input_shape": TokenShape((9,))}, r"numbers. Received.*\n.*embed them"),
        ({"num_outputs": 0}, "`num_outputs`. Expected an integer >= 1"),
        ({"units": (0,)}, r"`units`. Expected a sequence .*Received: units=\(0,\)"),
        ({"units": 5}, r"`units`.*\nOne hidden layer is `units=\(5,\)`"),
        ({"units": (2.5,)}, "`units`. Expected a sequence of integers"),
        ({"units": "64"}, "`units`. Expected a sequence of integers"),
        ({"activation": "rellu"}, "`activation`. Expected a Keras name.*'rellu'"),
        ({"activation": 3}, "`activation`. Expected a Keras name"),
        ({"activation": keras.layers.ReLU}, r"`activation`.*\nPass an instance: `ReLU"),
        ({"activation": not_registered}, r"can save.*\n.*register_keras_serializable"),
        ({"normalization": "group"}, "`normalization`. Expected one of None, 'batch'"),
        ({"dropout": 1.0}, r"`dropout`. Expected a float in \[0, 1\). Received"),
        ({"dropout": -0.1}, r"`dropout`. Expected a float in \[0, 1\)"),
        ({"input_dropout": float("nan")}, r"`input_dropout`. Expected a float in"),
        ({"preprocessing": "scale"}, "`preprocessing`. Expected a keras.layers.Layer"),
        ({"preprocessing": abs}, r"wrap the function: `keras.layers.Lambda\(function"),
        ({"preprocessing": keras.layers.ReLU}, r"Pass an instance: `ReLU\(...\)`"),
        ({"augmentation": [1]}, "`augmentation`. Expected a keras.layers.Layer"),
        ({"maxout_pieces": 0}, "`maxout_pieces`. Expected an integer >= 1"),
        ({"drop_connect": 1}, r"`drop_connect`. Expected a float in \[0, 1\)"),
        ({"activation": "maxout", "drop_connect": 0.5}, "`drop_connect`. Expected 0.0"),
        (
            {"activation": "maxout", "kernel_initializer": "he"},
            "`kernel_initializer`. Expected.*or 'auto'",
        ),
        ({"learn_noise": "yes"}, "`learn_noise`. Expected one of False, True"),
        (
            {"learn_noise": True, "postprocessing": keras.layers.Rescaling(2.0)},
            r"`postprocessing`. Expected `data.denormalization\(\)` or None",
        ),
        ({"postprocessing": abs}, "`postprocessing`. Expected a keras.layers.Layer"),
        ({"kernel_initializer": "he"}, "`kernel_initializer`. Expected.*or 'auto'"),
        ({"kernel_regularizer": "l7"}, "`kernel_regularizer`. Expected.*or None"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        mlp(**{"input_shape": (3,), "num_outputs": 2, **arguments})
