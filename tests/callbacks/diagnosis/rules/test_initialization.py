import keras
import pytest

SPARSE = "sparse_categorical_crossentropy"


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
def test_initial_weights(compiled, dense, found, table, initializer, expected):
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


def test_large_weights_before_a_normalization_are_no_fault(
    compiled, dense, found, table
):
    wide = dense(64, None, kernel_initializer=keras.initializers.RandomNormal(0, 5.0))
    norm = keras.layers.BatchNormalization()
    model = compiled(dense(64), wide, norm, keras.layers.ReLU(), dense(3, "softmax"))
    assert found(model, *table) == []
