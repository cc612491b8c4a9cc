"""What more steps break of the examples that a single-step attack trains on."""

import keras
import numpy as np
from keras import ops

from .attack import Attack
from .attacked_model import AttackedModel
from .head import Head
from .pgd import PGD

STEPS = 10
EXAMPLES = 64


def with_many_steps(attack: Attack) -> PGD:
    """Returns PGD of ten steps, from a random start, in the ball of an attack."""
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
    """Compares an attack of one step with one of ten, on the last training examples.

    Wong, Rice & Kolter, "Fast Is Better than Free" (2020), section 5.4, find
    catastrophic overfitting in this way.

    Args:
        model: The classifier in training.
        attack: The training attack, which takes one step.

    Attributes:
        metric: Keeps the examples; a metric, since the state of metrics goes through
            the training step on every backend, and is not saved.
    """

    def __init__(self, model: keras.Model, attack: Attack):
        self.metric = _RecentExamples(model.inputs[0].shape[1:])
        self._attacks = attack, with_many_steps(attack)
        self._model = model
        self._target: AttackedModel | None = None

    def accuracies(self, head: Head) -> tuple[float, float]:
        """Returns the accuracies under the attack of one step, and that of ten.

        Args:
            head: How the outputs of the model are read.
        """
        if self._target is None or self._target.head != head:
            self._target = AttackedModel(self._model, head)
        bounds = self._attacks[0].bounds
        x, y = self._target.check_data(*self.metric.examples(), bounds)
        one, ten = (
            1 - float(self._target.attack(attack, x, y).broken.mean())
            for attack in self._attacks
        )
        return one, ten


class _RecentExamples(keras.metrics.Metric):
    """Keeps the last examples; reports nothing, and is not reset."""

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
        pass  # every epoch begins with it

    def result(self):
        return {}

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the inputs and classes that it keeps."""
        x, y, count = (
            ops.convert_to_numpy(kept) for kept in (self._x, self._y, self._count)
        )
        return x[: int(count)], y[: int(count)]
