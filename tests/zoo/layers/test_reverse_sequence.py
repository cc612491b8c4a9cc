import keras
import numpy as np
import pytest

from zoo.layers import ReverseSequence

to_numpy = keras.ops.convert_to_numpy


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((4, 5, 3)).astype("float32")


MASK = np.arange(5) < np.array([[5], [3], [1], [0]])


def test_it_turns_around_what_is_no_padding(x):
    result = to_numpy(ReverseSequence()(x, mask=MASK))
    np.testing.assert_array_equal(result[0], x[0, ::-1])
    np.testing.assert_array_equal(result[1], x[1, [2, 1, 0, 3, 4]])
    np.testing.assert_array_equal(result[2:], x[2:])


def test_it_turns_around_whole_sequences_without_a_mask(x):
    np.testing.assert_array_equal(to_numpy(ReverseSequence()(x)), x[:, ::-1])


@pytest.mark.parametrize("mask", [MASK, None])
def test_twice_is_the_identity(x, mask):
    layer = ReverseSequence()
    twice = layer(layer(x, mask=mask), mask=mask)
    np.testing.assert_array_equal(to_numpy(twice), x)


def test_lengths_may_change_from_batch_to_batch(x):
    inputs, mask = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
    layer = ReverseSequence()
    model = keras.Model([inputs, mask], layer(inputs, mask=mask))
    for time in (5, 3, 4):
        batch = x[:, :time], MASK[:, :time]
        expected = to_numpy(layer(batch[0], mask=batch[1]))
        np.testing.assert_array_equal(model.predict_on_batch(batch), expected)


def test_its_shape_is_known_before_it_is_called():
    layer = ReverseSequence()
    assert layer.compute_output_shape((None, 5, 3)) == (None, 5, 3)
    assert layer(keras.Input((5, 3))).shape == (None, 5, 3)


def test_it_is_saved_with_its_name():
    layer = ReverseSequence(name="around")
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert isinstance(copy, ReverseSequence)
    assert copy.name == "around"
