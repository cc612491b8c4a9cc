"""How large the entries of gradients, weights or updates are, layer by layer."""

import os

import numpy as np

from zoo.utils.arguments import check_choice

from .recorded import check_recorded, panels, save_record, spread
from .step_monitor import StepMonitor, frame_of, layer_of
from .train_step.sample import HIGHEST, KINDS, LOWEST

NUM_BINS = HIGHEST - LOWEST


class GradientHistograms(StepMonitor):
    """Records histograms of the magnitudes of gradients, on a logarithmic axis.

    Gradients that vanish or explode over the depth move along that axis from layer
    to layer; dead units are zeros; a NaN is counted where it first appears. The
    gradients are those that trained the model, before the optimizer clips them, as
    summed over all replicas and divided by the loss scale. They are counted inside
    the compiled step. Training stays what it is, bit for bit, unless a compiler fuses
    the observed step differently, which changes the last bits of a step.

    A bin holds the magnitudes between two powers of 2, by sign. There are 96, from
    2**-64 to 2**32, of which the first and the last hold all beyond, too. Zeros are
    counted apart, and with them what is below 2**-126, the smallest normal float32,
    which TensorFlow and XLA compute with as zero.

    Only bins that are not empty are kept, at 8 bytes: a look takes about 200 bytes of
    memory for each variable. With a larger `every`, a long training takes less.

    Steps are counted from 0 in every `fit`. With gradient accumulation only steps
    that update the weights count for `every`, and their gradients are the
    accumulated ones.

    Args:
        every: Integer >= 1: look into one in so many steps, and into the first.
            Defaults to `50`.
        of: What to record instead of the "gradient": the "weight" before the step, or
            the "update", what the step added to it. Zeros among the updates are
            weights that the step did not move: where the gradient is zero, or too
            small a change for the precision of the weight. Defaults to `"gradient"`.
        log_dir: Folder of event files for TensorBoard: histograms of log2 of the
            magnitudes `gradient_log2/...` and scalars `gradient_norm/...`, or
            `weight_...` and `update_...`. Defaults to `None`.

    Raises:
        ValueError: If an argument is invalid; in `fit`, if the model has no Keras
            optimizer.

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
        self.of = check_choice("of", of, KINDS)
        super().__init__(every, log_dir, counted=of)

    def histogram_info(self) -> dict:
        """Returns all that is recorded, as NumPy arrays.

        Returns:
            Of shape `(looks,)`: "step", "epoch", "learning_rate" and "skipped". Of
            shape `(variables,)`: "variable", the paths, and "size". Of shape
            `(looks, variables)`: "norm" and "largest" (magnitude), NaN for a variable
            without a gradient; "zeros" and "non_finite", numbers of entries. "log2",
            of shape (97,), are the edges of the bins. "counts", of shape
            `(looks, variables, 2, 96)`, are the numbers of entries, of the positive
            ones and the negative ones. (The norm is a sum of squares in float32, to
            which entries below 1e-19 add nothing; the counts have them.)
        """
        info = self._info()
        info["norm"] = self._array_of_all(f"{self.of}_norm")
        info["log2"] = np.arange(LOWEST, HIGHEST + 1)
        shape = len(self._samples), len(self._names)
        for name, dtype, bins in (
            ("largest", "float32", ()),
            ("zeros", "int64", ()),
            ("non_finite", "int64", ()),
            ("counts", "int32", (2, NUM_BINS)),
        ):
            rows = [getattr(s.magnitudes[self.of], name) for s in self._samples]
            info[name] = np.array(rows, dtype).reshape(*shape, *bins)
        return info

    def to_frame(self):
        """Returns a `pandas.DataFrame`: a row for every look and variable.

        Columns: step, epoch, variable, norm, rms, largest (magnitude), zeros (fraction
        of the entries), non_finite (number of them), learning_rate, skipped.
        """
        info = self.histogram_info()
        info["rms"] = info["norm"] / np.sqrt(info["size"])
        info["zeros"] = info["zeros"] / info["size"]
        columns = ("norm", "rms", "largest", "zeros", "non_finite")
        return frame_of(info, columns)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the frame to a .csv, or all of `histogram_info()` to an .npz file.

        Raises:
            ValueError: If `path` ends in neither.
        """
        save_record(path, self, self.histogram_info())

    def plot(self, figure=None):
        """Draws a heat map of magnitudes over time for every kernel, in order of depth.

        The colour is the fraction of the entries that are not zero; the share of zeros
        is in the title. Of many kernels twelve are drawn, evenly spread.

        Args:
            figure: Matplotlib figure or subfigure to draw in. Defaults to `None`: a
                new one.

        Returns:
            The figure.

        Raises:
            ValueError: If nothing has been recorded.
        """
        info = self.histogram_info()
        check_recorded(self, len(info["step"]))
        places = spread(self._matrices())
        figure, axes = panels(figure, len(places))
        counts = info["counts"].sum(axis=2)
        used = np.flatnonzero(counts[:, places].any(axis=(0, 1)))
        low, high = (used[0], used[-1] + 1) if len(used) else (0, NUM_BINS)
        edges = _edges_of_steps(info["step"])
        for ax, place in zip(axes, places, strict=True):
            rows = counts[:, place, low:high]
            share = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
            drawn = np.ma.masked_equal(share.T, 0)
            log2 = info["log2"][low : high + 1]
            mesh = ax.pcolormesh(edges, log2, drawn, vmin=0, vmax=0.25, cmap="magma_r")
            zeros = info["zeros"][-1, place] / info["size"][place]
            name = layer_of(self._names[place])
            ax.set_title(f"{name} · {zeros:.0%} zeros", fontsize=9)
        figure.supxlabel("step", fontsize=9)
        figure.supylabel(f"log2 of the {self.of}'s magnitude", fontsize=9)
        figure.colorbar(mesh, ax=axes, label="fraction of entries", extend="max")
        return figure

    def plot_norms(self, ax=None):
        """Draws the root mean square gradient (or `of`) of the kernels by their depth.

        Lines are looks, from the first, which is bright, to the last.

        Args:
            ax: Matplotlib axes to draw on. Defaults to `None`: new ones.

        Returns:
            The axes.

        Raises:
            ValueError: If nothing has been recorded.
        """
        import matplotlib.pyplot as plt

        info = self.histogram_info()
        check_recorded(self, len(info["step"]))
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        places = self._matrices()
        rms = (info["norm"] / np.sqrt(info["size"]))[:, places]
        looks = spread(range(len(rms)))
        colors = plt.cm.viridis_r(np.linspace(0.1, 1, len(looks)))
        for color, look in zip(colors, looks, strict=True):
            drawn = np.where(rms[look] > 0, rms[look], np.nan)
            label = f"step {info['step'][look]}" if look in (0, looks[-1]) else None
            ax.plot(drawn, color=color, marker=".", label=label)
        names = [layer_of(self._names[place]) for place in places]
        shown = spread(range(len(places)))
        ax.set_xticks(shown, [names[i] for i in shown], rotation=30, ha="right")
        ax.set(yscale="log", ylabel=f"root mean square of the {self.of}")
        ax.legend(fontsize=8)
        return ax

    def _log_sample(self, sample):
        edges = np.arange(LOWEST, HIGHEST + 1)
        norms = getattr(sample, f"{self.of}_norm")
        counts = sample.magnitudes[self.of].counts.sum(axis=1)
        for name, norm, row in zip(self._names, norms, counts, strict=True):
            if np.isfinite(norm):
                self._log.add_scalar(f"{self.of}_norm/{name}", norm, sample.step)
            self._log.add_histogram(f"{self.of}_log2/{name}", edges, row, sample.step)


def _edges_of_steps(steps):
    """Edges between the looks, so that every look has a column."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    between = (steps[1:] + steps[:-1]) / 2
    first, last = 2 * steps[0] - between[0], 2 * steps[-1] - between[-1]
    return np.concatenate([[first], between, [last]])
