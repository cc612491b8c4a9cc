import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.sample_data import take_sample
from callbacks.diagnosis.rules.inputs import (
    ids_without_embedding,
    inputs_not_scaled,
    small_column_with_signal,
)
from callbacks.diagnosis.run.pass_facts import run_pass

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("scale", "layers", "expected"),
    [
        (1, [], []),
        (9, [], []),
        (100, [], ["inputs_not_scaled"]),
        (1e-3, [], ["inputs_not_scaled"]),
        (100, [keras.layers.Rescaling(0.01)], []),
        (100, [keras.layers.BatchNormalization()], []),
        (100, [keras.layers.Normalization(mean=0.0, variance=1e4)], []),
    ],
)
def test_scale_of_inputs(compiled, dense, found, table, scale, layers, expected):
    x, y = table
    model = compiled(*layers, dense(), dense(3, "softmax"))
    assert [one for one, _ in found(model, scale * x, y)] == expected


def test_a_normalization_that_was_not_adapted_does_not_scale(
    compiled, dense, found, table
):
    x, y = table
    layer = keras.layers.Normalization()
    model = compiled(layer, dense(), dense(3, "softmax"))
    assert [one for one, _ in found(model, 100 * x, y)] == ["inputs_not_scaled"]
    layer.adapt(100 * x)
    assert found(model, 100 * x, y) == []


def test_normalization_after_the_first_layer_removes_the_scale(
    compiled, dense, found, table
):
    x, y = table
    norm = keras.layers.BatchNormalization()
    assert found(compiled(dense(), norm, dense(3, "softmax")), 100 * x, y) == []


@pytest.mark.parametrize(
    ("scale", "expected"), [(1e4, [("inputs_not_scaled", "warning")]), (100, [])]
)
def test_normalization_does_not_restore_columns_beside_a_huge_one(
    compiled, dense, found, table, scale, expected
):
    x, y = table
    x[:, 2] *= scale
    normalization = keras.layers.BatchNormalization()
    model = compiled(dense(16, None), normalization, dense(), dense(3, "softmax"))
    assert found(model, x, y) == expected


def test_ids_of_an_embedding_need_no_scale(compiled, dense, found):
    x = RNG.integers(0, 5000, (100, 12))
    layers = [keras.layers.Embedding(5000, 8), keras.layers.LSTM(8)]
    model = compiled(*layers, dense(1, "sigmoid"), loss="bce", shape=(12,))
    assert found(model, x, x[:, 0] % 2) == []
    assert found(model, x * 2, x[:, 0] % 2) == [("misused_layer", "error")]
    assert found(model, x / 7, x[:, 0] % 2) == [("misused_layer", "error")]


def test_sparse_features_are_not_small(compiled, dense, found):
    x = (RNG.random((100, 1000)) < 0.01).astype("float32")
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(1000,))
    assert found(model, x, np.arange(100) % 2) == []


def test_an_offset_of_all_columns_is_found(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    expected = [("inputs_not_scaled", "warning")]
    assert found(model, 5 + 0.01 * x, y) == expected
    assert found(model, 5 + x, y) == []
    x = x.copy()
    x[:, 0] = 5  # a constant column, such as a bias
    assert found(model, x, y) == []


def test_pretrained_models_know_their_scale(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    for layer in model.layers:
        layer.bias.assign(RNG.normal(size=layer.bias.shape))
    assert found(model, 100 * x, y) == []


def test_padding_is_no_input(compiled, dense, found):
    x = RNG.normal(size=(100, 12, 3)).astype("float32")
    x[:, 6:] = -99
    layers = [keras.layers.Masking(-99.0), keras.layers.LSTM(8)]
    model = compiled(*layers, dense(1, "sigmoid"), loss="bce", shape=(12, 3))
    y = np.arange(100) % 2
    assert found(model, x, y) == []
    model = compiled(*layers[1:], dense(1, "sigmoid"), loss="bce", shape=(12, 3))
    assert found(model, x, y) == [("inputs_not_scaled", "warning")]


def branches(normalize):
    """Prices beside ages, with a residual connection and a wide path."""
    prices, ages = keras.Input((2,)), keras.Input((1,))
    both = keras.layers.Concatenate()([prices, ages])
    if normalize:
        both = keras.layers.BatchNormalization()(both)
    hidden = keras.layers.Dense(8, "relu")(both)
    deep = hidden + keras.layers.Dense(8, "relu")(hidden)
    outputs = keras.layers.Dense(1)(keras.layers.Concatenate()([deep, both]))
    model = keras.Model([prices, ages], outputs)
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("normalize", [True, False])
def test_all_branches_are_followed(found, normalize):
    x = [RNG.normal(size=(100, 2)) * 300, RNG.normal(size=(100, 1))]
    expected = [] if normalize else [("inputs_not_scaled", "warning")]
    assert found(branches(normalize), x, x[1]) == expected


def test_normalization_on_every_path_is_enough(found, table):
    x, y = table
    inputs = keras.Input((4,))
    stem = keras.layers.Dense(8)(inputs)
    hidden = keras.layers.Dense(8)(keras.layers.LayerNormalization()(stem))
    for normalize in (True, False):
        end = stem + hidden
        if normalize:
            end = keras.layers.LayerNormalization()(end)
        model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(end))
        model.compile("adam", SPARSE)
        causes = [one for one, _ in found(model, 100 * x, y)]
        assert causes == [] if normalize else ["inputs_not_scaled"]


def with_pass(facts_of, model, x, y):
    return facts_of(model, x, y, start=run_pass(model, take_sample(x, y)))


def test_a_tiny_column_matters_only_if_it_has_the_signal(
    compiled, dense, facts_of, table
):
    x, _ = table
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce")
    small = x * np.array([1e-4, 1, 1, 1], "float32")
    for column, expected in ((0, 1), (1, 0)):
        y = (x[:, column] > 0) * 1
        facts = with_pass(facts_of, model, small, y)
        assert len(small_column_with_signal(facts)) == expected


def test_ids_need_an_embedding(compiled, dense, facts_of):
    ids = np.minimum(RNG.zipf(1.3, (200, 20)), 5000)
    levels = np.cumsum(RNG.integers(-9, 10, (200, 20)), axis=1) + 500  # a time series
    counts = RNG.integers(0, 2000, (200, 20)) * (np.arange(20) < 4)  # a table
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(20,))
    for x, expected in ((ids, 1), (levels, 0), (counts, 0)):
        facts = with_pass(facts_of, model, x, np.arange(200) % 2)
        assert len(ids_without_embedding(facts)) == expected
        assert len(inputs_not_scaled(facts)) == 1 - expected


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (RNG.integers(0, 256, (100, 64)), "x = x / 255"),
        (RNG.integers(0, 41, (100, 64)), "x = x / 40"),
        (RNG.integers(0, 90, (100, 3)), "norm = keras.layers.Normalization()"),
        (RNG.normal(size=(100, 64)) * 99, "norm = keras.layers.Normalization()"),
    ],
)
def test_gray_levels_share_one_scale(compiled, dense, facts_of, x, code):
    model = compiled(dense(1, None), loss="mse", shape=x.shape[1:])
    (one,) = inputs_not_scaled(facts_of(model, x, x[:, :1]))
    assert one.advice[0].startswith(code)
