import keras
import numpy as np
import pytest

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


def test_nan_is_found_in_inputs_and_labels(compiled, dense, found, table):
    x, y = table
    bad = x.copy()
    bad[3, 1] = np.nan
    model = compiled(dense(), dense(3, "softmax"))
    assert found(model, bad, y) == [("data_bug", "error")]
    model = compiled(dense(), dense(1, None), loss="mse")
    assert found(model, x, bad[:, 1]) == [("data_bug", "error")]
    assert found(model, x, x[:, 1]) == []


def test_constant_inputs_are_found(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    assert found(model, np.ones_like(x), y)[0] == ("data_bug", "error")
    x[:, 0] = 1  # one constant column is harmless
    assert found(model, x, y) == []


def test_small_tables_of_whole_numbers_may_repeat(compiled, dense, found):
    x = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (50, 1)).astype("float32")
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(2,))
    assert found(model, x, x[:, 0] != x[:, 1]) == []


def test_sorted_batches_are_found(compiled, dense, facts_of, found, table):
    x, y = table
    order = np.argsort(y, kind="stable")
    model = compiled(dense(), dense(3, "softmax"))

    def batches(order):
        return [(x[order[i : i + 20]], y[order[i : i + 20]]) for i in range(0, 200, 20)]

    class Batches:
        def __init__(self, order):
            self.items = batches(order)

        def __iter__(self):
            return iter(self.items)

    assert found(model, Batches(order)) == [("data_bug", "warning")]
    assert found(model, Batches(np.arange(200))) == []
    assert found(model, x[order], y[order]) == []  # `fit` shuffles arrays
