"""Rules on inputs, labels, layers, weights, optimizers and metrics."""

import keras
import numpy as np
import pytest

SPARSE = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(0)


def compiled(*layers, loss=SPARSE, optimizer="adam", shape=(4,), **options):
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(optimizer, loss, **options)
    return model


def dense(units=16, activation="relu", **options):
    return keras.layers.Dense(units, activation, **options)


# Inputs.


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
def test_scale_of_inputs(found, table, scale, layers, expected):
    x, y = table
    model = compiled(*layers, dense(), dense(3, "softmax"))
    assert [one for one, _ in found(model, scale * x, y)] == expected


def test_a_normalization_that_was_not_adapted_does_not_scale(found, table):
    x, y = table
    layer = keras.layers.Normalization()
    model = compiled(layer, dense(), dense(3, "softmax"))
    assert [one for one, _ in found(model, 100 * x, y)] == ["inputs_not_scaled"]
    layer.adapt(100 * x)
    assert found(model, 100 * x, y) == []


def test_normalization_after_the_first_layer_removes_the_scale(found, table):
    x, y = table
    norm = keras.layers.BatchNormalization()
    assert found(compiled(dense(), norm, dense(3, "softmax")), 100 * x, y) == []


def test_ids_of_an_embedding_need_no_scale(found):
    x = RNG.integers(0, 5000, (100, 12))
    layers = [keras.layers.Embedding(5000, 8), keras.layers.LSTM(8)]
    model = compiled(*layers, dense(1, "sigmoid"), loss="bce", shape=(12,))
    assert found(model, x, x[:, 0] % 2) == []
    assert found(model, x * 2, x[:, 0] % 2) == [("misused_layer", "error")]
    assert found(model, x / 7, x[:, 0] % 2) == [("misused_layer", "error")]


def test_sparse_features_are_not_small(found):
    x = (RNG.random((100, 1000)) < 0.01).astype("float32")
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(1000,))
    assert found(model, x, x[:, 0] > 2) == []


def test_nan_is_found_in_inputs_and_labels(found, table):
    x, y = table
    bad = x.copy()
    bad[3, 1] = np.nan
    model = compiled(dense(), dense(3, "softmax"))
    assert found(model, bad, y) == [("data_bug", "error")]
    model = compiled(dense(), dense(1, None), loss="mse")
    assert found(model, x, bad[:, 1]) == [("data_bug", "error")]
    assert found(model, x, x[:, 1]) == []


def test_constant_inputs_are_found(found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    assert found(model, np.ones_like(x), y)[0] == ("data_bug", "error")
    x[:, 0] = 1  # one constant column is harmless
    assert found(model, x, y) == []


def test_small_tables_of_whole_numbers_may_repeat(found):
    x = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (50, 1)).astype("float32")
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(2,))
    assert found(model, x, x[:, 0] != x[:, 1]) == []


def test_sorted_batches_are_found(facts_of, found, table):
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


# Labels.


def test_independent_labels_are_found(found):
    x = RNG.normal(size=(1000, 6)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0) * 1  # no linear dependence
    shuffled = RNG.permutation(y)
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(6,))
    assert found(model, x, y, dependence=True) == []
    expected = [("labels_independent_of_inputs", "warning")]
    assert found(model, x, shuffled, dependence=True) == expected


