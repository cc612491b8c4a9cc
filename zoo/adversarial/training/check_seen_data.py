"""A callback that rejects invalid inputs and labels during training."""

import keras


class CheckSeenData(keras.callbacks.Callback):
    """Checks inputs and labels after the first batch and after every epoch.

    The model must be an `AdversarialTrainer`, which records the minimum and maximum of
    the inputs and labels for these checks.
    """

    def on_train_begin(self, logs=None):
        self._is_checked = False

    def on_train_batch_end(self, batch, logs=None):
        if not self._is_checked:
            self._is_checked = True
            self.model.check_seen()

    def on_epoch_end(self, epoch, logs=None):
        self.model.check_seen()
