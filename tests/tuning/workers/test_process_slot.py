"""Processes that are killed at any moment of a call, and replaced."""

import os
import random
import signal
import sys
import threading
import time

import cloudpickle
import pytest

from tuning.workers import process_slot
from tuning.workers.process_slot import ProcessSlot, SlotClosed, WorkerDied
from tuning.workers.slot_process import call

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does"),
]
# New processes then need not import this module, nor Keras.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def slot(tmp_path):
    slot = ProcessSlot("worker 1", tmp_path, {"SLOT_COLOR": "green"})
    yield slot
    slot.close()
    assert not list(tmp_path.iterdir())


def facts():
    return os.getpid(), os.environ["SLOT_COLOR"], "keras" in sys.modules


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_once(path):
    """Kills the process at the first call."""
    if not os.path.exists(path):
        with open(path, "w"):
            pass
        kill_self()
    return "alive"


def fail(kind):
    raise kind("no such file")


class Picky(Exception):
    def __init__(self, first, second):
        super().__init__(first)


def fail_badly():
    raise Picky("one", "two")


def gone(pid):
    """Waits until a process no longer exists."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_calls_run_in_one_process_with_its_own_environment(slot):
    pid, color, has_keras = slot.run(facts)
    assert pid != os.getpid()
    assert color == "green"
    assert not has_keras
    assert slot.run(facts)[0] == pid
    with pytest.raises(OSError, match="no such file") as caught:
        slot.run(fail, OSError)
    assert "in fail" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Picky: one"):
        slot.run(fail_badly)  # an exception that cannot be unpickled
    slot.close()
    assert gone(pid)
    with pytest.raises(SlotClosed):
        slot.run(facts)


def test_a_process_killed_in_a_call_is_replaced(slot):
    first = slot.run(facts)[0]
    with pytest.raises(WorkerDied):
        slot.run(kill_self)
    second = slot.run(facts)[0]
    assert second != first
    # Nobody is to blame for a process that was killed while it was idle.
    os.kill(second, signal.SIGKILL)
    assert slot.run(facts)[0] not in (first, second)


def test_a_result_is_kept_if_the_process_dies_afterwards(slot, monkeypatch):
    def call_and_die(path):
        call(path)
        kill_self()

    monkeypatch.setattr(process_slot, "call", call_and_die)
    assert slot.run(facts)[1] == "green"


def test_a_process_that_never_begins_is_an_error(slot, monkeypatch):
    monkeypatch.setattr(process_slot, "call", lambda path: kill_self())
    monkeypatch.setattr(process_slot, "MAX_STARTS", 2)
    with pytest.raises(RuntimeError, match="died 2 times before it began"):
        slot.run(facts)


def test_closing_ends_a_running_call(slot):
    raised = []

    def run():
        try:
            slot.run(time.sleep, 60)
        except SlotClosed as error:
            raised.append(error)

    slot.run(facts)
    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)
    slot.close()
    thread.join(10)
    assert raised


@pytest.mark.heavy
def test_no_result_is_lost_whenever_a_process_that_sends_50_mb_is_killed(slot):
    generator = random.Random(0)
    value = bytes(50 * 2**20)
    deaths, results = 0, 0
    pids = []
    seconds = 0.0

    def kill_later():
        time.sleep(generator.uniform(0, seconds))
        os.kill(pids[-1], signal.SIGKILL)

    while deaths < 5 and results < 50:
        slot.run(os.getpid)
        begun = time.monotonic()
        slot.run(lambda: value)
        seconds = time.monotonic() - begun  # measured anew, since machines are shared
        pids.append(slot.run(os.getpid))
        killer = threading.Thread(target=kill_later)
        killer.start()
        try:
            assert slot.run(lambda: value) == value
            results += 1
        except WorkerDied:
            deaths += 1
        killer.join(10)
    assert deaths == 5
