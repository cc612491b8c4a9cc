import keras
import numpy as np
import pytest

from zoo.backend import tensor_statistics


@pytest.mark.parametrize("repeats", [1, 3000])  # of which many are in several chunks
def test_entries_of_every_kind_are_counted(repeats):
    tiny, least, most = 2.0**-149, 2.0**-126, np.finfo("float32").max
    values = [0.0, -0.0, tiny, -tiny, least, 1.0, 1.5, 1.99, 2.0, -3.0, most, -most]
    values = np.array([*values, np.inf, -np.inf, np.nan, -np.nan], "float32")
    tensor = keras.ops.convert_to_tensor(np.tile(values.reshape(4, 4), (repeats, 1)))
    operands = tensor_statistics.operands([tensor])
    counts = keras.ops.convert_to_numpy(tensor_statistics.count_exponents(operands))
    assert counts.sum() == repeats * values.size
    counts = counts // repeats
    expected = np.bincount(values.view("uint32") >> 23, minlength=512)
    np.testing.assert_array_equal(counts[0], expected)
    assert counts[0][[0, 256]].tolist() == [2, 2]
    assert counts[0][[255, 511]].sum() == 4
    assert counts[0][127:129].tolist() == [3, 1]
