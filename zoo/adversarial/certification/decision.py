"""The rule by which a classifier turns outputs into a class, with its rounding."""

import math
from dataclasses import dataclass

import numpy as np

from ..classifier.head import Head

ELEMENTARY_ULPS = 16  # error of the model's softmax and sigmoid


@dataclass(frozen=True)
class Decision:
    """The rule that turns the outputs before a softmax or sigmoid into a class.

    Args:
        threshold: Value above which a single output predicts class 1.
        rounding: Upper bound for the error of the rule in float32, in the units of the
            outputs.
    """

    threshold: float
    rounding: float

    @classmethod
    def of(cls, head: Head) -> "Decision":
        """Returns the rule of a head."""
        last_place = float(np.finfo("float32").eps)
        unit = ELEMENTARY_ULPS * last_place
        if head.num_outputs > 1:
            return cls(0.0, unit if head.activation else 0.0)
        if head.is_hidden or head.activation is None:
            return cls(head.threshold, last_place * abs(head.threshold))
        share = head.threshold
        # The derivative of the sigmoid s is s (1 - s).
        logit = math.log(share) - math.log1p(-share)
        return cls(logit, unit * (1 + abs(logit)) / (1 - share))

    def shift(self, rows: np.ndarray) -> np.ndarray:
        """Returns the constants to add to margins that are functions of the outputs.

        Args:
            rows: Coefficients, of shape `(examples, functions, num_outputs)`.

        Returns:
            An array of shape `(examples, functions)`.
        """
        return -self.threshold * rows.sum(axis=2)
