"""The value of a variable as an array, without a copy."""

import keras
import numpy as np
import pytest

from zoo.backend import shared_array


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "bfloat16", "int32", "uint32", "bool"]
)
@pytest.mark.parametrize("shape", [(), (3, 4)])
def test_the_value_is_that_of_keras(dtype, shape):
    values = np.random.default_rng(0).integers(0, 2, shape)
    variable = keras.Variable(values, dtype=dtype, trainable=False)
    expected = keras.ops.convert_to_numpy(variable)
    found = shared_array(variable)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_the_memory_is_that_of_the_variable():
    variable = keras.Variable(np.ones((50, 50), "float32"))
    assert np.shares_memory(shared_array(variable), shared_array(variable))
