import math

import keras
import numpy as np
import pytest

from zoo import datasets, mlp, res_mlp
from zoo.utils.token_shape import TokenShape

to_numpy = keras.ops.convert_to_numpy


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def kernel_of(model, layer):
    return to_numpy(model.get_layer(layer).kernel)


@pytest.mark.parametrize("num_blocks", [0, 1, 3])
@pytest.mark.parametrize(
    ("normalization", "per_unit"), [("batch", 4), ("layer", 2), (None, 0)]
)
def test_parameter_count_is_the_closed_form(num_blocks, normalization, per_unit):
    model = res_mlp(
        (4, 3),
        6,
        units=8,
        num_blocks=num_blocks,
        block_units=5,
        normalization=normalization,
    )
    block = 8 * per_unit + 9 * 5 + 6 * 8
    expected = 13 * 8 + num_blocks * block + 8 * per_unit + 9 * 6
    assert model.count_params() == expected
    assert model.output_shape == (None, 6)


def test_it_computes_what_numpy_computes():
    model = res_mlp(
        (2, 3), 4, units=8, num_blocks=2, normalization="layer", residual_init="none"
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.weights])
    weights = iter([to_numpy(weight) for weight in model.weights])

    def dense(x):
        return x @ next(weights) + next(weights)

    def normalize(x):
        centred = x - x.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-3)
        return centred / deviation * next(weights) + next(weights)

    x = standard_normal(10, 2, 3)
    hidden = dense(x.reshape(10, 6))
    for _ in range(2):
        hidden = hidden + dense(np.maximum(dense(normalize(hidden)), 0))
    expected = dense(np.maximum(normalize(hidden), 0))
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-4, atol=1e-4)


def test_layers_have_readable_names_in_the_order_of_the_paper():
    model = res_mlp(
        (3,), 2, num_blocks=1, dropout=0.5, residual_dropout=0.1, stochastic_depth=0.2
    )
    assert [layer.name for layer in model.layers] == [
        "input",
        "flatten",
        "stem",
        "block_1_normalization",
        "block_1_hidden",
        "block_1_activation",
        "block_1_dropout",
        "block_1_output",
        "block_1_residual_dropout",
        "block_1_stochastic_depth",
        "block_1",
        "final_normalization",
        "final_activation",
        "head",
    ]


@pytest.mark.parametrize("normalization", ["batch", "layer", None])
def test_it_starts_as_the_model_without_blocks(normalization):
    options = {"units": 16, "normalization": normalization}
    deep = res_mlp((5,), 3, num_blocks=6, **options)
    shallow = res_mlp((5,), 3, num_blocks=0, **options)
    for name in ("stem", "head"):
        shallow.get_layer(name).set_weights(deep.get_layer(name).get_weights())
    x = standard_normal(20, 5)
    np.testing.assert_array_equal(to_numpy(deep(x)), to_numpy(shallow(x)))


def test_residual_inits():
    def deviation(residual_init):
        model = res_mlp((5,), 3, units=200, num_blocks=4, residual_init=residual_init)
        return kernel_of(model, "block_2_output").std()

    lecun = 1 / math.sqrt(200)
    assert deviation("zero") == 0
    assert deviation("scaled") == pytest.approx(lecun / 2, rel=0.03)  # 1 / sqrt(4)
    assert deviation("none") == pytest.approx(lecun, rel=0.03)


