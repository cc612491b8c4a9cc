"""Records histograms of the magnitudes of gradients, weights or updates."""

import os

import numpy as np

from zoo.utils.arguments import check_choice, invalid_argument

from ..train_step.magnitudes import HIGHEST, LOWEST
from ..train_step.update_record import QUANTITIES
from .names import layer_of
from .plots import check_recorded, evenly_spaced, panels
from .step_monitor import StepMonitor
from .summaries import extremes
from .tables import frame_of, save_info

NUM_BINS = HIGHEST - LOWEST


class GradientHistograms(StepMonitor):
    """Records histograms of gradient magnitudes on a logarithmic axis.

    Vanishing or exploding gradients appear as a shift along this axis from layer to
    layer, and dead units appear as zeros. NaN and infinite entries are counted for each
    variable, which helps to locate their origin. The gradients are recorded after they
    are summed over all replicas and divided by the loss scale, but before the optimizer
    clips them. The histograms are computed inside the compiled step. The results of
    training are bit-for-bit unchanged, unless the compiler fuses the operations of a
    recorded step differently, which can change the last bits.

    Each bin counts magnitudes between two consecutive powers of 2, separately for each
    sign. There are 96 bins, from 2**-64 to 2**32. The first and last bins also contain
    all magnitudes outside this range. Zeros are counted separately. Magnitudes below
    2**-126, the smallest normal float32, count as zeros, because TensorFlow and XLA
    treat them as zero.

    Only non-empty bins are stored, at 8 bytes each. A record takes about 200 bytes of
    memory per variable. At most 1,000 records, one per update, are kept in memory. They
    are evenly spaced over the call to `fit`: when this limit is exceeded, every second
    record is dropped, and the interval between records doubles. The TensorBoard files
    contain every record.

    Steps are counted from 0 in every call to `fit`. With gradient accumulation, only
    steps that update the weights count towards `every`, and the accumulated gradients
    are recorded.

    Args:
        every: Integer >= 1: record every `every`-th step, starting with the first.
            Defaults to `50`.
        of: Quantity to record: "gradient"; "weight", the value before the step; or
            "update", the change made by the step. An update is zero if the gradient is
            zero or the change is too small for the precision of the weight. Defaults to
            `"gradient"`.
        log_dir: Folder for TensorBoard event files, which contain histograms
            `gradient_log2/...` (the log2 of the magnitudes) and scalars
            `gradient_norm/...`. If `of` is "weight" or "update", the names start with
            `weight_` or `update_` instead. Defaults to `None`, which writes no files.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if the model has no
            Keras optimizer, or if the optimizers of a `MultiOptimizer` have different
            numbers of gradient accumulation steps.
        OSError: Raised by `fit` if `log_dir` is not writable.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.01), "mse")
    >>> histograms = GradientHistograms(every=1)
    >>> x, y = np.ones((4, 2)), np.ones((4, 1))
    >>> history = model.fit(x, y, batch_size=2, verbose=0, callbacks=[histograms])
    >>> counts = histograms.histogram_info()["counts"]
    >>> counts.shape, counts.sum(axis=(2, 3)).tolist()
    ((2, 2, 2, 96), [[2, 1], [2, 1]])
    """

    def __init__(
        self,
        every: int = 50,
        *,
        of: str = "gradient",
        log_dir: str | os.PathLike | None = None,
    ):
        if isinstance(every, str) and every in QUANTITIES:
            fix = f"Write `GradientHistograms(of={every!r})`."
            raise invalid_argument("every", "an integer >= 1", every, fix)
        self.of = check_choice("of", of, QUANTITIES)
        super().__init__(every, log_dir, counted=of)

    def histogram_info(self) -> dict:
        """Returns all recorded data as NumPy arrays.

        Returns:
            A dict with the following arrays.

            Of shape `(records,)`:

            - "step" and "epoch": Step number and epoch of the update.
            - "learning_rate": Learning rate of the update; NaN if the optimizers of a
              `MultiOptimizer` have different learning rates.
            - "skipped": Whether a `LossScaleOptimizer` skipped the update.

            Of shape `(variables,)`:

            - "variable": Paths of the variables.
            - "size": Number of entries in each variable.

            Of shape `(records, variables)`:

            - "norm": Norm of the recorded quantity; NaN for a variable without a
              gradient.
            - "largest": Largest magnitude; NaN for a variable without a gradient.
            - "zeros": Number of zero entries.
            - "non_finite": Number of infinite or NaN entries.

            Of other shapes:

            - "every": Number of steps between consecutive records in memory, a scalar.
              It is a multiple of the `every` argument.
            - "log2": The log2 of the bin edges, of shape `(97,)`.
            - "counts": Number of positive and negative entries in each bin, of shape
              `(records, variables, 2, 96)`.

            The norm is computed from a sum of squares in float32, in which the squares
            of entries below 1e-19 underflow to zero. The counts include such entries.
        """
        info = self._info()
        info["norm"] = self._array_of_all(f"{self.of}_norm")
        info["log2"] = np.arange(LOWEST, HIGHEST + 1)
        shape = len(self._records), len(self._names)
        for name, dtype, bins in (
            ("largest", "float32", ()),
            ("zeros", "int64", ()),
            ("non_finite", "int64", ()),
            ("counts", "int32", (2, NUM_BINS)),
        ):
            rows = [getattr(one.magnitudes[self.of], name) for one in self._records]
            info[name] = np.array(rows, dtype).reshape(*shape, *bins)
        return info

    def to_frame(self):
        """Returns a `pandas.DataFrame` with one row per record and variable.

        The columns are:

        - `step`, `epoch`, `variable`: Step number and epoch of the update, and path of
          the variable.
        - `norm` and `rms`: Norm and root mean square.
        - `largest`: Largest magnitude.
        - `zeros`: Fraction of entries that are zero.
        - `non_finite`: Number of infinite or NaN entries.
        - `learning_rate` and `skipped`: As in `histogram_info()`.

        Raises:
            ValueError: If nothing has been recorded.
        """
        info = self.histogram_info()
        check_recorded(self, len(info["step"]))
        info["rms"] = info["norm"] / np.sqrt(info["size"])
        info["zeros"] = info["zeros"] / info["size"]
        columns = ("norm", "rms", "largest", "zeros", "non_finite")
        return frame_of(info, columns)

    def save(self, path: str | os.PathLike) -> None:
        """Saves the data frame to a .csv file, or `histogram_info()` to an .npz file.

        Args:
            path: File to write, ending in .csv or .npz.

        Raises:
            ValueError: If `path` does not end in .csv or .npz.
        """
        save_info(path, self, self.histogram_info())

    def plot(self, figure=None):
        """Plots a heat map of the magnitudes over time for every kernel.

        The axis of the magnitudes is logarithmic, with ticks at powers of ten.

        The kernels are sorted by depth. The color shows the fraction of the nonzero
        finite entries in each bin. The title shows the fraction of zeros in the last
        record. If there are more than twelve kernels, only twelve evenly spaced ones
        are drawn.

        Args:
            figure: Matplotlib figure or subfigure to draw in. Defaults to `None`,
                which creates a new figure.

        Returns:
            The Matplotlib figure.

        Raises:
            ValueError: If nothing has been recorded.
        """
        info = self.histogram_info()
        check_recorded(self, len(info["step"]))
        kernels = evenly_spaced(self._matrices())
        figure, axes = panels(figure, len(kernels))
        counts = info["counts"].sum(axis=2)
        used = np.flatnonzero(counts[:, kernels].any(axis=(0, 1)))
        low, high = (used[0], used[-1] + 1) if len(used) else (0, NUM_BINS)
        edges = _edges_of_steps(info["step"])
        for ax, kernel in zip(axes, kernels, strict=True):
            rows = counts[:, kernel, low:high]
            share = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
            drawn = np.ma.masked_equal(share.T, 0)
            bins = 2.0 ** info["log2"][low : high + 1]
            mesh = ax.pcolormesh(edges, bins, drawn, vmin=0, vmax=0.25, cmap="magma_r")
            ax.set_yscale("log")
            zeros = info["zeros"][-1, kernel] / info["size"][kernel]
            name = layer_of(self._names[kernel])
            ax.set_title(f"{name} · {zeros:.0%} zeros", fontsize=9)
        figure.supxlabel("step", fontsize=9)
        figure.supylabel(f"magnitude of the {self.of}", fontsize=9)
        figure.colorbar(mesh, ax=axes, label="fraction of entries", extend="max")
        return figure

    def plot_norms(self, ax=None):
        """Plots the root mean square of the recorded quantity for every kernel.

        The kernels are sorted by depth. Each line represents a record. Colors range
        from bright for the first record to dark for the last. At most twelve evenly
        spaced records are drawn.

        Args:
            ax: Matplotlib axes to draw on. Defaults to `None`, which creates new axes.

        Returns:
            The Matplotlib figure.

        Raises:
            ValueError: If nothing has been recorded.
        """
        import matplotlib.pyplot as plt

        info = self.histogram_info()
        check_recorded(self, len(info["step"]))
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        kernels = self._matrices()
        rms = (info["norm"] / np.sqrt(info["size"]))[:, kernels]
        records = evenly_spaced(range(len(rms)))
        colors = plt.cm.viridis_r(np.linspace(0.1, 1, len(records)))
        for color, record in zip(colors, records, strict=True):
            drawn = np.where(rms[record] > 0, rms[record], np.nan)
            is_labelled = record in (0, records[-1])
            label = f"step {info['step'][record]}" if is_labelled else None
            ax.plot(drawn, color=color, marker=".", label=label)
        names = [layer_of(self._names[kernel]) for kernel in kernels]
        shown = evenly_spaced(range(len(kernels)))
        ax.set_xticks(shown, [names[i] for i in shown], rotation=30, ha="right")
        ax.set(yscale="log", ylabel=f"root mean square of the {self.of}")
        ax.legend(fontsize=8)
        return ax.figure

    def _summary(self) -> str:
        info = self.histogram_info()
        broken = np.argwhere(info["non_finite"] > 0)
        if len(broken):
            record, variable = broken[0]
            step, name = info["step"][record], self._names[variable]
            return f"The {self.of} of {name} is not finite from step {step} on."
        rms = info["norm"][-1] / np.sqrt(info["size"])
        zeros = info["zeros"][-1] / info["size"]
        layers = {
            layer_of(self._names[kernel]): (float(rms[kernel]), zeros[kernel])
            for kernel in self._matrices()
            if np.isfinite(rms[kernel])
        }
        if not layers:
            return f"No kernel has a {self.of}."
        sizes = extremes({name: size for name, (size, _) in layers.items()}, ".1e")
        share, name = max((share, name) for name, (_, share) in layers.items())
        where = f" ({name})" if share > 0 else ""
        return (
            f"In the last record, the root mean square of the {self.of} by layer "
            f"{sizes}, and at most {share:.0%} of the entries are zero{where}."
        )

    def _log_record(self, record):
        edges = np.arange(LOWEST, HIGHEST + 1)
        norms = getattr(record, f"{self.of}_norm")
        counts = record.magnitudes[self.of].counts.sum(axis=1)
        for name, norm, row in zip(self._names, norms, counts, strict=True):
            if np.isfinite(norm):
                self._log.add_scalar(f"{self.of}_norm/{name}", norm, record.step)
            self._log.add_histogram(f"{self.of}_log2/{name}", edges, row, record.step)


def _edges_of_steps(steps):
    """Returns the column edges of a heat map with one column per record.

    The edges lie midway between the steps of consecutive records.
    """
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    between = (steps[1:] + steps[:-1]) / 2
    first, last = 2 * steps[0] - between[0], 2 * steps[-1] - between[-1]
    return np.concatenate([[first], between, [last]])
