"""`print` of a callback says what was chosen and what has happened."""

import keras
import numpy as np
import pytest

from callbacks import (
    EarlyStopping,
    ResumeTraining,
    ScheduleLearningRate,
    ScheduleMomentum,
    Snapshots,
)
from callbacks.schedules import Linear

pytestmark = pytest.mark.one_backend


class Values(keras.callbacks.Callback):
    """Logs given values."""

    def __init__(self, *values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["value"] = self.values[epoch]


def fit(*callbacks, epochs=4):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "mse")
    x = np.ones((4, 1))
    model.fit(x, x, batch_size=2, epochs=epochs, verbose=0, callbacks=[*callbacks])


def stopping(**options):
    return EarlyStopping("value", mode="max", **options)


def test_early_stopping_that_has_stopped():
    early = stopping(patience=1, restore_best_weights=True)
    assert repr(early) == (
        "EarlyStopping on value, with a patience of 1: no epoch has ended yet."
    )
    fit(Values(0.5, 0.75, 0.25, 0.25), early)
    assert str(early) == (
        "EarlyStopping on value: training was stopped after epoch 3, since value has "
        "not improved on 0.75 (epoch 2) for 1 epoch. The best value is 0.75, of epoch "
        "2, whose weights were restored."
    )


def test_early_stopping_that_has_not_stopped():
    early = stopping(patience=9)
    fit(Values(0.5, 0.75, 0.25, 0.25), early)
    assert str(early) == (
        "EarlyStopping on value: training was not stopped early. The best value is "
        "0.75, of epoch 2."
    )
    fit(Values(*[np.nan] * 4), early)
    assert str(early).endswith("stopped early. No epoch has a value to keep.")


def test_a_second_fit_has_not_restored_the_weights_of_the_first(tmp_path):
    early = stopping(patience=9, filepath=tmp_path / "best.weights.h5")
    fit(Values(1.0, 2.0), early, epochs=2)
    early.restore_best()
    assert "whose weights were restored" in str(early)
    fit(Values(3.0, 4.0), early, epochs=2)
    assert "restored" not in str(early)


def test_schedules():
    rate = ScheduleLearningRate(Linear(4))
    momentum = ScheduleMomentum(Linear(8), minimum=0.5, unit="step")
    shape = repr(Linear(4))
    assert repr(rate) == (
        f"ScheduleLearningRate: {shape}, with time in epochs. No epoch has ended yet."
    )
    fit(rate, momentum)
    # The last of 8 steps begins at time 3.5 of 4, so the factor is 1 / 8.
    assert str(rate).endswith("The last epoch ended with learning_rate 0.0625.")
    assert str(momentum).endswith("in steps. The last epoch ended with momentum 0.85.")


def test_snapshots(tmp_path):
    snapshots = Snapshots(tmp_path, every=2)
    assert repr(snapshots) == (
        f"Snapshots: saves to '{tmp_path}' every 2 epochs. Nothing saved yet."
    )
    fit(snapshots)
    assert str(snapshots).endswith(
        "2 files saved, the last one is snapshot-0004.keras."
    )
    assert "after epochs 1, 3." in str(Snapshots(tmp_path, epochs=[1, 3]))


def test_resuming(tmp_path):
    first = ResumeTraining(tmp_path, every=3)
    assert repr(first) == (
        f"ResumeTraining: saves to '{tmp_path}' every 3 steps. Training has not begun "
        "yet."
    )
    fit(first)
    assert str(first).endswith(
        "Training was begun at epoch 1, and ended after epoch 4."
    )
    more = ResumeTraining(tmp_path, every=3, verbose=0)
    fit(more, epochs=5)
    assert str(more).endswith(
        "Training was resumed at epoch 5, and ended after epoch 5."
    )
    again = ResumeTraining(tmp_path, every=3, verbose=0)
    fit(again, epochs=5)
    assert str(again).endswith("was already complete, and ended after epoch 5.")
    assert "every 2.5 seconds" in str(ResumeTraining(tmp_path, seconds=2.5))
    assert "at the end of every epoch" in str(ResumeTraining(tmp_path))