def test_constant_labels_are_found(found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    expected = [("labels_independent_of_inputs", "error")]
    assert found(model, x, np.zeros_like(y)) == expected
    rare = np.zeros_like(y)
    rare[7] = 1
    assert found(model, x, rare) == []


def test_images_as_targets_must_be_in_range(found):
    x = RNG.integers(0, 256, (50, 64)).astype("float32")
    model = compiled(dense(), dense(64, "sigmoid"), loss="mse", shape=(64,))
    assert found(model, x / 255, x) == [("labels_out_of_range", "error")]
    assert found(model, x / 255, x / 255) == []


# Layers.


def test_linear_stacks_are_found(found, table):
    x, y = table
    model = compiled(dense(16, None), dense(16, None), dense(3, "softmax"))
    assert found(model, x, y) == [("linear_hidden_stack", "warning")]
    model = compiled(dense(16), dense(3, "softmax"))
    assert found(model, x, y) == []
    for layer in (keras.layers.ReLU(), keras.layers.Activation("tanh")):
        assert found(compiled(dense(16, None), layer, dense(3, "softmax")), x, y) == []
    assert found(compiled(dense(3, "softmax")), x, y) == []  # logistic regression


def test_a_projection_beside_other_activations_is_no_fault(found, table):
    x, y = table
    model = compiled(dense(16), dense(16, None), dense(3, "softmax"))
    assert found(model, x, y) == []
    expected = [("linear_hidden_stack", "hint")]
    assert found(model, x, y, hints=True) == expected


def test_hidden_softmax_is_found_but_not_attention(found, table):
    x, y = table
    model = compiled(dense(16, "softmax"), dense(3, "softmax"))
    assert found(model, x, y) == [("misused_layer", "warning")]
    inputs = keras.Input((4,))
    gate = keras.layers.Dense(16, "softmax")(inputs)
    hidden = keras.layers.Dense(16, "relu")(inputs)
    outputs = keras.layers.Dense(3, "softmax")(keras.layers.multiply([gate, hidden]))
    model = keras.Model(inputs, outputs)
    model.compile("adam", SPARSE)
    assert found(model, x, y) == []


def test_softmax_over_the_batch_is_found(found, table):
    x, y = table
    for axis, expected in ((0, [("misused_layer", "error")]), (-1, []), (1, [])):
        model = compiled(dense(), dense(3, None), keras.layers.Softmax(axis=axis))
        assert found(model, x, y) == expected


def test_missing_flatten_is_found(found):
    x = RNG.normal(size=(60, 8, 8)).astype("float32")
    y = RNG.integers(0, 3, 60)
    model = compiled(dense(), dense(3, "softmax"), shape=(8, 8))
    assert found(model, x, y) == [("misused_layer", "error")]
    flatten = keras.layers.Flatten()
    assert (
        found(compiled(flatten, dense(), dense(3, "softmax"), shape=(8, 8)), x, y) == []
    )
    per_step = RNG.integers(0, 3, (60, 8))
    assert found(model, x, per_step) == []  # one label per position


def test_dropout_after_the_output_is_found(found, table):
    x, y = table
    dropout = keras.layers.Dropout(0.3)
    model = compiled(dense(), dense(3, "softmax"), dropout)
    assert found(model, x, y) == [("misused_layer", "warning")]
    assert found(compiled(dense(), dropout, dense(3, "softmax")), x, y) == []


@pytest.mark.parametrize(("rate", "expected"), [(0.5, []), (0.8, []), (0.95, ["o"])])
def test_high_dropout_is_found(found, table, rate, expected):
    model = compiled(dense(), keras.layers.Dropout(rate), dense(3, "softmax"))
    causes = [one for one, _ in found(model, *table)]
    assert causes == ["over_regularized" for _ in expected]


def test_frozen_weights_are_found(found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    model.trainable = False
    model.compile("adam", SPARSE)
    assert found(model, x, y) == [("frozen_weights", "error")]
    model = compiled(dense(64, name="first"), dense(64), dense(3, "softmax"))
    model.get_layer("first").trainable = False
    model.compile("adam", SPARSE)
    assert found(model, x, y) == [("frozen_weights", "warning")]
    trained = model.get_layer("first")
    trained.set_weights([RNG.normal(size=(4, 64)), np.zeros(64)])
    assert found(model, x, y) == []  # fine-tuning


def test_batches_of_one_defeat_batch_normalization(found, table):
    x, y = table
    norm = keras.layers.BatchNormalization()
    model = compiled(dense(16, None), norm, keras.layers.ReLU(), dense(3, "softmax"))
    expected = [("unfit_batch_size", "error")]
    assert found(model, x, y, batch_size=1) == expected
    assert found(model, x, y, batch_size=8) == []


@pytest.mark.parametrize(("momentum", "expected"), [(0.99, 0), (0.999, 0), (0.9999, 1)])
def test_slow_statistics_are_found(found, table, momentum, expected):
    norm = keras.layers.BatchNormalization(momentum=momentum)
    model = compiled(dense(16, None), norm, keras.layers.ReLU(), dense(3, "softmax"))
    assert found(model, *table) == [("misused_layer", "warning")] * expected


# Initial weights.


@pytest.mark.parametrize(
    ("initializer", "expected"),
    [
        ("glorot_uniform", []),
        ("he_normal", []),
        ("orthogonal", []),
        (keras.initializers.RandomNormal(stddev=0.05), []),
        (keras.initializers.RandomNormal(stddev=0.01), []),
        ("zeros", ["bad_initialization"]),
        ("ones", ["bad_initialization"]),
        (keras.initializers.RandomNormal(stddev=2.0), ["bad_initialization"]),
        (keras.initializers.RandomNormal(stddev=1e-4), ["bad_initialization"]),
    ],
)
def test_initial_weights(found, table, initializer, expected):
    x, y = table
    hidden = [dense(64, kernel_initializer=initializer) for _ in range(2)]
    model = compiled(*hidden, dense(3, "softmax"))
    assert [one for one, _ in found(model, x, y)] == expected


def test_zeros_at_the_end_of_a_branch_or_model_are_no_fault(found, table):
    inputs = keras.Input((4,))
    stream = keras.layers.Dense(16)(inputs)
    branch = keras.layers.Dense(16, "relu")(stream)
    branch = keras.layers.Dense(16, kernel_initializer="zeros")(branch)
    stream = keras.layers.ReLU()(keras.layers.add([stream, branch]))
    head = keras.layers.Dense(3, "softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, head(stream))
    model.compile("adam", SPARSE)
    assert found(model, *table) == []


def test_large_weights_before_a_normalization_are_no_fault(found, table):
    wide = dense(64, None, kernel_initializer=keras.initializers.RandomNormal(0, 5.0))
    norm = keras.layers.BatchNormalization()
    model = compiled(dense(64), wide, norm, keras.layers.ReLU(), dense(3, "softmax"))
    assert found(model, *table) == []


# Optimizers.

O = keras.optimizers  # noqa: E741


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (O.Adam(1e-3), []),
        (O.Adam(1e-2), []),
        (O.Adam(1e-5), []),
        (O.Adam(1.0), ["learning_rate_too_high"]),
        (O.Adam(1e-8), ["learning_rate_too_low"]),
        (O.Adam(0.0), ["learning_rate_too_low"]),
        (O.Adam(O.schedules.CosineDecay(0.0, 10, warmup_target=1e-3)), []),
        (O.SGD(0.1, momentum=0.9), []),
        (O.SGD(0.1, momentum=0.999), ["unfit_optimizer"]),
        (O.SGD(0.1, clipnorm=1.0), []),
        (O.SGD(0.1, clipnorm=1e-5), ["unfit_optimizer"]),
        (O.SGD(0.1, clipvalue=0.5), []),
        (O.Adadelta(), ["unfit_optimizer"]),
        (O.Adadelta(1.0), []),
        (O.Adam(1e-3, beta_1=0.5), []),
        (O.Adam(1e-3, beta_1=0.9, beta_2=0.1), ["unfit_optimizer"]),
        (O.Adam(1e-3, epsilon=1e-3), []),
        (O.Adam(1e-3, epsilon=10.0), ["unfit_optimizer"]),
        (O.AdamW(1e-3, weight_decay=0.1), []),
        (O.AdamW(1e-3, weight_decay=10.0), ["over_regularized"]),
        (O.RMSprop(1e-3), []),
    ],
)
def test_settings_of_optimizers(found, table, optimizer, expected):
    model = compiled(dense(64), dense(64), dense(3, "softmax"), optimizer=optimizer)
    assert [one for one, _ in found(model, *table)] == expected


# Metrics.


@pytest.mark.parametrize(
    ("units", "activation", "loss", "metric", "y", "expected"),
    [
        (1, None, "mse", "accuracy", "real", ["unfit_metric"]),
        (1, None, "mse", "mae", "real", []),
        (1, None, "mse", "accuracy", "binary", []),
        (1, "sigmoid", "bce", "accuracy", "binary", []),
        (1, "sigmoid", "bce", "categorical_accuracy", "binary", ["unfit_metric"]),
        (3, "softmax", SPARSE, "accuracy", "ids", []),
        (3, "softmax", SPARSE, "categorical_accuracy", "ids", ["unfit_metric"]),
        (3, "softmax", "categorical_crossentropy", "categorical_accuracy", "hot", []),
        (
            *(3, "softmax", "categorical_crossentropy", "binary_accuracy", "hot"),
            ["unfit_metric"],
        ),
    ],
)
def test_metrics(found, table, units, activation, loss, metric, y, expected):
    x, ids = table
    y = {
        "real": x[:, 0],
        "binary": (x[:, 0] > 0) * 1,
        "ids": ids,
        "hot": np.eye(3)[ids],
    }[y]
    model = compiled(dense(), dense(units, activation), loss=loss, metrics=[metric])
    assert [one for one, _ in found(model, x, y)] == expected
