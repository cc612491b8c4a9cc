"""How classes follow from the outputs that bounds are computed of."""

import math
from dataclasses import dataclass

import numpy as np

from ..head import Head

ELEMENTARY_ULPS = 16  # of the softmax and the sigmoid of the model


@dataclass(frozen=True)
class Decision:
    """The rule that turns outputs before a final softmax or sigmoid into a class.

    Args:
        threshold: Output above which a single one predicts class 1.
        rounding: How far the rule, computed by the model in float32, can be off, in
            the units of these outputs.
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
        # The derivative of the sigmoid is its value times its distance to 1.
        logit = math.log(share) - math.log1p(-share)
        return cls(logit, unit * (1 + abs(logit)) / (1 - share))

    def shift(self, rows: np.ndarray) -> np.ndarray:
        """Returns what margins that are linear functions of the outputs leave out.

        Args:
            rows: Coefficients of shape `(examples, functions, num_outputs)`.

        Returns:
            Array of shape `(examples, functions)`.
        """
        return -self.threshold * rows.sum(axis=2)
