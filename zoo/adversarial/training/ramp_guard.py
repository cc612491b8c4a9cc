"""A callback that says whether the ramp of `CertifiedTrainer` was completed."""

import logging

import keras
from keras import ops

logger = logging.getLogger(__name__)


class RampGuard(keras.callbacks.Callback):
    """Logs a warning if `fit` ends before epsilon reaches its full value.

    The model must be a `CertifiedTrainer`.
    """

    def on_train_end(self, logs=None):
        trainer = self.model
        done = ops.convert_to_tensor(trainer.steps_done)
        needed = trainer.warmup_steps + trainer.ramp_steps
        if int(done) >= needed:
            return
        share = float(ops.convert_to_numpy(trainer.ramp_share(done)))
        logger.warning(
            "Certified training ended after %d of the %d steps in which epsilon grows "
            "(`warmup_steps` + `ramp_steps`). Epsilon is %.4g instead of %.4g, and "
            "`certified_accuracy` in training refers to this smaller epsilon. Train "
            "for more steps, or shorten the ramp.",
            int(done),
            needed,
            share * trainer.epsilon,
            trainer.epsilon,
        )
