"""Records the ratio of update norm to weight norm."""

import os

import numpy as np

from zoo.utils.arguments import invalid_argument, is_number

from .names import layer_of
from .plots import check_recorded
from .step_monitor import StepMonitor
from .summaries import extremes, listed
from .tables import frame_of, save_info
from .update_ratio_plot import draw_band, records_at_peak, show_band
from .update_ratio_text import far_above, layers_outside, place_of

FLOOR = 0.01  # fraction of 1 / sqrt(fan_in), the RMS weight that preserves signal scale


class UpdateRatio(StepMonitor):
    """Records the ratio of the norm of each update to the norm of the weights.

    The ratio shows whether the learning rate is appropriate for the weights. A ratio of
    about 1e-3 is typical. If the ratio is much smaller, the weights hardly change. If
    it is much larger, training is unstable (Karpathy, "CS231n", 2015, notes on "Ratio
    of weights:updates"). Judge the ratio at the peak of the learning rate: when a
    schedule reduces the rate, the ratio decreases with it, which is healthy. `print`
    shows the ratio at the peak, the layers with the extremes, and the layers whose
    gradient is zero, for which no rate is better.

    The updates include the effects of momentum, weight decay and clipping. The
    gradients that produced the updates are recorded as well. The norms are computed
    inside the compiled step. The results of training are bit-for-bit unchanged, unless
    the compiler fuses the operations of a recorded step differently, which can change
    the last bits.

    The logs and the `History` contain one value of "update_ratio" per epoch. To compute
    this value, the median over the kernels is taken for each record, followed by the
    median over the records of the epoch. In an epoch without a record, the previous
    value is repeated; before the first record, the value is NaN. If `callbacks`
    contains several `UpdateRatio`, the value is that of the last one. The data frame
    contains all variables and all records in memory, but the median excludes:

    - One-dimensional variables, such as biases.
    - Kernels with a root mean square below 0.01 / sqrt(fan-in), such as the kernels of
      a branch that is initialized to zero.
    - Steps that a `LossScaleOptimizer` skipped.

    Steps are counted from 0 in every call to `fit`. Steps outside the loop of `fit`,
    such as a call to `train_on_batch` inside a callback, are not counted. With gradient
    accumulation, only steps that update the weights count towards `every`, and the
    accumulated gradients are recorded. If a step calls the optimizer several times,
    each update has its own record, in which the entries of variables that were not
    updated are NaN. Only updates made by the optimizer that the model is compiled with
    can be recorded. A warning is issued if this optimizer makes no updates.

    At most 1,000 records, one per update, are kept in memory. A record takes about 12
    bytes per variable. The records are evenly spaced over the call to `fit`: when this
    limit is exceeded, every second record is dropped, and the interval between records
    doubles. The logs and the TensorBoard files include every record.

    Args:
        every: Integer >= 1: record every `every`-th step, starting with the first.
            Defaults to `50`.
        healthy: Lower and upper bounds of the band that `plot()` marks as healthy, at
            the peak of the learning rate. Defaults to `(1e-4, 1e-2)`.
        log_dir: Folder for TensorBoard event files, which contain scalars
            `update_ratio` for the model and `update_ratio/...` for every variable.
            Defaults to `None`, which writes no files.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if the model has no
            Keras optimizer, or if the optimizers of a `MultiOptimizer` have different
            numbers of gradient accumulation steps.
        OSError: Raised by `fit` if `log_dir` is not writable.

    Example:

    >>> layer = keras.layers.Dense(1, name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> model.compile(keras.optimizers.SGD(0.01), "mse")
    >>> ratio = UpdateRatio(every=2)
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> history = model.fit(x, y, batch_size=2, verbose=0, callbacks=[ratio])
    >>> list(history.history)
    ['loss', 'update_ratio']
    >>> ratio.to_frame()[["step", "variable"]].values.tolist()
    [[0, 'dense/kernel'], [0, 'dense/bias'], [2, 'dense/kernel'], [2, 'dense/bias']]
    """

    def __init__(
        self,
        every: int = 50,
        healthy: tuple[float, float] = (1e-4, 1e-2),
        *,
        log_dir: str | os.PathLike | None = None,
    ):
        super().__init__(every, log_dir)
        self.healthy = _check_band(healthy)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._logged = float("nan")
        self._new_medians = []  # medians of the current epoch

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self._new_medians:
            self._logged = float(np.median(self._new_medians))
            self._new_medians = []
        if logs is not None:
            logs["update_ratio"] = self._logged

    def get_state(self) -> dict:
        state = super().get_state()
        return state | {"logged": self._logged, "new_medians": self._new_medians}

    def set_state(self, state: dict) -> None:
        super().set_state(state)
        self._logged, self._new_medians = state["logged"], state["new_medians"]

    def ratio_info(self) -> dict:
        """Returns all recorded data as NumPy arrays.

        Returns:
            A dict with the following arrays.

            Of shape `(records,)`:

            - "step" and "epoch": Step number and epoch of the update.
            - "learning_rate": Learning rate of the update; NaN if the optimizers of a
              `MultiOptimizer` have different learning rates.
            - "skipped": Whether a `LossScaleOptimizer` skipped the update.
            - "median": Median of the ratio over the kernels of the model.

            Of shape `(variables,)`:

            - "variable": Paths of the variables.
            - "size": Number of entries in each variable.

            Of shape `(records, variables)`:

            - "ratio": Update norm divided by weight norm; NaN where the weights are
              zero or the step was skipped.
            - "in_median": Whether the median includes this ratio.
            - "gradient_norm", "weight_norm" and "update_norm": Norms of the gradient,
              the weights and the update. Divide a norm by sqrt(size) to get the root
              mean square.

            A scalar:

            - "every": Number of steps between consecutive records in memory. It is a
              multiple of the `every` argument.
        """
        info = self._info()
        for figure in ("gradient_norm", "weight_norm", "update_norm"):
            info[figure] = self._array_of_all(figure)
        info |= self._ratios(
            info["weight_norm"], info["update_norm"], info["skipped"][:, None]
        )
        return info

    def to_frame(self):
        """Returns a `pandas.DataFrame` with one row per record and variable.

        The columns are:

        - `step`, `epoch`, `variable`: Step number and epoch of the update, and path of
          the variable.
        - `ratio` and `in_median`: As in `ratio_info()`.
        - `gradient_norm`, `weight_norm`, `update_norm`: As in `ratio_info()`.
        - `gradient_rms`, `weight_rms`, `update_rms`: Root mean squares of the gradient,
          the weights and the update.
        - `learning_rate` and `skipped`: As in `ratio_info()`.

        Raises:
            ValueError: If nothing has been recorded.
        """
        info = self.ratio_info()
        check_recorded(self, len(info["step"]))
        columns = ["ratio", "in_median"]
        for name in ("gradient", "weight", "update"):
            info[f"{name}_rms"] = info[f"{name}_norm"] / np.sqrt(info["size"])
            columns += [f"{name}_norm", f"{name}_rms"]
        return frame_of(info, columns)

    def save(self, path: str | os.PathLike) -> None:
        """Saves the data frame to a .csv file, or `ratio_info()` to an .npz file.

        Args:
            path: File to write, ending in .csv or .npz.

        Raises:
            ValueError: If `path` does not end in .csv or .npz.
        """
        save_info(path, self, self.ratio_info())

    def plot(self, ax=None):
        """Plots the ratio of every kernel over time, with the healthy band.

        The band applies at the peak of the learning rate. At other steps, it is
        multiplied by the learning rate divided by the peak rate, because an update is
        proportional to the rate. The dashed line in the middle of the band is the
        learning rate, whose axis is on the right. If the learning rate is unknown, the
        band is the same at all steps.

        Args:
            ax: Matplotlib axes to draw on. Defaults to `None`, which creates new axes.

        Returns:
            The Matplotlib figure.

        Raises:
            ValueError: If nothing has been recorded.
        """
        import matplotlib.pyplot as plt

        info = self.ratio_info()
        check_recorded(self, len(info["step"]))
        if ax is None:
            _, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
        ax.set(yscale="log", xlabel="step", ylabel="norm of update / norm of weights")
        draw_band(ax, info["step"], info["learning_rate"], self.healthy)
        kernels = self._matrices()
        colors = plt.cm.viridis(np.linspace(0, 0.9, max(1, len(kernels))))
        few = len(kernels) <= 10
        for color, kernel in zip(colors, kernels, strict=False):
            label = layer_of(self._names[kernel]) if few else None
            ratio = info["ratio"][:, kernel]
            drawn = np.where(ratio > 0, ratio, np.nan)
            ax.plot(info["step"], drawn, color=color, lw=1.2, label=label)
        drawn = np.where(info["median"] > 0, info["median"], np.nan)
        ax.plot(info["step"], drawn, color="k", lw=2.2, label="model")
        show_band(ax, self.healthy)
        # The distance, in font sizes, leaves space for the axis of the learning rate.
        place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        ax.legend(fontsize=8, borderaxespad=7.5, **place)
        return ax.figure

    def _summary(self) -> str:
        info = self.ratio_info()
        rows = records_at_peak(info["learning_rate"])
        medians = info["median"][rows]
        if not np.isfinite(medians).any():
            return "No kernel has a ratio."
        rate = np.nanmax(info["learning_rate"], initial=0.0)
        at = f" at the peak of the learning rate, {rate:.2g}," if rate > 0 else ""
        median = float(np.nanmedian(medians))
        idle = self._without_gradient(info)
        # Momentum, decay and zeros say nothing about the learning rate.
        is_idle = 2 * len(idle) >= len(self._matrices())
        place = "" if is_idle else f", {place_of(median, self.healthy)}"
        layers = self._ratios_of_layers(info, rows)
        by_layer = f"by layer, it {extremes(layers, '.1e')}."
        text = f"The median ratio{at} is {median:.1e}{place}; {by_layer}"
        text += layers_outside(layers, median, self.healthy)
        text += far_above(info["median"], info["step"], self.healthy)
        if idle:
            text += (
                f" In the last record, the gradient of {listed(idle)} is zero, as "
                "happens behind dead units: a higher learning rate does not help. If "
                "units have died, lower it and build the model again."
            )
        return text

    def _without_gradient(self, info: dict) -> list[str]:
        """Returns the layers whose kernel had the gradient zero in the last record.

        In the first step, the gradient is also zero behind a branch that is initialized
        to zero, so this step is not judged.
        """
        rows = np.flatnonzero(~info["skipped"])
        if not len(rows) or info["step"][rows[-1]] == 0:
            return []
        is_zero = info["gradient_norm"][rows[-1]] == 0
        return [layer_of(self._names[one]) for one in self._matrices() if is_zero[one]]

    def _ratios_of_layers(self, info: dict, rows: np.ndarray) -> dict[str, float]:
        """Returns the median ratio of every kernel over some records, by layer."""
        found = {}
        for kernel in self._matrices():
            values = info["ratio"][rows, kernel][info["in_median"][rows, kernel]]
            if np.isfinite(values).any():
                name = layer_of(self._names[kernel])
                found[name] = float(np.nanmedian(values))
        return found

    def _take(self, record):
        norms = record.weight_norm[None], record.update_norm[None]
        median = self._ratios(*norms, np.array([[record.skipped]]))["median"].item()
        if np.isfinite(median):
            self._new_medians.append(median)
            if self._log is not None:
                self._log.add_scalar("update_ratio", median, record.step)
        super()._take(record)

    def _log_record(self, record):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = record.update_norm / record.weight_norm
        for name, ratio in zip(self._names, ratios, strict=True):
            if np.isfinite(ratio) and not record.skipped:
                self._log.add_scalar(f"update_ratio/{name}", ratio, record.step)

    def _ratios(self, weight, update, skipped) -> dict:
        """Returns the arrays "ratio", "in_median" and "median" of `ratio_info()`.

        Args:
            weight: Norms of the weights, of shape `(records, variables)`.
            update: Norms of the updates, of the same shape.
            skipped: Whether the step was skipped, of shape `(records, 1)`.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((weight == 0) | skipped, np.nan, update / weight)
        # The norm of a kernel whose root mean square is 1 / sqrt(fan_in).
        typical = np.sqrt([shape[-1] if shape else 1 for shape in self._shapes])
        is_matrix = np.array([len(shape) > 1 for shape in self._shapes], dtype=bool)
        in_median = (weight >= FLOOR * typical) & is_matrix & ~skipped
        medians = [
            np.median(row[chosen]) if chosen.any() else np.nan
            for row, chosen in zip(ratio, in_median, strict=True)
        ]
        return {
            "ratio": ratio,
            "in_median": in_median,
            "median": np.array(medians, dtype="float32"),
        }


def _check_band(value) -> tuple[float, float]:
    is_pair = isinstance(value, tuple | list) and len(value) == 2
    if not is_pair or not all(map(is_number, value)) or not 0 < value[0] < value[1]:
        raise invalid_argument(
            "healthy", "two numbers, 0 < lower < upper, such as (1e-4, 1e-2)", value
        )
    low, high = value
    return float(low), float(high)
