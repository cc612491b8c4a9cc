"""Facts about the optimizer of a model."""

from dataclasses import dataclass, field

import keras
import numpy as np

from zoo.backend.keras_internals import compiled_learning_rate
from zoo.utils.arguments import is_number

from ...train_step import updating_optimizers

# Optimizers whose first updates have about the size of the learning rate, whatever the
# size of the gradient: Adam divides each entry by its own running magnitude.
SIGN_LIKE = ("Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Lion", "Adagrad", "Ftrl")
SETTINGS = (
    *("momentum", "beta_1", "beta_2", "rho", "epsilon", "weight_decay", "clipnorm"),
    *("clipvalue", "global_clipnorm"),
)


@dataclass(frozen=True)
class OptimizerFacts:
    """The optimizer that a model is compiled with.

    Attributes:
        name: Name of the class, or `None` if there are several optimizers or none.
        learning_rate: Learning rate of the next step; `None` if unknown.
        is_scheduled: Whether the rate follows a schedule of the optimizer.
        settings: Other arguments that rules read. Unset ones are missing.
        iterations: Number of updates made before.
    """

    name: str | None
    learning_rate: float | None = None
    is_scheduled: bool = False
    settings: dict = field(default_factory=dict)
    iterations: int = 0

    @property
    def is_sign_like(self) -> bool:
        """Whether the first updates have about the size of the learning rate."""
        return self.name in SIGN_LIKE

    def code(self, learning_rate: float) -> str:
        """Returns a line of code that creates the optimizer with another rate."""
        return (
            f"keras.optimizers.{self.name or 'Adam'}(learning_rate={learning_rate:g})"
        )


def read_optimizer(model: keras.Model) -> OptimizerFacts:
    """Reads the optimizer of a compiled model."""
    optimizers = updating_optimizers(model.optimizer)
    if len(optimizers) != 1:
        return OptimizerFacts(None)
    (optimizer,) = optimizers
    kind = type(optimizer).__name__
    is_known = type(optimizer) is getattr(keras.optimizers, kind, None)
    rate = compiled_learning_rate(optimizer)
    values = {name: getattr(optimizer, name, None) for name in SETTINGS}
    return OptimizerFacts(
        name=kind if is_known else None,
        learning_rate=_number(optimizer.learning_rate),
        is_scheduled=not isinstance(rate, keras.Variable),
        settings={
            name: float(value or 0)
            for name, value in values.items()
            if is_number(value)
        },
        iterations=int(_number(optimizer.iterations) or 0),
    )


def _number(value) -> float | None:
    try:
        return float(np.asarray(keras.ops.convert_to_numpy(value)))
    except (TypeError, ValueError):
        return None
