"""Folds cut all that belongs to an example, and refuse what cannot be cut."""

import keras
import numpy as np
import pytest

from tuning.training.folds import Folds
from zoo.datasets import ArrayDataset, Arrays

X = np.arange(20.0)[:, None]
Y = np.arange(20) % 2


def cut(*args, **kwargs):
    folds = Folds(4, 0, args, kwargs)
    return [folds.arguments(index, kwargs) for index in range(4)]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, X),
        ([X, 10 * X], X),
        ((X, 10 * X), X),
        ({"a": X, "b": 10 * X}, X),
        ({"a": X, "b": [10 * X, X]}, {"out": X, "aux": X}),
        (X.tolist(), X.tolist()),
    ],
)
@pytest.mark.parametrize("weight", [None, X[:, 0]])
def test_inputs_targets_and_weights_are_cut_alike(x, y, weight):
    given = {} if weight is None else {"sample_weight": weight}
    seen = []
    for (train_x, train_y), kwargs in cut(x, y, **given):
        parts = {"train": (train_x, train_y), "validation": kwargs["validation_data"]}
        if weight is not None:
            parts["train"] += (kwargs["sample_weight"],)
            assert len(parts["validation"]) == 3
        for name, part in parts.items():
            leaves = keras.tree.flatten(part)
            rows = np.ravel(leaves[-1]).tolist()
            assert len(rows) == {"train": 15, "validation": 5}[name]
            for leaf in leaves:
                assert np.ravel(leaf).tolist() in (rows, [10 * row for row in rows])
        assert not set(np.ravel(keras.tree.flatten(parts["train"])[-1])) & set(rows)
        seen += rows
    assert sorted(seen) == list(range(20))


def test_arguments_that_are_no_data_are_passed_on():
    for (x, _), kwargs in cut(X, Y, 8, epochs=3, class_weight={0: 1.0, 1: 2.0}):
        assert len(x) == 15
        assert kwargs.pop("validation_data")[0].shape == (5, 1)
        assert kwargs == {
            **{"batch_size": 8, "epochs": 3},
            "class_weight": {0: 1.0, 1: 2.0},
        }


@pytest.mark.tensorflow_only(reason="makes batches by tf.data")
@pytest.mark.parametrize("structure", ["plain", "weights", "dict"])
def test_batches_of_tf_data_are_cut_whole(structure):
    import tensorflow as tf

    x = {"a": X, "b": 10 * X} if structure == "dict" else X
    data = (x, Y) if structure == "plain" else (x, Y, X[:, 0])
    dataset = tf.data.Dataset.from_tensor_slices(data).shuffle(20).batch(8)
    seen = []
    for (train,), kwargs in cut(dataset):
        assert train.batch_size == 8
        assert len(train[0]) == len(data)
        for batch in kwargs["validation_data"]:
            rows = keras.tree.flatten(batch)[0][:, 0]
            seen += rows.tolist()
            np.testing.assert_array_equal(batch[1], rows % 2)
            if len(batch) == 3:
                np.testing.assert_array_equal(batch[2], rows)
    assert sorted(seen) == list(range(20))


def endless(kind):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    if kind == "repeat":
        return dataset.repeat()

    def generate():
        while True:
            yield X[:8], Y[:8]

    signature = (tf.TensorSpec((8, 1)), tf.TensorSpec((8,), tf.int64))
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


@pytest.mark.tensorflow_only(reason="makes batches by tf.data")
@pytest.mark.parametrize("kind", ["repeat", "generator"])
def test_a_dataset_without_an_end_is_refused_at_once(kind):
    with pytest.raises(ValueError, match="`x`. Expected a dataset that ends"):
        cut(endless(kind), steps_per_epoch=2)


class Batches(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return X[:8], Y[:8]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((X, Y), {"validation_data": (X, Y)}, "`validation_data`. Expected None"),
        ((X, Y), {"validation_split": 0.2}, "`validation_split`. Expected None"),
        ((X, Y[:7]), {}, "as many examples in each array.*'x: 20', 'y: 7'"),
        ((X, Y), {"sample_weight": X[:3, 0]}, "'sample_weight: 3'"),
        (({"a": X, "b": X[:5]}, Y), {}, "'x: 20', 'x: 5'"),
        ((Batches(), Y), {}, "`x`. Expected arrays"),
        ((Batches(),), {}, "`x`. Expected arrays"),
        ((iter([(X, Y)]),), {}, "`x`. Expected arrays"),
        (
            (ArrayDataset(Arrays(X, Y), 8),),
            {"sample_weight": Y},
            "`sample_weight`. Expected None with a dataset",
        ),
    ],
)
def test_what_cannot_be_cut_is_named(args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        cut(*args, **kwargs)


def test_no_split_of_the_validation_is_no_split():
    assert len(cut(X, Y, validation_split=0.0, validation_data=None)) == 4
