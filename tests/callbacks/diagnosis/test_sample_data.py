import numpy as np
import pandas as pd
import pytest

from callbacks.diagnosis.data.data_facts import describe_data
from callbacks.diagnosis.data.sample_data import MAX_EXAMPLES, take_sample


def kind_of(y):
    y = np.asarray(y)
    return describe_data(take_sample(np.zeros((len(y), 2)), y)).targets[0].kind


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (np.eye(3)[[0, 1, 2]], "one_hot"),
        ([[1, 1, 0], [0, 0, 0]], "multi_hot"),
        ([[0.2, 0.8], [0.5, 0.5]], "probabilities"),
        ([0, 1, 1], "binary"),
        ([True, False], "binary"),
        ([-1, 1, 1], "signed"),
        ([0, 1, 2], "class_ids"),
        ([0.0, 1.0, 5.0], "class_ids"),
        ([-3, 4, 5], "integers"),
        ([0.5, 1.5], "real"),
        (["a", "b"], "strings"),
    ],
)
def test_kinds_of_targets(y, kind):
    assert kind_of(y) == kind


def test_samples_of_arrays_are_random_but_keep_rows_together():
    x = np.arange(5000.0)[:, None]
    sample = take_sample(x, 2 * x[:, 0])
    assert len(sample) == MAX_EXAMPLES
    assert sample.size == 5000
    np.testing.assert_array_equal(sample.y, 2 * sample.x[:, 0])
    assert sample.x.max() > 4500


def test_frames_and_lists_are_arrays():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    sample = take_sample(frame, [0, 1])
    assert sample.x.shape == (2, 2)
    assert sample.y.tolist() == [0, 1]


def test_structures_of_datasets_are_kept():
    batches = [({"a": np.ones((4, 2))}, np.ones(4), np.full(4, 2.0))] * 3
    sample = take_sample(iter(batches))
    assert sample.x["a"].shape == (12, 2)
    assert sample.batch_sizes == (4, 4, 4)
    assert sample.sample_weight.sum() == 24


def test_inputs_are_described():
    x = np.array([[0.0, 300.0], [1.0, -300.0], [1.0, np.nan], [0.0, 300.0]])
    (facts,) = describe_data(take_sample(x, np.zeros(4))).inputs
    assert facts.non_finite == 1
    assert facts.maximum == 300
    assert facts.duplicates == 0.25
    assert facts.column_rms[0] == pytest.approx(np.sqrt(0.5))