def test_blocks_begin_with_different_weights():
    model = res_mlp((5,), 3, units=8, num_blocks=2)
    one, other = (kernel_of(model, f"block_{i}_hidden") for i in (1, 2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("residual_init", ["zero", "scaled"])
@pytest.mark.parametrize("num_blocks", [1, 16])
@pytest.mark.parametrize("num_classes", [2, 100])
def test_initial_loss_is_within_0_3_of_log_c(residual_init, num_blocks, num_classes):
    model = res_mlp(
        (64,),
        num_classes,
        units=64,
        num_blocks=num_blocks,
        residual_init=residual_init,
    )
    x = standard_normal(500, 64)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    value = float(to_numpy(loss(np.arange(500) % num_classes, model(x))))
    assert abs(value - math.log(num_classes)) < 0.3


def test_stochastic_depth_rises_linearly_to_the_last_block():
    model = res_mlp((5,), 3, num_blocks=4, stochastic_depth=0.2)
    rates = [model.get_layer(f"block_{i}_stochastic_depth").rate for i in range(1, 5)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2])


def test_preprocessing_augmentation_and_postprocessing_are_inside():
    model = res_mlp(
        (3,),
        1,
        units=4,
        num_blocks=1,
        preprocessing=keras.layers.Rescaling(0.0),
        augmentation=keras.layers.GaussianNoise(1.0, name="noise"),
        postprocessing=keras.layers.Rescaling(1.0, offset=100.0),
    )
    # Inputs times zero, biases zero: what is left is what postprocessing adds.
    np.testing.assert_allclose(to_numpy(model(standard_normal(5, 3))), 100.0)
    assert model.layers[1].name == "noise"


def test_regularizer_is_that_of_all_kernels():
    model = res_mlp((3,), 2, units=4, num_blocks=2, kernel_regularizer="l2")
    kernels = [to_numpy(w) for w in model.weights if w.path.endswith("kernel")]
    assert len(kernels) == 6
    expected = 0.01 * sum(float((kernel**2).sum()) for kernel in kernels)
    assert float(to_numpy(sum(model.losses))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.heavy
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_ends_in_float32_and_trains(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = res_mlp((8,), 3, units=16, num_blocks=2, stochastic_depth=0.1)
        hidden = model.get_layer("block_1_hidden")
        assert hidden.compute_dtype == policy.removeprefix("mixed_")
        assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
        losses = trained_losses(model)
        assert losses[-1] < losses[0]
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.heavy
@pytest.mark.tensorflow_only(
    reason="on JAX every step is compiled by XLA, and PyTorch has none"
)
def test_it_trains_under_xla():
    model = res_mlp((8,), 3, units=16, num_blocks=2, stochastic_depth=0.1)
    losses = trained_losses(model, jit_compile=True)
    assert losses[-1] < losses[0]


def trained_losses(model, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, **options)
    x, y = standard_normal(64, 8), np.arange(64) % 3
    return model.fit(x, y, epochs=15, verbose=0).history["loss"]


@pytest.mark.heavy
def test_a_saved_model_predicts_the_same_bits_in_a_new_process(check_new_process):
    model = res_mlp(
        (4, 4, 1),
        3,
        units=16,
        num_blocks=2,
        residual_init="none",
        stochastic_depth=0.2,
        preprocessing=keras.layers.Normalization(axis=-1, mean=[0.5], variance=[4.0]),
    )
    check_new_process(model, standard_normal(10, 4, 4, 1), imports="zoo")


@pytest.mark.slow
def test_64_blocks_learn_as_well_as_4_where_a_plain_mlp_of_that_depth_does_not():
    data = datasets.load("digits", batch_size=64)

    def accuracy(build, **options):
        keras.utils.set_random_seed(0)
        data.order.counter = 0
        model = build(
            data.input_shape, 10, preprocessing=data.normalization(), **options
        )
        model.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
        model.fit(data.train, epochs=8, shuffle=False, verbose=0)
        return model.evaluate(data.validation, verbose=0, return_dict=True)["accuracy"]

    shallow, deep = (
        accuracy(res_mlp, units=64, num_blocks=blocks) for blocks in (4, 64)
    )
    plain = accuracy(mlp, units=(64,) * 129)
    assert deep >= shallow > 0.9
    assert plain < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": 3}, "`input_shape`. Expected a tuple of integers >= 1"),
        ({"input_shape": TokenShape((9,))}, r"numbers. Received.*\n.*embed them"),
        ({"num_outputs": 0}, "`num_outputs`. Expected an integer >= 1"),
        ({"units": (64,)}, r"`units`. Expected an integer >= 1. Received: .*\(64,\)"),
        ({"num_blocks": -1}, "`num_blocks`. Expected an integer >= 0"),
        ({"block_units": 0}, "`block_units`. Expected an integer >= 1"),
        ({"activation": "rellu"}, "`activation`. Expected a Keras name.*'rellu'"),
        ({"normalization": "group"}, "`normalization`. Expected one of None, 'batch'"),
        ({"residual_init": "one"}, "`residual_init`. Expected one of 'zero', 'scaled'"),
        ({"dropout": 1.0}, r"`dropout`. Expected a float in \[0, 1\). Received"),
        ({"residual_dropout": -0.1}, r"`residual_dropout`. Expected a float in"),
        ({"input_dropout": float("nan")}, r"`input_dropout`. Expected a float in"),
        ({"stochastic_depth": 1}, r"`stochastic_depth`. Expected a float in"),
        ({"preprocessing": "scale"}, "`preprocessing`. Expected a keras.layers.Layer"),
        ({"augmentation": [1]}, "`augmentation`. Expected a keras.layers.Layer"),
        ({"postprocessing": abs}, "`postprocessing`. Expected a keras.layers.Layer"),
        ({"kernel_initializer": "he"}, "`kernel_initializer`. Expected.*or 'auto'"),
        ({"kernel_regularizer": "l7"}, "`kernel_regularizer`. Expected.*or None"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        res_mlp(**{"input_shape": (3,), "num_outputs": 2, **arguments})
