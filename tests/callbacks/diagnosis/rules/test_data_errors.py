from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks import Diagnosis
from callbacks.diagnosis.data.sample_data import Sample
from callbacks.diagnosis.rules.data_errors import (
    classes_only_in_validation,
    not_finite,
    repeated_inputs,
    sorted_batches,
)
from callbacks.diagnosis.run.pass_facts import PassFacts

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)


def test_nan_is_found_in_inputs_and_labels(compiled, dense, found, table):
    x, y = table
    bad = x.copy()
    bad[3, 1] = np.nan
    model = compiled(dense(), dense(3, "softmax"))
    assert found(model, bad, y) == [("data_bug", "error")]
    model = compiled(dense(), dense(1, None), loss="mse")
    assert found(model, x, bad[:, 1]) == [("data_bug", "error")]
    assert found(model, x, x[:, 1]) == []


def test_constant_inputs_are_found(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    assert found(model, np.ones_like(x), y)[0] == ("data_bug", "error")
    x[:, 0] = 1  # one constant column is harmless
    assert found(model, x, y) == []


def test_small_tables_of_whole_numbers_may_repeat(compiled, dense, found):
    x = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (50, 1)).astype("float32")
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(2,))
    assert found(model, x, x[:, 0] != x[:, 1]) == []


def test_sorted_batches_are_found(compiled, dense, facts_of, found, table):
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


def test_a_layer_may_replace_nan(compiled, dense, facts_of, table):
    x, y = table
    bad = x.copy()
    bad[3, 1] = np.nan
    model = compiled(dense(), dense(3, "softmax"))
    for value, expected in ((1.0, 0), (np.nan, 1)):
        start = PassFacts(loss=value, outputs=(np.full((200, 3), value),))
        facts = facts_of(model, bad, y, start=start)
        assert len(not_finite(facts)) == expected
    start = PassFacts(loss=1.0, outputs=(np.ones((2, 3)),), sample=Sample(x[:2], y[:2]))
    assert len(not_finite(facts_of(model, bad, y, start=start))) == 1  # none of them


def test_a_loss_of_the_user_may_leave_out_nan(compiled, dense, found, table):
    x, _ = table
    y = np.where(x[:, :1] > 1, np.nan, x[:, :1])

    def masked(target, output):
        ok = keras.ops.isfinite(target)
        return keras.ops.mean(keras.ops.where(ok, (target - output) ** 2, 0))

    assert found(compiled(dense(), dense(1, None), loss=masked), x, y) == []


def test_repeated_examples_are_a_bug_if_they_contradict(
    compiled, dense, facts_of, table
):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    x = np.repeat(x[:10], 20, axis=0)
    for labels, expected in ((np.repeat(y[:10], 20), "hint"), (y, "warning")):
        (one,) = repeated_inputs(facts_of(model, x, labels))
        assert one.severity == expected


def test_few_examples_are_a_bug_if_they_do_not_predict_validation(
    compiled, dense, facts_of, table, training
):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    facts = facts_of(model, np.repeat(x[:10], 20, axis=0), np.repeat(y[:10], 20))
    for validation, expected in ((2.5, "warning"), (0.6, "hint")):
        run = training((1.0, 0.1), val_loss=(1.1, validation))
        (one,) = repeated_inputs(replace(facts, training=run))
        assert one.severity == expected


@pytest.mark.parametrize(("length", "is_found"), [(4, False), (40, True)])
def test_long_rows_of_whole_numbers_are_not_equal_by_chance(
    compiled, dense, facts_of, length, is_found
):
    x = np.repeat(RNG.integers(0, 2, size=(10, length)), 20, axis=0)
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(length,))
    facts = facts_of(model, x, RNG.integers(0, 2, 200))
    assert bool(repeated_inputs(facts)) == is_found


def test_validation_tells_whether_sorting_does_harm(
    compiled, dense, facts_of, training, table
):
    x, y = table
    order = np.argsort(y, kind="stable")
    model = compiled(dense(), dense(3, "softmax"))

    class Batches:
        def __iter__(self):
            for i in range(0, 200, 20):
                yield x[order[i : i + 20]], y[order[i : i + 20]]

    for last, expected in ((0.1, "hint"), (3.0, "warning")):
        run = training([0.5, 0.2, 0.1], val_loss=[1.0, 1.0, last])
        (one,) = sorted_batches(facts_of(model, Batches(), training=run))
        assert one.severity == expected


@pytest.mark.heavy
@pytest.mark.parametrize("is_sorted", [True, False])
def test_sorted_arrays_hide_classes_from_training(compiled, dense, is_sorted):
    y = np.repeat(np.arange(10), 200)
    x = (np.eye(10)[y] * 3 + RNG.normal(size=(2000, 10))).astype("float32")
    order = np.arange(2000) if is_sorted else RNG.permutation(2000)
    model = compiled(dense(32), dense(10, "softmax"), shape=(10,))
    diagnosis = Diagnosis(verbose=0, every=1)
    options = {"validation_split": 0.2, "epochs": 8, "verbose": 0}
    model.fit(x[order], y[order], callbacks=[diagnosis], **options)
    causes = [one.cause for one in diagnosis.report.findings if one.severity == "error"]
    assert causes == (["data_bug"] if is_sorted else [])


@pytest.mark.parametrize(
    ("classes", "worst", "expected"), [(8, 4, 1), (8, 1, 0), (10, 4, 0)]
)
def test_classes_without_examples(
    compiled, dense, facts_of, training, classes, worst, expected
):
    y = np.arange(1000) % classes
    x = np.eye(10)[y].astype("float32")
    model = compiled(dense(), dense(10, "softmax"), shape=(10,))
    run = training([1.0, 0.2, 0.1], val_loss=[worst, worst + 1, worst + 2])
    facts = facts_of(model, x, y, training=run)
    assert len(classes_only_in_validation(facts)) == expected
