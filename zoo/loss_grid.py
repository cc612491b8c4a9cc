"""The losses of a model around its weights."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .utils.arguments import invalid_argument, is_number
from .utils.printable import Printable

LEVELS = 12  # contour lines


@dataclass(frozen=True, eq=False, repr=False)
class LossGrid(Printable):
    """The loss at every point that `loss_surface` evaluated.

    Args:
        steps: Array of the steps in each direction, in increasing order. The step in
            the middle is 0.
        losses: Array of the losses, with one axis for each direction.

    Attributes:
        center: The loss at step 0, that is, of the model itself.

    Example:

    >>> LossGrid(np.array([-1.0, 0.0, 1.0]), np.array([4.0, 0.5, 9.0]))
    Loss at 3 steps from -1 to 1 in 1 direction: 0.5 at the model, 0.5 to 9 in all.
    """

    steps: np.ndarray
    losses: np.ndarray

    @property
    def center(self) -> float:
        return float(self.losses[(len(self.steps) // 2,) * self.losses.ndim])

    def to_frame(self) -> pd.DataFrame:
        """Returns a data frame with one row for each point.

        The columns are `step_1`, `step_2` in two directions, and `loss`.
        """
        names = [f"step_{number}" for number in range(1, self.losses.ndim + 1)]
        points = list(itertools.product(self.steps, repeat=self.losses.ndim))
        return pd.DataFrame(points, columns=names).assign(loss=self.losses.ravel())

    def plot(self, figure=None, *, limits: tuple[float, float] | None = None):
        """Plots the loss: as a curve, or as a surface next to its contour lines.

        The scale of the loss is logarithmic if all losses are positive. Losses that are
        not finite are left out.

        Args:
            figure: Matplotlib figure or subfigure to draw in. Defaults to `None`,
                which creates a new figure.
            limits: Pair of the lowest and the highest loss of the scale, to compare
                several models. Losses outside of it are drawn at its ends. Defaults to
                `None`: the lowest and the highest loss.

        Returns:
            The Matplotlib figure.

        Raises:
            ValueError: If `limits` is invalid, or no loss is finite.
        """
        import matplotlib.pyplot as plt

        low, high = self._limits() if limits is None else _checked(limits)
        if figure is None:
            size = (6, 4.5) if self.losses.ndim == 1 else (10, 4.5)
            figure = plt.figure(figsize=size, layout="constrained")
        is_log = low > 0
        losses = np.where(np.isfinite(self.losses), self.losses, np.nan)
        losses = np.clip(losses, low, high)
        if self.losses.ndim == 1:
            _draw_curve(figure.subplots(), self.steps, losses, is_log)
        else:
            _draw_surface(figure, self.steps, losses, (low, high), is_log)
        return figure

    def __str__(self) -> str:
        count, directions = len(self.steps), self.losses.ndim
        points = f"{count} x {count}" if directions == 2 else f"{count}"
        return (
            f"Loss at {points} steps from {self.steps[0]:g} to {self.steps[-1]:g} in "
            f"{directions} direction{'s' * (directions > 1)}: {self.center:.4g} at the "
            f"model, {self.losses.min():.4g} to {self.losses.max():.4g} in all."
        )

    def _limits(self) -> tuple[float, float]:
        finite = self.losses[np.isfinite(self.losses)]
        if not finite.size:
            raise ValueError(
                "Cannot plot the losses. Expected at least one that is finite. "
                f"Received: {self.losses.size} losses, all infinite or NaN"
            )
        low, high = float(finite.min()), float(finite.max())
        if high - low <= 1e-6 * abs(high):  # flat
            high = low + (abs(low) or 1.0)
        return low, high


def _checked(limits) -> tuple[float, float]:
    is_pair = isinstance(limits, tuple | list) and len(limits) == 2
    if not is_pair or not all(map(is_number, limits)) or limits[0] >= limits[1]:
        expected = "a pair of numbers (lowest, highest), in increasing order"
        raise invalid_argument("limits", expected, limits)
    return float(limits[0]), float(limits[1])


def _draw_curve(ax, steps, losses, is_log: bool) -> None:
    ax.plot(steps, losses, marker=".")
    ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    ax.set(xlabel="step, in lengths of the filters", ylabel="loss")
    ax.set_yscale("log" if is_log else "linear")


def _draw_surface(figure, steps, losses, limits, is_log: bool) -> None:
    import matplotlib
    from matplotlib.colors import LogNorm, Normalize

    heights = np.log10(losses) if is_log else losses
    norm = (LogNorm if is_log else Normalize)(*limits)
    levels = (np.geomspace if is_log else np.linspace)(*limits, LEVELS)
    second, first = np.meshgrid(steps, steps)  # losses[i, j] is at (steps[i], steps[j])

    surface = figure.add_subplot(1, 2, 1, projection="3d")
    colors = matplotlib.colormaps["viridis"](norm(losses))
    surface.plot_surface(
        first, second, heights, facecolors=colors, rcount=60, ccount=60, shade=False
    )
    ends = np.log10(limits) if is_log else limits
    surface.set_zlim(*ends)
    surface.set(xlabel="step 1", ylabel="step 2")
    surface.set_zlabel("log10 of the loss" if is_log else "loss")

    contour = figure.add_subplot(1, 2, 2)
    filled = contour.contourf(first, second, losses, levels, norm=norm)
    contour.contour(first, second, losses, levels, colors="w", linewidths=0.5)
    contour.plot(0, 0, "r+", label="the model")
    contour.legend(loc="upper right", fontsize=8)
    contour.set(xlabel="step 1, in lengths of the filters", ylabel="step 2")
    contour.set_aspect("equal")
    bar = figure.colorbar(filled, ax=contour, label="loss")
    if is_log:
        ticks = levels[:: LEVELS // 4]
        bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
