"""Searches without training, in milliseconds a trial."""

import gc

import keras
import keras_tuner
import numpy as np
import pytest

from tuning import RandomSearch


class Curves(keras_tuner.HyperModel):
    """A model whose training is a function: epochs of logs for the values of a trial.

    Args:
        curve: Function of `hp` and the number of the call, that returns logs by epoch.
    """

    def __init__(self, curve):
        super().__init__()
        self.curve = curve
        self.calls = 0
        self.arguments = []

    def build(self, hp):
        hp.Float("x", 0.0, 1.0, default=0.5)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, *args, callbacks, **kwargs):
        self.arguments.append((args, kwargs))
        history = keras.callbacks.History()
        self.calls += 1
        logs = self.curve(hp, self.calls - 1)
        for each in (*callbacks, history):
            each.set_params({"epochs": len(logs)})
            each.set_model(model)
            each.on_train_begin()
        model.stop_training = False
        for epoch, values in enumerate(logs):
            model.set_weights([np.full((1, 1), epoch), np.zeros(1)])
            for each in (*callbacks, history):
                each.on_epoch_end(epoch, dict(values))
            if model.stop_training:
                break
        return history


@pytest.fixture(scope="session", autouse=True)
def _frozen():
    """Makes garbage collection, of which each search needs one, fast."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def curves(tmp_path):
    """Makes a search over trainings that are functions."""

    def make(curve, objective="val_loss", max_trials=4, cls=RandomSearch, **options):
        settings = {"directory": tmp_path, "project_name": "search", "seed": 0}
        return cls(Curves(curve), objective, max_trials, **{**settings, **options})

    return make


class Parabola(RandomSearch):
    """Minimizes (x - 0.3)^2, without a model."""

    def run_trial(self, trial, *args, **kwargs):
        x = trial.hyperparameters.Float("x", 0.0, 1.0, default=0.5)
        return (x - 0.3) ** 2


@pytest.fixture
def parabola(tmp_path):
    def make(**options):
        settings = {"directory": tmp_path, "project_name": "parabola", "seed": 0}
        return Parabola(**{**settings, **options})

    return make
