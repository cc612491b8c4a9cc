import math

import keras
import numpy as np
import pytest

from zoo import lstm
from zoo.utils.token_shape import TokenShape

to_numpy = keras.ops.convert_to_numpy


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def token_ids(count, time, vocabulary_size=20):
    rng = np.random.default_rng(0)
    return rng.integers(1, vocabulary_size, (count, time)).astype("int32")


def initial_loss(model, x, num_classes):
    logits = model(x)
    y = np.random.default_rng(1).integers(0, num_classes, logits.shape[:-1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return float(to_numpy(loss(y, logits)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_lstm(x, layer):
    """Returns the outputs of all steps of a layer, computed with NumPy.

    From Gers et al., 2000, equations 1 to 7. The gates are in the order of Keras: input
    gate, forget gate, candidate, output gate.
    """
    kernel, recurrent, bias = (to_numpy(weight) for weight in layer.weights)
    units = len(recurrent)
    hidden = cell = np.zeros((len(x), units))
    steps = []
    for step in range(x.shape[1]):
        z = x[:, step] @ kernel + hidden @ recurrent + bias
        gate_in, forget, candidate, out = np.split(z, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(gate_in) * np.tanh(candidate)
        hidden = sigmoid(out) * np.tanh(cell)
        steps.append(hidden)
    return np.stack(steps, axis=1)


def numpy_head(x, model):
    kernel, bias = (to_numpy(weight) for weight in model.get_layer("head").weights)
    return x @ kernel + bias


def lstm_parameters(inputs, units):
    return 4 * units * (inputs + units + 1)


@pytest.mark.parametrize("units", [(7,), (8, 5), (3, 4, 5)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameter_count_of_vectors_is_the_closed_form(units, bidirectional):
    model = lstm((6, 5), 3, units=units, bidirectional=bidirectional)
    directions = 2 if bidirectional else 1
    expected, inputs = 0, 5
    for size in units:
        expected += directions * lstm_parameters(inputs, size)
        inputs = directions * size
    assert model.count_params() == expected + (inputs + 1) * 3
    assert model.output_shape == (None, 3)


def test_parameter_count_of_tokens_is_the_closed_form():
    model = lstm((6,), 2, vocabulary_size=30, embedding_size=11, units=(7,))
    assert model.count_params() == 30 * 11 + lstm_parameters(11, 7) + 8 * 2
    assert model.output_shape == (None, 2)


@pytest.mark.parametrize(("units", "projection"), [((11,), 0), ((7,), 8 * 11)])
def test_parameter_count_of_tied_embeddings_is_the_closed_form(units, projection):
    model = language_model(30, units=units, embedding_size=11, tie_embeddings=True)
    expected = 30 * 11 + lstm_parameters(11, *units) + projection
    assert model.count_params() == expected
    assert model.output_shape == (None, 6, 30)


def language_model(size=20, time=6, **options):
    options = {"embedding_size": 8, "units": (16,), **options}
    return lstm((time,), size, vocabulary_size=size, return_sequences=True, **options)


@pytest.mark.parametrize(
    ("shape", "rows"), [((28, 28, 1), (28, 28)), ((4, 3, 2), (4, 6)), ((5, 2), (5, 2))]
)
def test_images_are_read_row_by_row(shape, rows):
    model = lstm(shape, 3, units=(4,))
    x = standard_normal(2, *shape)
    steps = numpy_lstm(x.reshape(2, *rows), model.get_layer("hidden_1"))
    np.testing.assert_allclose(
        to_numpy(model(x)), numpy_head(steps[:, -1], model), rtol=1e-4, atol=1e-5
    )


def randomize_biases(model):
    """So that a bias added twice, or left out, shows."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.LSTM):
            layer.cell.bias.assign(standard_normal(*layer.cell.bias.shape))


POOLS = {
    "last": lambda steps: steps[:, -1],
    "mean": lambda steps: steps.mean(axis=1),
    "max": lambda steps: steps.max(axis=1),
}


@pytest.mark.parametrize("pooling", POOLS)
def test_it_computes_what_numpy_computes(pooling):
    model = lstm((7, 3), 4, units=(8, 5), pooling=pooling)
    randomize_biases(model)
    x = standard_normal(10, 7, 3)
    steps = numpy_lstm(x, model.get_layer("hidden_1"))
    steps = numpy_lstm(steps, model.get_layer("hidden_2"))
    np.testing.assert_allclose(
        to_numpy(model(x)),
        numpy_head(POOLS[pooling](steps), model),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("pooling", POOLS)
def test_both_directions_compute_what_numpy_computes(pooling):
    model = lstm((7, 3), 4, units=(8, 5), pooling=pooling, bidirectional=True)
    randomize_biases(model)
    x = standard_normal(10, 7, 3)
    first = [
        numpy_lstm(x, model.get_layer("hidden_1_forward")),
        numpy_lstm(x[:, ::-1], model.get_layer("hidden_1_backward"))[:, ::-1],
    ]
    x1 = np.concatenate(first, axis=-1)
    pool = POOLS[pooling]
    second = [
        pool(numpy_lstm(x1, model.get_layer("hidden_2_forward"))),
        pool(numpy_lstm(x1[:, ::-1], model.get_layer("hidden_2_backward"))),
    ]
    np.testing.assert_allclose(
        to_numpy(model(x)),
        numpy_head(np.concatenate(second, axis=-1), model),
        rtol=1e-4,
        atol=1e-5,
    )


def test_sizes_may_be_numpy_integers():
    x = token_ids(3, 6)
    model = lstm((6,), 2, vocabulary_size=x.max() + 1, embedding_size=np.int64(8))
    assert model.get_layer("embedding").embeddings.shape == (x.max() + 1, 8)


def test_rows_are_those_after_preprocessing():
    resize = keras.layers.Resizing(4, 5)
    model = lstm((8, 8, 1), 3, units=(6,), preprocessing=resize)
    assert model.get_layer("hidden_1").input.shape == (None, 4, 5)
    x = standard_normal(2, 8, 8, 1)
    small = to_numpy(resize(x))[..., 0]
    steps = numpy_lstm(small, model.get_layer("hidden_1"))
    np.testing.assert_allclose(
        to_numpy(model(x)), numpy_head(steps[:, -1], model), rtol=1e-4, atol=1e-5
    )


def test_logits_at_every_step_read_both_directions():
    model = lstm((6, 3), 4, units=(5,), bidirectional=True, return_sequences=True)
    x = standard_normal(2, 6, 3)
    steps = [
        numpy_lstm(x, model.get_layer("hidden_1_forward")),
        numpy_lstm(x[:, ::-1], model.get_layer("hidden_1_backward"))[:, ::-1],
    ]
    expected = numpy_head(np.concatenate(steps, axis=-1), model)
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-4, atol=1e-5)


def test_a_language_model_sees_no_token_before_its_time():
    model = language_model(time=8)
    x = token_ids(3, 8)
    changed = x.copy()
    changed[:, 5] = changed[:, 5] % 19 + 1
    before, after = to_numpy(model(x)), to_numpy(model(changed))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before[:, 5:] - after[:, 5:]).min(axis=(1, 2)).all()


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_does_not_change_predictions(pooling, bidirectional):
    options = {"pooling": pooling, "bidirectional": bidirectional, "units": (6,)}
    short = lstm((5,), 3, vocabulary_size=20, **options)
    padded = lstm((9,), 3, vocabulary_size=20, **options)
    padded.set_weights(short.get_weights())
    x = token_ids(4, 5)
    np.testing.assert_allclose(
        to_numpy(padded(np.pad(x, ((0, 0), (0, 4))))),
        to_numpy(short(x)),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"units": (8,), "pooling": "max", "bidirectional": True},
        {"units": (8, 4), "pooling": "last", "bidirectional": True},
        {"units": (8,), "return_sequences": True, "tie_embeddings": True},
    ],
    ids=["max", "last", "language model"],
)
def test_any_length_gives_the_outputs_of_a_fixed_length(options, tmp_path):
    options = {"vocabulary_size": 20, "embedding_dropout": 0.5, **options}
    any_length = lstm((None,), 20, **options)
    any_length.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for length in (3, 7):
        fixed = lstm((length,), 20, **options)
        fixed.set_weights(any_length.get_weights())
        x = token_ids(4, length)
        x[0, 2:] = 0
        expected = to_numpy(fixed(x))
        for model in (any_length, loaded):
            np.testing.assert_allclose(
                to_numpy(model(x)), expected, rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize("shape", [(None, 3), (None, 2, 3, 1)])
def test_vectors_of_any_length_are_read_step_by_step(shape):
    model = lstm(shape, 2, units=(4,), bidirectional=True)
    for length in (2, 5):
        fixed = lstm((length, *shape[1:]), 2, units=(4,), bidirectional=True)
        fixed.set_weights(model.get_weights())
        x = standard_normal(3, length, *shape[1:])
        np.testing.assert_allclose(
            to_numpy(model(x)), to_numpy(fixed(x)), rtol=1e-4, atol=1e-6
        )


def test_any_length_trains_on_batches_of_different_lengths():
    model = lstm((None,), 2, vocabulary_size=20, units=(4,), embedding_size=8)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = to_numpy(model.get_layer("embedding").embeddings)
    for length in (3, 6):
        model.train_on_batch(token_ids(4, length), np.array([0, 1, 0, 1]))
    assert (to_numpy(model.get_layer("embedding").embeddings) != before).any()
    assert model.predict(token_ids(4, 9), verbose=0).shape == (4, 2)


def test_texts_of_different_length_share_a_batch():
    model = lstm((6,), 3, vocabulary_size=20, units=(8,), bidirectional=True)
    x = token_ids(5, 6)
    for row, length in enumerate([6, 4, 1, 0, 3]):
        x[row, length:] = 0
    together = to_numpy(model(x))
    alone = np.concatenate([to_numpy(model(row[None])) for row in x])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
    assert np.isfinite(together).all()


def test_the_lstm_layers_get_no_mask_which_would_lose_the_fast_kernel():
    options = {"units": (4, 4), "pooling": "max", "bidirectional": True}
    model = lstm((6,), 3, vocabulary_size=20, dropout=0.1, **options)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    assert len(layers) == 4
    for layer in layers:
        assert keras.src.backend.get_keras_mask(layer.input) is None
        assert not layer.recurrent_dropout
        assert not layer.unroll


def test_layers_have_readable_names():
    options = {"units": (4, 4), "dropout": 0.1, "input_dropout": 0.1}
    model = lstm((6,), 2, vocabulary_size=9, embedding_dropout=0.1, **options)
    assert {layer.name for layer in model.layers} >= {
        "input",
        "embedding",
        "embedding_dropout",
        "input_dropout",
        "hidden_1",
        "hidden_1_dropout",
        "hidden_2",
        "hidden_2_dropout",
        "pooling",
        "head",
    }


def test_forget_gates_start_open():
    model = lstm((6, 3), 2, units=(4,))
    bias = to_numpy(model.get_layer("hidden_1").cell.bias)
    np.testing.assert_array_equal(bias, [0] * 4 + [1] * 4 + [0] * 8)


@pytest.mark.parametrize(
    ("num_classes", "pooling"), [(2, "last"), (10, "mean"), (100, "max")]
)
def test_initial_loss_is_within_0_3_of_log_c(num_classes, pooling):
    images = np.random.default_rng(0).random((100, 28, 28, 1), dtype="float32")
    model = lstm((28, 28, 1), num_classes, pooling=pooling)
    loss = initial_loss(model, images, num_classes)
    assert abs(loss - math.log(num_classes)) < 0.3


@pytest.mark.parametrize("tied", [False, True])
def test_initial_loss_of_a_language_model_is_within_0_3_of_log_v(tied):
    model = language_model(65, 20, units=(64, 64), tie_embeddings=tied)
    loss = initial_loss(model, token_ids(50, 20, 65), 65)
    assert abs(loss - math.log(65)) < 0.3


@pytest.mark.parametrize("units", [(8,), (16,)])
def test_tied_logits_are_products_with_the_embeddings(units):
    model = language_model(units=units, tie_embeddings=True)
    x = token_ids(3, 6)
    embeddings = to_numpy(model.get_layer("embedding").embeddings)
    steps = numpy_lstm(embeddings[x], model.get_layer("hidden_1"))
    if units != (8,):
        kernel, bias = map(to_numpy, model.get_layer("projection").weights)
        steps = steps @ kernel + bias
    np.testing.assert_allclose(
        to_numpy(model(x)), steps @ embeddings.T, rtol=1e-3, atol=1e-6
    )


def test_variational_dropout_is_the_same_at_all_steps():
    model = lstm((9, 50), 2, dropout=0.5, input_dropout=0.5, variational_dropout=True)
    x = np.ones((4, 9, 50), "float32")
    dropped = to_numpy(model.get_layer("input_dropout")(x, training=True))
    assert (dropped == dropped[:, :1]).all()
    assert np.unique(dropped).tolist() == [0.0, 2.0]
    assert not (dropped[0] == dropped[1]).all()
    free = lstm((9, 50), 2, input_dropout=0.5).get_layer("input_dropout")
    dropped = to_numpy(free(x, training=True))
    assert not (dropped == dropped[:, :1]).all()


def test_variational_dropout_between_layers_is_the_same_at_all_steps():
    model = language_model(units=(16, 16), dropout=0.5, variational_dropout=True)
    for name in ("hidden_1_dropout", "hidden_2_dropout"):
        dropped = model.get_layer(name)(np.ones((4, 6, 16), "float32"), training=True)
        dropped = to_numpy(dropped)
        assert (dropped == dropped[:, :1]).all()
        assert 0 < (dropped == 0).mean() < 1


def test_dropout_is_active_in_training_alone():
    rates = {"dropout": 0.5, "input_dropout": 0.5, "embedding_dropout": 0.5}
    for name, rate in rates.items():
        model = lstm((6,), 2, vocabulary_size=20, units=(8,), **{name: rate})
        x = token_ids(4, 6)
        np.testing.assert_array_equal(to_numpy(model(x)), to_numpy(model(x)))
        one, other = (to_numpy(model(x, training=True)) for _ in range(2))
        assert not np.array_equal(one, other), name


def test_preprocessing_augmentation_and_postprocessing_are_inside():
    options = {
        "preprocessing": keras.layers.Rescaling(2.0),
        "augmentation": keras.layers.GaussianNoise(1.0),
        "postprocessing": keras.layers.Rescaling(1.0, offset=100.0),
    }
    model = lstm((4, 3, 1), 2, units=(5,), **options)
    x = standard_normal(5, 4, 3, 1)
    steps = numpy_lstm(2 * x[..., 0], model.get_layer("hidden_1"))
    expected = numpy_head(steps[:, -1], model) + 100
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-5)
    assert np.abs(to_numpy(model(x, training=True)) - expected).max() > 1e-4


def order_of_two_tokens(count=128):
    """Texts of which the first of two marks tells the class, wherever they stand."""
    rng = np.random.default_rng(0)
    x = np.ones((count, 6), "int32")
    y = rng.integers(0, 2, count)
    for row, label in zip(x, y, strict=True):
        first, second = sorted(rng.choice(5, 2, replace=False))
        row[first], row[second] = (2, 3) if label else (3, 2)
    x[:, 5] = 0
    return x, y


@pytest.mark.heavy
def test_it_learns_an_order():
    x, y = order_of_two_tokens()
    model = lstm((6,), 2, vocabulary_size=4, units=(8,), embedding_size=8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss)
    model.fit(x, y, epochs=20, batch_size=64, verbose=0)
    np.testing.assert_array_equal(to_numpy(model(x)).argmax(axis=1), y)


@pytest.mark.parametrize(
    ("policy", "tied"), [("mixed_float16", True), ("mixed_bfloat16", False)]
)
def test_mixed_precision_ends_in_float32(policy, tied):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        rates = {"dropout": 0.1, "embedding_dropout": 0.1}
        model = language_model(time=3, tie_embeddings=tied, **rates)
        hidden = model.get_layer("hidden_1")
        assert hidden.compute_dtype == policy.removeprefix("mixed_")
        x = token_ids(16, 3)
        for training in (False, True):
            logits = model(x, training=training)
            assert keras.backend.standardize_dtype(logits.dtype) == "float32"
            assert np.isfinite(to_numpy(logits)).all()
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.tensorflow_only(
    reason="on JAX every step is compiled by XLA, and PyTorch has none"
)
def test_it_trains_under_xla():
    x, y = order_of_two_tokens(64)
    options = {"units": (8,), "pooling": "max", "embedding_dropout": 0.1}
    model = lstm((6,), 2, vocabulary_size=4, dropout=0.1, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=True)
    assert model.jit_compile
    losses = model.fit(x, y, epochs=10, batch_size=64, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.fixture
def saved(tmp_path):
    """Token ids, and what models that are saved in `tmp_path` make of them."""
    options = {"units": (8, 5), "pooling": "mean", "bidirectional": True}
    rates = {"dropout": 0.2, "embedding_dropout": 0.1, "variational_dropout": True}
    texts = lstm((6,), 3, vocabulary_size=20, **options, **rates)
    models = {"texts": texts, "tied": language_model(tie_embeddings=True)}
    x = token_ids(10, 6)
    x[0, 3:] = 0
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    return x, {name: to_numpy(model(x)) for name, model in models.items()}


def test_a_loaded_model_predicts_the_same_bits(tmp_path, saved):
    x, outputs = saved
    for name, expected in outputs.items():
        model = keras.saving.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_array_equal(to_numpy(model(x)), expected)


@pytest.mark.slow
def test_a_new_process_predicts_the_same_bits(tmp_path, saved, run_python):
    x, outputs = saved
    np.savez(tmp_path / "saved.npz", x=x, **outputs)
    run_python(
        "-c",
        "import keras, numpy as np, zoo\n"
        "saved = dict(np.load('saved.npz'))\n"
        "x = saved.pop('x')\n"
        "for name, expected in saved.items():\n"
        "    model = keras.saving.load_model(f'{name}.keras')\n"
        "    predicted = keras.ops.convert_to_numpy(model(x))\n"
        "    np.testing.assert_array_equal(predicted, expected)\n",
    )


TOKENS = {"input_shape": TokenShape((6,)), "vocabulary_size": 20}
LANGUAGE_MODEL = {**TOKENS, "return_sequences": True, "num_outputs": 20}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": 3}, "`input_shape`. Expected a tuple of integers >= 1"),
        ({"input_shape": ()}, "`input_shape`. Expected the shape of a sequence"),
        ({"input_shape": (6, None)}, "the first of which may be None"),
        ({"input_shape": (None,)}, "a sequence of vectors"),
        ({"input_shape": (11,)}, r"a sequence of vectors.*\n.*table.*`zoo.mlp`"),
        ({"input_shape": TokenShape((6,))}, r"`vocabulary_size`.*\n.*=len\(data.voc"),
        ({"vocabulary_size": 20}, r"`input_shape`. Expected `\(time,\)`.*\nLeave out"),
        ({**TOKENS, "vocabulary_size": 0}, "`vocabulary_size`. Expected an integer"),
        ({"num_outputs": 0}, "`num_outputs`. Expected an integer >= 1"),
        ({"units": (0,)}, "`units`. Expected a sequence of integers >= 1"),
        ({"units": 5}, r"`units`.*\nOne hidden layer is `units=\(5,\)`"),
        ({"units": ()}, "`units`. Expected at least one LSTM layer"),
        ({**TOKENS, "embedding_size": 0}, "`embedding_size`. Expected an integer"),
        ({"pooling": "sum"}, "`pooling`. Expected one of 'last', 'mean', 'max'"),
        ({"bidirectional": "no"}, "`bidirectional`. Expected one of False, True"),
        ({"return_sequences": None}, "`return_sequences`. Expected one of False"),
        ({"tie_embeddings": "no"}, "`tie_embeddings`. Expected one of False, True"),
        ({"variational_dropout": 2}, "`variational_dropout`. Expected one of False"),
        ({"dropout": 1.0}, r"`dropout`. Expected a float in \[0, 1\)"),
        ({"input_dropout": -0.1}, r"`input_dropout`. Expected a float in \[0, 1\)"),
        ({**TOKENS, "embedding_dropout": 1}, "`embedding_dropout`. Expected a float"),
        ({"embedding_dropout": 0.1}, "`embedding_dropout`. Expected 0.0 for vectors"),
        ({"tie_embeddings": True}, "`tie_embeddings`. Expected False for vectors"),
        ({**TOKENS, "tie_embeddings": True}, "`tie_embeddings`.*language model"),
        (
            {**LANGUAGE_MODEL, "tie_embeddings": True, "num_outputs": 2},
            r"`tie_embeddings`.*`num_outputs` \(2\) the `vocabulary_size` \(20\)",
        ),
        (
            {**LANGUAGE_MODEL, "bidirectional": True},
            r"`bidirectional`. Expected False for a language model.*\n.*to predict",
        ),
        ({"return_sequences": True, "pooling": "max"}, "`pooling`. Expected the def"),
        ({"preprocessing": "scale"}, "`preprocessing`. Expected a keras.layers.Layer"),
        ({"augmentation": [1]}, "`augmentation`. Expected a keras.layers.Layer"),
        ({"postprocessing": abs}, "`postprocessing`. Expected a keras.layers.Layer"),
        (
            {**TOKENS, "preprocessing": keras.layers.Rescaling(2.0)},
            "`preprocessing`. Expected None for token ids",
        ),
        (
            {**TOKENS, "augmentation": keras.layers.GaussianNoise(1.0)},
            "`augmentation`. Expected None for token ids",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        lstm(**{"input_shape": (6, 3), "num_outputs": 2, **arguments})
