"""SIGINT and SIGTERM: the training is saved, then they do what they do."""

import itertools
import os
import signal

import keras
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class SignalAt(keras.callbacks.Callback):
    """Raises a signal in the n-th call of a hook."""

    def __init__(self, number, hook, n):
        super().__init__()
        times = itertools.count()

        def call(*_, **__):
            if next(times) == n:
                signal.raise_signal(number)

        setattr(self, hook, call)


@pytest.mark.parametrize(
    ("hook", "n"),
    [
        ("on_train_batch_begin", 3),
        pytest.param("on_test_begin", 0, marks=pytest.mark.heavy),
    ],
)
def test_an_interrupt_is_answered_by_a_save(
    hook, n, run, uninterrupted, tmp_path, capsys
):
    interrupt = SignalAt(signal.SIGINT, hook, n)
    with pytest.raises(KeyboardInterrupt):
        run.train(tmp_path, every=1000, beside=[interrupt])
    printed = capsys.readouterr().out
    assert "Run the same program again to resume it." in printed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run.assert_same(run.train(tmp_path, every=1000), uninterrupted)
    place = "epoch 1, step 4" if n else "epoch 2"
    assert f"Resuming training at {place}." in capsys.readouterr().out


def test_termination_is_answered_by_a_save(run, tmp_path):
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        terminate = SignalAt(signal.SIGTERM, "on_train_batch_begin", 1)
        run.train(tmp_path, every=1000, stop=4, beside=[terminate])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]  # here, the handler lets the training go on
    assert len(run.saves(tmp_path)) == 1


def test_a_second_interrupt_acts_at_once(run, tmp_path):
    twice = [SignalAt(signal.SIGINT, "on_train_batch_begin", 1) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        run.train(tmp_path, every=1000, beside=twice)
    assert not run.saves(tmp_path)


def test_an_interrupt_after_a_failed_fit_acts_at_once(run, tmp_path):
    run.train(tmp_path, stop=2)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_a_fit_after_a_failed_one(run, tmp_path):
    model = run.build()
    run.train(tmp_path / "failed", make=lambda: model, stop=2)
    interrupt = SignalAt(signal.SIGINT, "on_train_batch_begin", 1)
    with pytest.raises(KeyboardInterrupt):
        run.train(tmp_path, make=lambda: model, every=1000, beside=[interrupt])
    assert len(run.saves(tmp_path)) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_a_plain_fit_after_a_failed_one(run, tmp_path):
    model = run.build()
    run.train(tmp_path, make=lambda: model, stop=2)
    interrupt = SignalAt(signal.SIGINT, "on_train_batch_begin", 1)
    with pytest.raises(KeyboardInterrupt):
        run.train(make=lambda: model, beside=[interrupt])


def test_an_ignored_interrupt_stays_ignored(run, tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupt = SignalAt(signal.SIGINT, "on_train_batch_begin", 1)
        run.train(tmp_path, every=1000, stop=4, beside=[interrupt])
    finally:
        signal.signal(signal.SIGINT, before)
    assert not run.saves(tmp_path)
