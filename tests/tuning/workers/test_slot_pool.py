from types import SimpleNamespace

import pytest

from tuning.workers.process_slot import SlotClosed
from tuning.workers.slot_pool import SlotPool

pytestmark = pytest.mark.one_backend


def test_slots_are_made_as_they_are_needed_and_closed_together(tmp_path):
    closed = []

    def make_slot(index, folder):
        assert folder.parent == tmp_path
        return SimpleNamespace(close=lambda: closed.append(index), name=index)

    pool = SlotPool(make_slot, tmp_path)
    assert pool.is_idle
    with pool.lent_slot() as first, pool.lent_slot() as second:
        assert (first.name, second.name) == (0, 1)
        assert not pool.is_idle
    with pool.lent_slot() as again:
        assert again in (first, second)
    pool.close()
    assert closed == [0, 1]
    assert not list(tmp_path.iterdir())
    # A trial that was about to start when the search was interrupted starts no process.
    with pytest.raises(SlotClosed), pool.lent_slot():
        pass
