import keras
import numpy as np
import pytest

from zoo.utils.real_array import real_array

pytestmark = pytest.mark.one_backend

X = np.arange(12.0).reshape(6, 2)
MASKED = np.ma.masked_equal(X, 6.0)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint16", "int64", "bool"]
)
def test_real_numbers_are_not_copied(dtype):
    values = X.astype(dtype)
    assert real_array(values, "x") is values


def test_lists_and_tensors():
    np.testing.assert_array_equal(real_array(X.tolist(), "x"), X)
    tensor = keras.ops.convert_to_tensor(X, "float32")
    np.testing.assert_array_equal(real_array(tensor, "x"), X)


def test_a_mask_that_hides_nothing():
    np.testing.assert_array_equal(real_array(np.ma.array(X), "x"), X)


class Sparse:  # as scipy's
    def tocsr(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (MASKED, "values in x.*a masked array.*first in row 3.*\n.*filled"),
        (MASKED.astype(int), "first in row 3"),
        (list(MASKED), "first in row 3"),
        (MASKED[:, 0], "first in row 3"),
        (Sparse(), "Expected a dense array.*sparse Sparse\n.*toarray"),
        ([[1, 2], [3]], "Invalid x. Expected an array.*\n.*pad_sequences"),
        (X + 1j, "real numbers. Received: dtype complex128\n.*columns"),
        (X.astype(object), "dtype object\n.*astype"),
        (X.astype("timedelta64[s]"), r"dtype timedelta64\[s\]\n"),
        (X.astype("datetime64[s]"), r"dtype datetime64\[s\]\n"),
        (X.astype(str), "dtype <U32\n.*np.unique"),
        (np.zeros(3, [("a", float)]), r"\n.*pandas.DataFrame\(x\)"),
        ({"a": X}, "dtype object"),
    ],
)
def test_what_is_no_array_of_real_numbers(values, message):
    with pytest.raises(ValueError, match=message):
        real_array(values, "x")
