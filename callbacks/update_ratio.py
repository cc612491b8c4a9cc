"""How far a step moves the weights, next to how large they are."""

import os

import numpy as np

from zoo.utils.arguments import invalid_argument, is_number

from .recorded import check_recorded, save_record
from .step_monitor import StepMonitor, frame_of, layer_of

TYPICAL = 1e-3
FLOOR = 0.01  # of the root mean square 1 / sqrt(fan_in) with which signals keep size


class UpdateRatio(StepMonitor):
    """Records the norm of each update over the norm of the weights it moves.

    The ratio tells whether the learning rate fits the weights: about 1e-3 is typical,
    far below a layer hardly learns, far above it is thrown about (Karpathy, "CS231n",
    2015, notes on "Ratio of weights:updates"). The updates are those that trained the
    model, with momentum, weight decay and clipping, and the gradients are those that
    made them. They are reduced to norms inside the compiled step. Training stays what
    it is, bit for bit, unless a compiler fuses the observed step differently, which
    changes the last bits of a step.

    The logs and History have "update_ratio": the median over the kernels, and over
    the looks of the epoch. An epoch without a look repeats the last one; before the
    first it is NaN. Out of the median stay variables of one dimension, as biases;
    kernels that have not grown yet, with a root mean square below 0.01 / sqrt(fan-in),
    as those of a branch that starts at zero; and steps that a `LossScaleOptimizer`
    skipped. The frame has them.

    Steps are counted from 0 in every `fit`; those from outside, such as
    `train_on_batch` inside a callback, do not count. With gradient accumulation only
    steps that update the weights count for `every`, and their gradients are the
    accumulated ones. A step that calls the optimizer several times has a look for
    each update, in which variables that it leaves out are NaN. Updates by another
    optimizer than the compiled one cannot be seen, which a warning says.

    At most 1,000 looks stay in memory, evenly spaced over the `fit`, at about 12 bytes
    for each look and variable: when there are more, every second one is dropped, and
    from then on half as many are kept. The logs and TensorBoard have every look.

    Args:
        every: Integer >= 1: look into one in so many steps, and into the first.
            Defaults to `50`.
        healthy: Bounds of the band that `plot()` marks as healthy. Defaults to
            `(1e-4, 1e-2)`.
        log_dir: Folder of event files for TensorBoard: scalars `update_ratio` for
            the model and `update_ratio/...` for every variable. Defaults to `None`.

    Raises:
        ValueError: If an argument is invalid; in `fit`, if the model has no Keras
            optimizer.

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
        self._new_medians = []  # of the epoch

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self._new_medians:
            self._logged = float(np.median(self._new_medians))
            self._new_medians = []
        if logs is not None:
            logs["update_ratio"] = self._logged

    def ratio_info(self) -> dict:
        """Returns all that is recorded, as NumPy arrays.

        Returns:
            Of shape `(looks,)`: "step", "epoch", "learning_rate" (NaN where the
            optimizers of a `MultiOptimizer` have different ones), "skipped" and
            "median", the ratio of the model. Of shape `(variables,)`: "variable", the
            paths, and "size". A number: "every", one in so many steps is kept. Of
            shape `(looks, variables)`: "ratio", NaN where the
            weights are zero or the step was skipped; "in_median"; "gradient_norm",
            "weight_norm" and "update_norm", of which the root mean square is the norm
            over sqrt(size).
        """
        info = self._info()
        for figure in ("gradient_norm", "weight_norm", "update_norm"):
            info[figure] = self._array_of_all(figure)
        info |= self._ratios(
            info["weight_norm"], info["update_norm"], info["skipped"][:, None]
        )
        return info

    def to_frame(self):
        """Returns a `pandas.DataFrame`: a row for every look and variable.

        Columns: step, epoch, variable, ratio, in_median, the norm and root mean
        square (rms) of gradient, weight and update, learning_rate, skipped.
        """
        info = self.ratio_info()
        columns = ["ratio", "in_median"]
        for name in ("gradient", "weight", "update"):
            info[f"{name}_rms"] = info[f"{name}_norm"] / np.sqrt(info["size"])
            columns += [f"{name}_norm", f"{name}_rms"]
        return frame_of(info, columns)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the frame to a .csv file, or all of `ratio_info()` to an .npz file.

        Raises:
            ValueError: If `path` ends in neither.
        """
        save_record(path, self, self.ratio_info())

    def plot(self, ax=None):
        """Draws the ratio of every kernel over time, and the healthy band.

        Args:
            ax: Matplotlib axes to draw on. Defaults to `None`: new ones.

        Returns:
            The axes.

        Raises:
            ValueError: If nothing has been recorded.
        """
        import matplotlib.pyplot as plt

        info = self.ratio_info()
        check_recorded(self, len(info["step"]))
        if ax is None:
            _, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
        ax.axhspan(*self.healthy, color="C2", alpha=0.12, lw=0)
        ax.axhline(TYPICAL, color="C2", ls="--", lw=1)
        kernels = self._matrices()
        colors = plt.cm.viridis(np.linspace(0, 0.9, max(1, len(kernels))))
        few = len(kernels) <= 10
        for color, place in zip(colors, kernels, strict=False):
            label = layer_of(self._names[place]) if few else None
            ratio = info["ratio"][:, place]
            drawn = np.where(ratio > 0, ratio, np.nan)
            ax.plot(info["step"], drawn, color=color, lw=1.2, label=label)
        ax.plot(info["step"], info["median"], color="k", lw=2.2, label="model")
        ax.set(yscale="log", xlabel="step", ylabel="norm of update / norm of weights")
        bottom, top = ax.get_ylim()
        low, high = self.healthy
        ax.set_ylim(min(bottom, low / 3), max(top, high * 3))
        ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return ax

    def _take(self, sample):
        norms = sample.weight_norm[None], sample.update_norm[None]
        median = self._ratios(*norms, np.array([[sample.skipped]]))["median"].item()
        if np.isfinite(median):
            self._new_medians.append(median)
            if self._log is not None:
                self._log.add_scalar("update_ratio", median, sample.step)
        super()._take(sample)

    def _log_sample(self, sample):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = sample.update_norm / sample.weight_norm
        for name, ratio in zip(self._names, ratios, strict=True):
            if np.isfinite(ratio) and not sample.skipped:
                self._log.add_scalar(f"update_ratio/{name}", ratio, sample.step)

    def _ratios(self, weight, update, skipped) -> dict:
        """Returns "ratio" and "in_median" of all variables, and the "median" of looks.

        Args:
            weight: Norms of the weights, of shape `(looks, variables)`.
            update: Norms of the updates.
            skipped: Whether a look was skipped, of shape `(looks, 1)`.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((weight == 0) | skipped, np.nan, update / weight)
        # The norm of weights with a root mean square of 1 / sqrt(fan_in).
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
            "healthy", "two numbers, 0 < lower < upper, as (1e-4, 1e-2)", value
        )
    low, high = value
    return float(low), float(high)
