"""Facts about a call to `fit`."""

from dataclasses import dataclass, field

import numpy as np

from ...monitors.update_ratio_plot import records_at_peak

RECORDED = (  # arrays of records
    *("step", "epoch", "learning_rate", "skipped"),
    *("gradient_norm", "weight_norm", "update_norm"),
)


@dataclass(frozen=True, eq=False)
class TrainingFacts:
    """What was recorded during a call to `fit`.

    Arrays of records have the shape `(records,)` or `(records, variables)`.

    Attributes:
        variables: Paths of the trainable variables.
        shapes: Shapes of the trainable variables.
        step: Step of each record.
        epoch: Epoch of each record.
        learning_rate: Learning rate of each record.
        skipped: Whether a `LossScaleOptimizer` skipped the update.
        gradient_norm: Norms of the gradients; NaN for a variable without a gradient.
        weight_norm: Norms of the weights before the update.
        update_norm: Norms of the updates.
        logs: Dict from each logged quantity to its values, one per epoch.
        steps_per_epoch: Number of steps in an epoch, or `None` if unknown.
        epochs: Number of epochs that `fit` was asked for.
        is_over: Whether training has ended.
        identical_units: Names of the kernels whose units have identical weights now.
        batch_size: Number of examples in a batch, or `None` if unknown.
        reads_dataset: Whether `fit` reads a dataset of batches, not arrays.
    """

    variables: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    step: np.ndarray = field(default_factory=lambda: np.zeros(0, "int64"))
    epoch: np.ndarray = field(default_factory=lambda: np.zeros(0, "int64"))
    learning_rate: np.ndarray = field(default_factory=lambda: np.zeros(0))
    skipped: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    gradient_norm: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    weight_norm: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    update_norm: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    logs: dict = field(default_factory=dict)
    steps_per_epoch: int | None = None
    epochs: int | None = None
    is_over: bool = True
    identical_units: tuple[str, ...] = ()
    batch_size: int | None = None
    reads_dataset: bool = False

    @property
    def num_epochs(self) -> int:
        """Number of epochs that have ended."""
        return len(self.logs.get("loss", ()))

    def curve(self, name: str) -> np.ndarray:
        """Returns a logged quantity as a float array; empty if it was not logged."""
        return np.asarray(self.logs.get(name, ()), dtype="float64")

    @property
    def kernels(self) -> list[int]:
        """Indices of the variables with more than one dimension."""
        return [i for i, shape in enumerate(self.shapes) if len(shape) > 1]

    @property
    def ratio(self) -> np.ndarray:
        """Update norm divided by weight norm, of shape `(records, variables)`.

        NaN where the weights are zero, and in skipped steps.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.update_norm / self.weight_norm
        ratio = np.where(self.weight_norm > 0, ratio, np.nan)
        ratio[self.skipped] = np.nan
        return ratio

    @property
    def median_ratio(self) -> np.ndarray:
        """Median of the ratio over the kernels, one per record; NaN without one."""
        ratio = self.ratio[:, self.kernels]
        found = np.full(len(ratio), np.nan)
        for i, row in enumerate(ratio):
            if np.isfinite(row).any():
                found[i] = np.nanmedian(row)
        return found

    @property
    def peak_ratio(self) -> float:
        """Median update ratio at the peak of the learning rate; NaN without records."""
        found = self.median_ratio[records_at_peak(self.learning_rate)]
        found = found[np.isfinite(found)]
        return float(np.median(found)) if len(found) else float("nan")

    @property
    def planned_steps(self) -> int | None:
        """Number of steps of all epochs that `fit` was asked for; `None` if unknown."""
        if self.steps_per_epoch is None or self.epochs is None:
            return None
        return self.steps_per_epoch * self.epochs

    @property
    def ended_early(self) -> bool:
        """Whether training has ended before the last epoch that was asked for."""
        return (
            self.is_over and self.epochs is not None and self.num_epochs < self.epochs
        )

    @property
    def peak_rate(self) -> float:
        """Largest recorded learning rate; NaN without one."""
        rates = self.learning_rate[np.isfinite(self.learning_rate)]
        return float(rates.max()) if len(rates) else float("nan")

    @property
    def last_rate(self) -> float:
        """Last recorded learning rate; NaN without one."""
        rates = self.learning_rate[np.isfinite(self.learning_rate)]
        return float(rates[-1]) if len(rates) else float("nan")

    @property
    def missing_gradients(self) -> np.ndarray:
        """Whether a variable never had a gradient, of shape `(variables,)`.

        The norm of a missing gradient is NaN, or zero on JAX, in every record. It needs
        at least two records: after a step with a gradient that is really NaN, the
        weights are NaN as well.
        """
        norms = self.gradient_norm[~self.skipped]
        if len(norms) < 2:
            return np.zeros(len(self.variables), bool)
        is_finite = np.isfinite(self.weight_norm).all(axis=0)
        is_absent = np.isnan(norms).all(axis=0) & is_finite
        return is_absent | (norms == 0).all(axis=0)

    @property
    def total_steps(self) -> int | None:
        """Number of steps of all epochs that have ended, or `None` if unknown."""
        if self.steps_per_epoch is None:
            return int(self.step[-1]) + 1 if len(self.step) else None
        return self.steps_per_epoch * self.num_epochs
