"""Iterators that replace the iterators of a dataset."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow only", allow_module_level=True)

import tensorflow as tf

from zoo.backend.framework_internals import spec_of_replica
from zoo.backend.train_step import CannotSample
from zoo.backend.train_step.tensorflow_batches import take_next

DEFAULT = tf.distribute.get_strategy()


def generator():
    for size in (2, 3, 1, 4):
        ragged = tf.ragged.range(tf.range(size))
        yield {"a": np.full((size, 2), size), "b": (ragged, [b"x"] * size)}


def dataset():
    spec = {
        "a": tf.TensorSpec((None, 2), "int64"),
        "b": (
            tf.RaggedTensorSpec((None, None), "int32"),
            tf.TensorSpec(None, "string"),
        ),
    }
    return tf.data.Dataset.from_generator(generator, output_signature=spec)


def assert_same_elements(elements, others):
    for one, other in zip(elements, others, strict=True):
        tf.nest.assert_same_structure(one, other, expand_composites=True)
        for a, b in zip(
            tf.nest.flatten(one, expand_composites=True),
            tf.nest.flatten(other, expand_composites=True),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_new_iterator_has_the_elements_that_were_taken(count):
    iterator, all_elements = iter(dataset()), list(dataset())
    replacement, elements = take_next(iterator, DEFAULT, count)
    assert_same_elements(elements, all_elements[:count])
    assert_same_elements(list(replacement), all_elements[:count])
    assert_same_elements(list(iterator), all_elements[count:])


def test_the_end_of_the_data():
    iterator = iter(dataset())
    assert len(take_next(iterator, DEFAULT, 10)[1]) == 4
    assert take_next(iterator, DEFAULT, 10) == (iterator, [])


def test_functions_are_not_traced_again():
    traced = []

    @tf.function(reduce_retracing=True)
    def total(iterator):
        traced.append(1)
        return tf.reduce_sum(iterator.get_next()["a"])

    iterator = iter(dataset())
    sums = [int(total(take_next(iterator, DEFAULT, 1)[0])) for _ in range(3)]
    sums.append(int(total(iterator)))
    assert sums == [8, 18, 2, 32]
    assert len(traced) == 1


def test_many_elements():
    replacement, _ = take_next(iter(tf.data.Dataset.range(200)), DEFAULT, 150)
    assert [int(value) for value in replacement] == list(range(150))


def test_other_iterators_and_strategies_are_refused():
    with pytest.raises(CannotSample, match="an object of type `list_iterator`"):
        take_next(iter([1]), DEFAULT, 1)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    data = strategy.experimental_distribute_dataset(dataset())
    with pytest.raises(CannotSample, match="strategy `OneDeviceStrategy`"):
        take_next(iter(data), strategy, 1)


def test_the_type_of_a_value_in_a_replica():
    spec = tf.TensorSpec((None,))
    assert spec_of_replica(spec) is spec
