import numpy as np
import pytest

from callbacks.diagnosis.data import sample_data
from callbacks.diagnosis.data.gather import Gathering
from callbacks.diagnosis.data.sample_data import MAX_EXAMPLES, Sample, join, take_sample


def batches(number, size=32, width=2):
    rows = np.arange(number * size)
    x = np.repeat(rows[:, None], width, axis=1).astype("float32")
    return [Sample(part, part[:, 0]) for part in np.split(x, number)]


@pytest.mark.parametrize("number", [1, 10, 64, 300, 1000])
def test_samples_are_spread_evenly(number):
    gathering = Gathering()
    for one in batches(number):
        gathering.add(one)
    assert gathering.largest == 32
    found = join(gathering.samples)
    assert len(found) <= MAX_EXAMPLES
    assert len(found) >= min(32 * number, MAX_EXAMPLES // 2)
    starts = found.y[::32]
    assert len(set(np.diff(starts))) <= 1
    assert starts[-1] > 32 * number * 0.9 - 64


def test_memory_is_limited(monkeypatch):
    monkeypatch.setattr(sample_data, "MAX_NUMBERS", 1000)
    gathering = Gathering()
    for one in batches(20, size=32, width=99):
        gathering.add(one)
    assert sum(one.x.size + one.y.size for one in gathering.samples) <= 1000
    assert gathering.largest == 32  # the batch size is known all the same


def test_data_that_begins_again_adds_nothing():
    gathering = Gathering()
    for one in batches(4) + batches(4) + batches(4):
        gathering.add(one)
    assert len(join(gathering.samples)) == 128
    parts = [(one.x, one.y) for one in batches(4)]
    assert len(take_sample(iter(5 * parts))) == 128


def test_small_discrete_tables_do_not_begin_again():
    rng = np.random.default_rng(0)
    gathering = Gathering()
    for _ in range(20):
        x = rng.integers(0, 2, (32, 3))
        gathering.add(Sample(x, x[:, 0]))
    assert len(join(gathering.samples)) == 640
