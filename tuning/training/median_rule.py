"""Median stopping rule."""

import bisect
import math

import numpy as np

FEWEST = 5  # completed training runs that the rule requires


class MedianRule:
    """Decides whether a training run should be stopped early.

    This is the median stopping rule (Golovin et al., "Google Vizier: A Service for
    Black-Box Optimization", 2017, section 3.2.2). A training run is stopped if
    its best value so far is worse than the median of the best values that completed
    training runs had reached by the same epoch.

    Args:
        objective: `keras_tuner.Objective`.

    Example:

    >>> import keras_tuner
    >>> from tuning.training.median_rule import MedianRule
    >>> rule = MedianRule(keras_tuner.Objective("val_loss", "min"))
    >>> for level in range(5):
    ...     rule.add([9.0, float(level)])
    >>> rule.reason(epoch=1, best=2.0)
    >>> rule.reason(epoch=1, best=3.0)
    'val_loss is 3 after 2 epochs, and the median 2'
    """

    def __init__(self, objective):
        self.objective = objective
        self._reached: list[list[float]] = []  # sorted, for each epoch

    def add(self, curve: list[float]) -> None:
        """Adds a completed training run to the rule.

        Args:
            curve: Values of the objective, one per epoch.
        """
        # NOTE[DIFF] The paper uses the running average of each completed run. This rule
        # uses the best value, as it does for the run being judged, so that a typical
        # run matches the median.
        best = np.fmax if self.objective.direction == "max" else np.fmin
        for epoch, value in enumerate(best.accumulate(np.asarray(curve, float))):
            if epoch == len(self._reached):
                self._reached.append([])
            if not math.isnan(value):
                bisect.insort(self._reached[epoch], float(value))

    def reason(self, epoch: int, best: float) -> str | None:
        """Returns the reason to stop a training run, or `None` to continue the run.

        Args:
            epoch: Epoch that has just ended, counted from 0. The rule does not apply to
                the first epoch.
            best: Best value of the run so far.
        """
        reached = self._reached[epoch] if epoch < len(self._reached) else []
        if epoch < 1 or len(reached) < FEWEST:
            return None
        middle = len(reached) // 2
        median = (reached[middle] + reached[-middle - 1]) / 2
        if not self.objective.better_than(median, best):
            return None
        return (
            f"{self.objective.name} is {best:.4g} after {epoch + 1} epochs, "
            f"and the median {median:.4g}"
        )
