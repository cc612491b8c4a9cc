"""A probe that detects catastrophic overfitting in single-step training."""

import keras
import numpy as np
from keras import ops

from ..attacks.attack import Attack
from ..attacks.pgd import PGD
from ..attacks.run_attack import run_attack
from ..classifier.classifier import Classifier
from ..classifier.float_inputs import graph_inputs
from ..classifier.head import Head

STEPS = 10
EXAMPLES = 64


def with_many_steps(attack: Attack) -> PGD:
    """Returns ten-step PGD with a random start, and otherwise the same settings."""
    return PGD(
        attack.epsilon,
        norm=attack.norm,
        steps=STEPS,
        restarts=attack.restarts,
        bounds=attack.bounds,
        mask=attack.mask,
        seed=attack.seed,
    )


class MultiStepProbe:
    """Compares a single-step attack with ten-step PGD on recent training examples.

    Section 5.4 of Wong, Rice & Kolter, "Fast Is Better than Free" (2020) uses such a
    comparison to detect catastrophic overfitting.

    Args:
        model: The classifier being trained.
        attack: The training attack, which takes a single step.

    Attributes:
        metric: Metric that stores the last 64 examples. It is a metric because every
            backend passes the state of metrics through the training step, and Keras
            does not save this state.
    """

    def __init__(self, model: keras.Model, attack: Attack):
        self.metric = _RecentExamples(model.inputs[0].shape[1:])
        self._attacks = attack, with_many_steps(attack)
        self._model = model
        self._classifier: Classifier | None = None

    def accuracies(self, head: Head) -> tuple[float, float]:
        """Returns the accuracies under the single-step attack and under ten-step PGD.

        Args:
            head: The head of the model.
        """
        if self._classifier is None or self._classifier.head != head:
            self._classifier = Classifier(self._model, head)
        bounds = self._attacks[0].bounds
        x, y = self._classifier.check_data(*self.metric.examples(), bounds)
        one, ten = (
            1 - float(run_attack(attack, self._classifier, x, y).broken.mean())
            for attack in self._attacks
        )
        return one, ten


def make_probe(model: keras.Model, attack: Attack) -> MultiStepProbe | None:
    """Returns a probe for the attack, or `None` if no probe is needed or possible.

    Only single-step attacks need a probe. A probe requires a functional model with a
    known input shape.
    """
    inputs = graph_inputs(model)
    if attack.steps > 1 or inputs is None or None in inputs[0].shape[1:]:
        return None
    return MultiStepProbe(model, attack)


class _RecentExamples(keras.metrics.Metric):
    """A metric that stores the most recent examples.

    The metric has no result, and `reset_state` does nothing.
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__(name="recent_examples")
        self._x, self._y, self._count = (
            self.add_variable(
                size,
                "zeros",
                dtype=dtype,
                aggregation="only_first_replica",
                name=name,
            )
            for size, dtype, name in (
                ((EXAMPLES, *shape), "float32", "x"),
                ((EXAMPLES,), "int32", "y"),
                ((), "int32", "count"),
            )
        )

    def update_state(self, x, y):
        for kept, new in ((self._x, x), (self._y, y)):
            new = ops.cast(new, kept.dtype)
            kept.assign(ops.concatenate([new, kept.value], axis=0)[:EXAMPLES])
        self._count.assign(ops.minimum(self._count + ops.shape(y)[0], EXAMPLES))

    def reset_state(self):
        pass  # Keras resets metrics in every epoch, but the examples must be kept

    def result(self):
        return {}

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the stored inputs and classes."""
        x, y, count = (
            ops.convert_to_numpy(kept) for kept in (self._x, self._y, self._count)
        )
        return x[: int(count)], y[: int(count)]
