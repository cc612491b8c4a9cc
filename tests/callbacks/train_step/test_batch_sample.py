from collections import namedtuple

import keras
import numpy as np
import pytest

from callbacks.train_step import BatchSample

BACKEND = keras.backend.backend()
ARRAY = np.arange(12.0).reshape(6, 2)


def tensor(array, dtype="float32"):
    return keras.ops.cast(keras.ops.convert_to_tensor(array), dtype)


DTYPES = ["float32", "float16", "bfloat16", "int32", "uint8", "bool"]
if BACKEND != "jax":  # which has them only in a mode of its own
    DTYPES.append("int64")


@pytest.mark.parametrize("size", [4, 6, 9])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_kept(dtype, size):
    batch = tensor(ARRAY, dtype), tensor(ARRAY[:, 0], dtype)
    sample = BatchSample.from_batch(7, batch, size)
    for got, array in ((sample.x, ARRAY), (sample.y, ARRAY[:, 0])):
        assert isinstance(got, np.ndarray)
        assert str(got.dtype) == keras.backend.standardize_dtype(batch[0].dtype)
        expected = array[:size].astype("bool") if dtype == "bool" else array[:size]
        np.testing.assert_array_equal(got.astype("float64"), expected)
    assert sample.sample_weight is None
    assert sample.step == 7
    assert sample.missing == {}


Pair = namedtuple("Pair", "first second")


def test_structures_are_kept():
    x = {
        "a": tensor(ARRAY),
        "b": (tensor(ARRAY[:, 1]), None, Pair(tensor(ARRAY), None)),
    }
    sample = BatchSample.from_batch(0, (x, [tensor(ARRAY)] * 2, None), 2)
    assert list(sample.x) == ["a", "b"]
    first, second, pair = sample.x["b"]
    np.testing.assert_array_equal(sample.x["a"], ARRAY[:2])
    np.testing.assert_array_equal(first, [1, 3])
    assert second is None
    assert type(pair) is Pair
    assert pair.second is None
    np.testing.assert_array_equal(pair.first, ARRAY[:2])
    np.testing.assert_array_equal(sample.y, [ARRAY[:2]] * 2)
    assert sample.sample_weight is None
    assert sample.missing == {}


@pytest.mark.parametrize(
    ("batch", "has_y"),
    [(tensor(ARRAY), False), ((tensor(ARRAY),), False), ([tensor(ARRAY)] * 2, True)],
    ids=["x", "(x,)", "[x, y]"],
)
def test_batches_are_unpacked_as_keras_does(batch, has_y):
    sample = BatchSample.from_batch(0, batch, 3)
    np.testing.assert_array_equal(sample.x, ARRAY[:3])
    assert (sample.y is not None) == has_y
    assert sample.missing == {}


def test_a_scalar_stays_a_scalar():
    sample = BatchSample.from_batch(0, (tensor(ARRAY), tensor(2.0)), 3)
    assert sample.y.shape == ()
    assert sample.y == 2


@pytest.mark.parametrize("size", [0, 4])
def test_another_tuple_has_no_x_and_y(size):
    sample = BatchSample.from_batch(3, (tensor(ARRAY),) * size, 3)
    assert sample.step == 3
    assert sample.x is sample.y is sample.sample_weight is None
    reason = "The batch is not a tuple `(x, y, sample_weight)`."
    assert sample.missing == dict.fromkeys(["x", "y", "sample_weight"], reason)


def sparse():
    """A sparse matrix of the backend."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.sparse.from_dense(ARRAY)
    if BACKEND == "jax":
        from jax.experimental import sparse

        return sparse.BCOO.fromdense(ARRAY)
    return tensor(ARRAY).to_sparse()


def without_numpy():
    """A tensor that cannot be converted to an array."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        dataset = tf.data.Dataset.range(2)
        return tf.data.experimental.to_variant(dataset)[None]
    if BACKEND == "torch":
        import torch

        return tensor(ARRAY).to(torch.float8_e4m3fn)
    return object()  # on JAX, all tensors can be converted


@pytest.mark.parametrize("make", [sparse, without_numpy, lambda: {"text": "a"}, object])
def test_what_is_no_array_of_numbers_is_missing(make):
    sample = BatchSample.from_batch(0, (make(), tensor(ARRAY)), 3)
    assert sample.x is None
    assert sample.missing.keys() == {"x"}
    assert sample.missing["x"].startswith("It contains ")
    np.testing.assert_array_equal(sample.y, ARRAY[:3])


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow has tensors only")
def test_arrays_of_objects_are_missing():
    words = np.array(["a", "b"]), np.array([None, {}], dtype=object)
    for array in words:
        sample = BatchSample.from_batch(0, (tensor(ARRAY), array), 1)
        assert sample.y is None
        assert sample.missing["y"].startswith("It contains strings or other objects")


@pytest.mark.tensorflow_only(reason="only TensorFlow has ragged tensors")
def test_ragged_tensors_are_arrays_of_rows():
    import tensorflow as tf

    rows = [[1, 2], [], [3, 4, 5], [6]]
    nested = [[[1], [2, 3]], [[]], [[4]], []]
    x = tf.ragged.constant(rows, dtype="int32"), tf.ragged.constant(nested)
    flat, deep = BatchSample.from_batch(0, (x,), 3).x
    assert flat.shape == deep.shape == (3,)
    assert [row.tolist() for row in flat] == rows[:3]
    assert {row.dtype for row in flat} == {np.dtype("int32")}
    assert [[part.tolist() for part in row] for row in deep] == nested[:3]
    equal = tf.ragged.constant([[1, 2], [3, 4]])
    same = BatchSample.from_batch(0, (equal,), 3).x
    assert same.shape == (2,)
    words = tf.ragged.constant([["a"], ["b", "c"]])
    assert BatchSample.from_batch(0, (words,), 3).missing.keys() == {"x"}


@pytest.mark.tensorflow_only(reason="only TensorFlow has optional values")
def test_an_optional_value_is_none_as_in_keras():
    import tensorflow as tf

    y = tf.experimental.Optional.empty(tf.TensorSpec(()))
    sample = BatchSample.from_batch(0, (tensor(ARRAY), y), 3)
    assert sample.y is None
    assert sample.missing == {}
