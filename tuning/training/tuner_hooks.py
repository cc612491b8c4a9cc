"""Callback that calls methods of the tuner during `fit`, as KerasTuner does."""

import keras

HOOKS = ("on_batch_begin", "on_batch_end", "on_epoch_begin", "on_epoch_end")


class TunerHooks(keras.callbacks.Callback):
    """Calls the tuner methods that KerasTuner itself would call during `fit`.

    Users can override these methods in a subclass of the tuner.

    Args:
        tuner: Tuner whose methods are called.
        trial: Trial that is passed to the methods.
    """

    def __init__(self, tuner, trial):
        super().__init__()
        self.tuner, self.trial = tuner, trial

    def get_state(self) -> None:
        """Returns `None`: the state of the tuner is not that of a training run."""

    def set_state(self, state: None) -> None:
        """Does nothing."""

    def on_batch_begin(self, batch, logs=None):
        self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

    def on_batch_end(self, batch, logs=None):
        self.tuner.on_batch_end(self.trial, self.model, batch, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch, logs=None):
        self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)
