"""A callback that warms up epsilon and detects failures of adversarial training."""

import warnings

import keras

from zoo.utils.saved_attributes import SavedAttributes

from .multi_step_probe import MultiStepProbe

# A robust accuracy below this fraction of its best value, or of the robust accuracy
# under the single-step attack, counts as a collapse.
COLLAPSE = 0.5
CLEAR = 0.2  # difference between two accuracies that is significant for 64 examples
CHANCE = 0.02  # accuracies up to 1 / classes + CHANCE count as chance level
PATIENCE = 5  # number of epochs within which training should exceed chance level
REMEDY = "Keep the weights of an earlier epoch, or train with more or smaller steps."
ACCURACIES = (
    "accuracy",
    "acc",
    "sparse_categorical_accuracy",
    "categorical_accuracy",
    "binary_accuracy",
)


class TrainingGuard(SavedAttributes, keras.callbacks.Callback):
    """Warms up epsilon, and warns if adversarial training fails.

    Args:
        warmup_epochs: Integer >= 0: number of initial epochs with a reduced epsilon.
        num_classes: Number of classes.
        single_step: Whether the training attack takes a single step.
        probe: Probe that compares the training attack with a multi-step attack. It is
            used if validation uses a single-step attack, or if there is no validation.
            Defaults to `None`: no comparison.
    """

    saved_attributes = ("_best", "_best_accuracy", "_epochs", "_warned")

    def __init__(
        self,
        warmup_epochs: int,
        num_classes: int,
        single_step: bool,
        probe: MultiStepProbe | None = None,
    ):
        super().__init__()
        self.warmup_epochs = warmup_epochs
        self.num_classes = num_classes
        self.single_step = single_step
        self.probe = probe

    def on_train_begin(self, logs=None):
        self._best = self._best_accuracy = 0.0
        self._epochs = 0
        self._warned = set()

    def on_epoch_begin(self, epoch, logs=None):
        share = min(1.0, (epoch + 1) / (self.warmup_epochs + 1))
        self.model.epsilon_scale.assign(share)

    def on_epoch_end(self, epoch, logs=None):
        self._epochs += 1
        self._check_chance(epoch, logs or {})
        if self.single_step:
            self._check_multi_step(epoch, logs or {})

    def _check_chance(self, epoch, logs):
        value = _accuracy(logs, "")
        if value is None:
            value = _accuracy(logs, "robust_")
        limit = 1 / self.num_classes + CHANCE
        if value is None:
            return
        fell = self._best_accuracy > 2 * limit
        self._best_accuracy = max(self._best_accuracy, value)
        if value <= limit and (fell or self._epochs >= PATIENCE):
            self._warn(
                "chance",
                f"Epoch {epoch + 1}: the accuracy is {value:.3f}, that of guessing one "
                f"of {self.num_classes} classes. Adversarial training has collapsed. "
                "Use a smaller epsilon, or increase it gradually with `warmup_epochs`.",
            )

    def _check_multi_step(self, epoch, logs):
        value = _accuracy(logs, "val_robust_")
        if value is None or (self.probe and self.model.validates_with_one_step):
            self._probe_multi_step(epoch)
        if value is None:
            return
        if value < COLLAPSE * self._best:
            self._warn(
                "single step",
                f"Epoch {epoch + 1}: the robust accuracy in validation fell from "
                f"{self._best:.3f} to {value:.3f}: catastrophic overfitting of "
                f"single-step training. {REMEDY}",
            )
        self._best = max(self._best, value)

    def _probe_multi_step(self, epoch):
        if self.probe is None or epoch < self.warmup_epochs:
            return
        one, ten = self.probe.accuracies(self.model.head)
        if ten < COLLAPSE * one and one - ten > CLEAR:
            self._warn(
                "single step",
                f"Epoch {epoch + 1}: the training attack leaves {one:.3f} of the last "
                "training examples correctly classified, but ten-step PGD leaves "
                f"only {ten:.3f}: catastrophic overfitting of single-step training. "
                "The reported robust accuracy is that under a single-step attack. "
                f"{REMEDY}",
            )

    def _warn(self, kind, sentence):
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(sentence, stacklevel=2)


def _accuracy(logs: dict, prefix: str) -> float | None:
    for name in ACCURACIES:
        if prefix + name in logs:
            return float(logs[prefix + name])
    return None
