import keras
import numpy as np
import pytest

from zoo.layers import SequencePooling

to_numpy = keras.ops.convert_to_numpy

LENGTHS = (5, 3, 1)
MASK = np.arange(5) < np.array([LENGTHS]).T
POOLS = {
    "last": lambda steps: steps[-1],
    "mean": lambda steps: steps.mean(axis=0),
    "max": lambda steps: steps.max(axis=0),
}


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((3, 5, 2)).astype("float32")


@pytest.mark.parametrize("mode", POOLS)
def test_padding_does_not_count(x, mode):
    expected = [
        POOLS[mode](row[:length]) for row, length in zip(x, LENGTHS, strict=True)
    ]
    result = to_numpy(SequencePooling(mode)(x, mask=MASK))
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", POOLS)
def test_without_a_mask_every_step_counts(x, mode):
    expected = [POOLS[mode](row) for row in x]
    result = to_numpy(SequencePooling(mode)(x))
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", POOLS)
def test_padding_alone_counts_as_one_step(x, mode):
    result = to_numpy(SequencePooling(mode)(x, mask=np.zeros((3, 5), bool)))
    np.testing.assert_array_equal(result, x[:, 0])


@pytest.mark.parametrize("mode", POOLS)
def test_lengths_may_change_from_batch_to_batch(x, mode):
    inputs, mask = keras.Input((None, 2)), keras.Input((None,), dtype="bool")
    layer = SequencePooling(mode)
    model = keras.Model([inputs, mask], layer(inputs, mask=mask))
    for time in (5, 3, 4):
        batch = x[:, :time], MASK[:, :time]
        expected = to_numpy(layer(batch[0], mask=batch[1]))
        np.testing.assert_allclose(model.predict_on_batch(batch), expected, rtol=1e-6)


def test_a_gap_in_a_sequence_is_no_padding(x):
    mask = np.array([[True, False, True, False, False]] * 3)
    result = to_numpy(SequencePooling("last")(x, mask=mask))
    np.testing.assert_array_equal(result, x[:, 2])


@pytest.mark.parametrize("mode", POOLS)
def test_it_works_in_half_precision(x, mode):
    layer = SequencePooling(mode, dtype="float16")
    result = to_numpy(layer(x, mask=MASK))
    assert result.dtype == "float16"
    expected = to_numpy(SequencePooling(mode)(x, mask=MASK))
    np.testing.assert_allclose(result, expected, rtol=0.01, atol=0.01)


def test_it_is_saved_with_its_settings():
    layer = SequencePooling("max", name="pooling")
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, SequencePooling)
    assert (copy.mode, copy.name) == ("max", "pooling")
    assert layer.compute_output_shape((None, 5, 2)) == (None, 2)


def test_bad_mode():
    with pytest.raises(ValueError, match="`mode`. Expected one of 'last', 'mean', 'ma"):
        SequencePooling("sum")


def test_the_maximum_of_steps_that_are_all_infinite():
    x = np.full((1, 3, 1), -np.inf, "float32")
    x[0, 2] = 1.0  # padding
    mask = np.array([[True, True, False]])
    pooled = keras.ops.convert_to_numpy(SequencePooling("max")(x, mask=mask))
    assert pooled.tolist() == [[-np.inf]]
