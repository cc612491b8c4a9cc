import pickle
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from callbacks import GradientHistograms, UpdateRatio
from callbacks.monitors import step_monitor
from callbacks.train_step.row_layout import RowLayout
from zoo.backend.tensor_statistics import NUM_BINS

BOUND = 20
VARIABLES = [SimpleNamespace(path=f"model/dense/{i}", shape=(4, 5)) for i in range(3)]


def record(number, updates=0):
    rng = np.random.default_rng(number)
    counts = rng.integers(0, 2, (1, 3, NUM_BINS), "int32")
    numbers = np.full(2 + 4 * 3, 0.5 + number, "float32")
    layout = RowLayout(num_variables=3, counted=("gradient",))
    return layout.unpack(0, (number, number, 0), numbers, counts)


def observed(monitor):
    """The monitor as it is inside a `fit`."""
    monitor._observation = SimpleNamespace(variables=VARIABLES, read=lambda: None)
    monitor._model = SimpleNamespace(name="model")
    monitor._new_medians = []
    return monitor


def receive(monitor, numbers):
    for number in numbers:
        monitor._receive([record(number)])
    return monitor


@pytest.fixture(params=[UpdateRatio, GradientHistograms])
def monitor(request, monkeypatch):
    monkeypatch.setattr(step_monitor, "MAX_RECORDS", BOUND)
    return observed(request.param(every=2))


def info_of(monitor):
    if isinstance(monitor, UpdateRatio):
        return monitor.ratio_info()
    return monitor.histogram_info()


def test_up_to_the_bound_all_records_are_kept(monitor):
    info = info_of(receive(monitor, range(2 * BOUND)))
    np.testing.assert_array_equal(info["step"], np.arange(0, 2 * BOUND, 2))
    assert info["every"] == 2


def test_beyond_the_bound_kept_records_are_evenly_spaced(monitor):
    info = info_of(receive(monitor, range(2 * BOUND + 2)))
    np.testing.assert_array_equal(info["step"], np.arange(0, 2 * BOUND + 2, 4))
    assert info["every"] == 4
    receive(monitor, range(2 * BOUND + 2, 9 * BOUND))
    info = info_of(monitor)
    np.testing.assert_array_equal(info["step"], np.arange(0, 9 * BOUND, 16))
    assert info["every"] == 16
    # The kept ones are what they were.
    np.testing.assert_array_equal(
        info["weight_norm" if "ratio" in info else "norm"][1], [16.5] * 3
    )


def test_the_bound_is_what_the_documentation_says():
    assert step_monitor.MAX_RECORDS == 1000
    for kind in (UpdateRatio, GradientHistograms):
        assert "At most 1,000 records" in kind.__doc__


def test_memory_is_bounded(monitor):
    monitor.every = monitor._kept_every = 1
    sizes = np.zeros(32 * BOUND)
    tracemalloc.start()
    for number in range(len(sizes)):
        receive(monitor, [number])
        monitor._new_medians.clear()  # as after an epoch
        sizes[number], _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(info_of(monitor)["step"]) <= BOUND
    assert sizes[4 * BOUND :].max() < 1.2 * sizes[: 4 * BOUND].max()


def test_updates_of_one_step_are_kept_together(monkeypatch, monitor):
    monkeypatch.setattr(step_monitor, "MAX_RECORDS", 8)
    receive(monitor, np.repeat(np.arange(20), 3).tolist())
    assert info_of(monitor)["step"].tolist() == [0, 0, 0, 16, 16, 16]


def test_more_updates_of_one_step_than_the_bound(monkeypatch, monitor):
    monkeypatch.setattr(step_monitor, "MAX_RECORDS", 8)
    receive(monitor, [0] * 10)
    assert info_of(monitor)["step"].tolist() == [0] * 10
    assert info_of(monitor)["every"] == 2


def test_a_monitor_keeps_nothing_that_only_others_asked_for(monitor):
    (kept,) = receive(monitor, [0])._records
    assert len(kept.magnitudes) == isinstance(monitor, GradientHistograms)
    assert kept.update_norm.base.size == 4 * 3


def test_a_copy_goes_on_where_it_was(monitor):
    receive(monitor, range(3 * BOUND))
    monitor._observation, monitor._model = None, None
    copy = receive(
        observed(pickle.loads(pickle.dumps(monitor))), range(3 * BOUND, 5 * BOUND)
    )
    steps = info_of(copy)["step"]
    np.testing.assert_array_equal(
        steps, np.arange(0, 5 * BOUND, info_of(copy)["every"])
    )


def test_every_record_is_logged(monkeypatch, monitor):
    monkeypatch.setattr(step_monitor, "MAX_RECORDS", 4)
    logged = []
    monitor._log = SimpleNamespace(add_scalar=lambda *a: None)
    monitor._log_record = lambda one: logged.append(one.step)
    receive(monitor, range(40))
    assert logged == list(range(0, 40, 2))
