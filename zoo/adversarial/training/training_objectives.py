"""The objectives that `AdversarialTrainer` minimizes."""

from collections.abc import Callable

import keras
from keras import ops

from ...utils.arguments import invalid_argument
from ..attacks.attack import Attack
from ..attacks.objectives import divergence
from ..classifier.head import Head
from .training_batch import TrainingBatch

DEFAULT_BETA = 6.0  # 1 / lambda of Zhang et al., 2019, on CIFAR-10


class StandardObjective:
    """The loss on adversarial examples (Madry et al., 2018, equation 2.1).

    Args:
        clean_weight: Float in [0, 1): weight of the loss on clean examples.
    """

    def __init__(self, clean_weight: float):
        self.clean_weight = clean_weight
        self.uses_clean = clean_weight > 0

    def maximized(self, attack: Attack, logits_of: Callable, x, labels) -> Callable:
        """Returns the function of logits that the attack maximizes."""
        return attack.objective(logits_of, x, labels)

    def adversarial_term(
        self, loss_of: Callable, head: Head, y, outputs: TrainingBatch, sample_weight
    ):
        """Returns the difference between the objective and the loss on clean inputs.

        Args:
            loss_of: Loss function that the model was compiled with.
            head: The head of the model.
            y: Labels of the batch.
            outputs: Outputs of the model on adversarial and clean inputs.
            sample_weight: Weights of the examples, or `None`.
        """
        adversarial = loss_of(y, outputs.adversarial, sample_weight)
        clean = loss_of(y, outputs.clean, sample_weight)
        return (1 - self.clean_weight) * (adversarial - clean)


class TradesObjective:
    """The loss on clean examples plus a divergence (Zhang et al., 2019, equation 5).

    The divergence measures how much clean and adversarial predictions differ.

    Args:
        beta: Number > 0: weight of the divergence.
    """

    uses_clean = True

    def __init__(self, beta: float):
        self.beta = beta
        self._divergence = _Divergence(name="divergence")

    def maximized(self, attack: Attack, logits_of: Callable, x, labels) -> Callable:
        """Returns the function of logits that the attack maximizes."""
        clean_logits = ops.stop_gradient(logits_of(x))
        return lambda logits: divergence(logits, clean_logits)

    def adversarial_term(
        self, loss_of: Callable, head: Head, y, outputs: TrainingBatch, sample_weight
    ):
        """Returns the difference between the objective and the loss on clean inputs.

        Args:
            loss_of: Not used by this objective.
            head: The head of the model.
            y: Not used by this objective.
            outputs: Outputs of the model on adversarial and clean inputs.
            sample_weight: Weights of the examples, or `None`.
        """
        clean, adversarial = map(head.to_logits, (outputs.clean, outputs.adversarial))
        return self.beta * self._divergence(clean, adversarial, sample_weight)


def make_objective(
    name: str, attack: Attack, clean_weight: float, beta: float | None
) -> StandardObjective | TradesObjective:
    """Creates the objective for the given arguments of `AdversarialTrainer`.

    Raises:
        ValueError: If `attack`, `clean_weight` or `beta` is incompatible with the
            objective.
    """
    if name == "standard":
        if beta is not None:
            fix = 'Pass `objective="trades"`, or use `clean_weight` instead.'
            expected = "None with the standard objective, which has no divergence"
            raise invalid_argument("beta", expected, beta, fix)
        return StandardObjective(clean_weight)
    if not attack.random_start:
        raise invalid_argument(
            "attack",
            "an attack with a random start, for TRADES",
            attack,
            "At the input itself, the gradient of the divergence is zero.",
        )
    if clean_weight:
        fix = "In TRADES, `beta` sets the trade-off with the clean loss."
        raise invalid_argument("clean_weight", "0 with TRADES", clean_weight, fix)
    return TradesObjective(DEFAULT_BETA if beta is None else beta)


class _Divergence(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return divergence(y_pred, y_true)
