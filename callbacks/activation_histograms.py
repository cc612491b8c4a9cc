"""What the units of a network answer to a fixed sample."""

import dataclasses
import os
import warnings

import keras
import numpy as np

from zoo.utils.arguments import check_integer, invalid_argument

from .event_log import EventLog, check_log_dir
from .forward_pass import ForwardPass
from .layer_statistics import Answers
from .recorded import check_recorded, panels, save_record, spread


class ActivationHistograms(keras.callbacks.Callback):
    """Records histograms of what every layer gives for a fixed sample.

    The sample passes forward through the model, as at inference, before the first
    epoch and after every `every_epochs`. Bins are linear: over the activation's own
    range where it has ends, which shows whether tanh fills [-1, 1] or piles up at the
    ends, else over the values that came. Masked steps are left out.

    All layers with a float output are recorded, also those inside other models and
    layers, once for every place where a layer is used. Layers that run inside a loop,
    a condition, a map or another compiled function cannot be seen, nor can those
    inside the cells of a recurrent layer or inside the layer of a `TimeDistributed`:
    one warning names them, and those with weights that do not run at all. On PyTorch
    loops and conditions are plain Python: each call counts as a place of its own.

    Outputs are copied to the host and reduced there, one layer after the other. If the
    layers together give more than 2**24 (16.8 million) numbers for the sample, it
    passes in parts, each as a batch of its own, which bounds the memory.

    A unit is an index of the last axis (of the channels, for images whose channels
    come first). It is dead if it is zero on the whole sample; saturated if it is within
    2.5 % of the range of an end on at least half of the sample.

    Args:
        sample: Inputs of the model, as `model(sample)` takes them: an array with a
            batch dimension, or a list or dict of them; a few hundred examples are
            enough.
        every_epochs: Integer >= 1: pass the sample after every so many epochs.
            Defaults to `1`.
        log_dir: Folder of event files for TensorBoard: histograms `activation/...`,
            scalars `dead_units/...` and `saturated_units/...`. Defaults to `None`.

    Raises:
        ValueError: If an argument is invalid; in `fit`, if the model has no `call`,
            or takes other inputs than the sample.

    Example:

    >>> layer = keras.layers.Dense(3, "relu", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> layer.set_weights([np.eye(2, 3), np.array([0.0, 0.0, -1.0])])
    >>> model.compile(keras.optimizers.SGD(0.0), "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 3))
    >>> activations = ActivationHistograms(x)
    >>> history = model.fit(x, y, verbose=0, callbacks=[activations])
    >>> frame = activations.to_frame()
    >>> frame[["epoch", "layer"]].values.tolist()
    [[0, 'dense'], [1, 'dense']]
    >>> frame["dead"].round(3).tolist()
    [0.333, 0.333]
    """

    def __init__(
        self,
        sample,
        every_epochs: int = 1,
        *,
        log_dir: str | os.PathLike | None = None,
    ):
        super().__init__()
        self.sample = _check_sample(sample)
        self.every_epochs = check_integer("every_epochs", every_epochs, minimum=1)
        self.log_dir = check_log_dir(log_dir)
        self._passes: list[tuple[int, int, list[Answers]]] = []

    def on_train_begin(self, logs=None):
        if type(self.model).call is keras.Model.call:
            raise invalid_argument(
                "model",
                "a model with a `call` method, to pass the sample through",
                self.model.name,
            )
        self._passes = []
        self._log = None if self.log_dir is None else EventLog(self.log_dir)
        self._step = 0
        self._epochs = self._forward = None

    def __getstate__(self):
        # After an interrupt they may be there; the next `fit` makes new ones.
        return vars(self) | {"_log": None, "_forward": None}

    def on_epoch_begin(self, epoch, logs=None):
        # A model that is built by its first batch must draw its weights there.
        if self._epochs is None and self.model.built:
            _check_shapes(self.sample, self.model)
            self._record(epoch)
        self._epochs = epoch + 1
        self._batch = None

    def on_train_batch_begin(self, batch, logs=None):
        self._batch = batch

    def on_epoch_end(self, epoch, logs=None):
        if self._batch is not None:
            steps = self._batch + self.model.steps_per_execution
            self._step += min(steps, (self.params or {}).get("steps") or steps)
        if self._epochs % self.every_epochs == 0:
            self._record(self._epochs)

    def on_train_end(self, logs=None):
        self._forward = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def activation_info(self) -> dict:
        """Returns all that is recorded, as NumPy arrays.

        Returns:
            Of shape `(passes,)`: "step" and "epoch", both as numbers of those that had
            been trained. Of shape `(layers,)`: "layer", the names. Of shape
            `(passes, layers)`: "mean" and "deviation" of the finite entries,
            "non_finite", the number of the others, "zeros", the fraction of entries
            that are zero, and of units "dead" and "saturated", as fractions (NaN for a
            range without ends). Of shapes `(passes, layers, 51)` and
            `(passes, layers, 50)`: "edges" of the bins, and "counts". For every layer
            "unit_zeros/<layer>" and "unit_saturated/<layer>", of shape
            `(passes, units)`: the fraction of the sample on which a unit is so.
        """
        names = self._layers()
        rows = self._rows()
        info = {
            "step": np.array([step for step, _, _ in self._passes], dtype="int64"),
            "epoch": np.array([epoch for _, epoch, _ in self._passes], dtype="int64"),
            "layer": np.array(names, dtype=str),
        }
        figures = {
            "mean": lambda one: one.mean,
            "deviation": lambda one: one.deviation,
            "non_finite": lambda one: one.non_finite,
            "zeros": lambda one: one.unit_zeros.mean(),
            "dead": lambda one: (one.unit_zeros == 1).mean(),
            "saturated": lambda one: _saturated(one.unit_saturated),
            "edges": lambda one: one.edges,
            "counts": lambda one: one.counts,
        }
        for figure, measure in figures.items():
            info[figure] = np.array([[measure(one) for one in row] for row in rows])
        for place, name in enumerate(names):
            for figure in ("unit_zeros", "unit_saturated"):
                units = [getattr(row[place], figure) for row in rows]
                info[f"{figure}/{name}"] = _padded(units)
        return info

    def to_frame(self):
        """Returns a `pandas.DataFrame`: a row for every pass and layer.

        Columns: step and epoch (trained so far), layer, mean, deviation, non_finite
        (number of entries), zeros (fraction of entries), dead and saturated (fractions
        of units).
        """
        import pandas as pd

        info = self.activation_info()
        layers, passes = len(info["layer"]), len(info["step"])
        frame = {name: np.repeat(info[name], layers) for name in ("step", "epoch")}
        frame["layer"] = np.tile(info["layer"], passes)
        columns = ("mean", "deviation", "non_finite", "zeros", "dead", "saturated")
        return pd.DataFrame(frame | {name: info[name].ravel() for name in columns})

    def save(self, path: str | os.PathLike) -> None:
        """Writes the frame to a .csv, or all of `activation_info()` to an .npz file.

        Raises:
            ValueError: If `path` ends in neither.
        """
        save_record(path, self, self.activation_info())

    def plot(self, figure=None):
        """Draws a heat map over the epochs for every layer with an activation.

        The fractions of dead and of saturated units, at the end, are in the titles. Of
        many layers twelve are drawn, evenly spread; if none has an activation, all
        count.

        Args:
            figure: Matplotlib figure or subfigure to draw in. Defaults to `None`: a
                new one.

        Returns:
            The figure.

        Raises:
            ValueError: If nothing has been recorded.
        """
        check_recorded(self, len(self._passes))
        last = self._rows()[-1]
        every = range(len(last))
        places = [place for place in every if last[place].is_activation] or every
        places = spread(places)
        figure, axes = panels(figure, len(places))
        for ax, place in zip(axes, places, strict=True):
            mesh = self._draw(ax, place)
            ax.set_title(_title(last[place]), fontsize=9)
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("activation", fontsize=9)
        figure.colorbar(mesh, ax=axes, label="fraction of entries", extend="max")
        return figure

    def _draw(self, ax, place: int):
        epochs = [epoch for _, epoch, _ in self._passes]
        for epoch, row in zip(epochs, self._rows(), strict=True):
            one = row[place]
            share = one.counts / max(one.counts.sum(), 1)
            drawn = np.ma.masked_equal(share[:, None], 0)
            half = self.every_epochs / 2
            mesh = ax.pcolormesh(
                [epoch - half, epoch + half],
                one.edges,
                drawn,
                vmin=0,
                vmax=0.15,
                cmap="magma_r",
            )
        return mesh

    def _layers(self) -> list[str]:
        """Names of the layers, of which those of the last pass come first."""
        names = [one.name for *_, row in reversed(self._passes) for one in row]
        return list(dict.fromkeys(names))

    def _rows(self) -> list[list[Answers]]:
        """The answers of each pass, one for every layer, empty if it did not run."""
        names = self._layers()
        rows = [{one.name: one for one in row} for *_, row in self._passes]
        any_row = {name: one for row in rows for name, one in row.items()}
        return [
            [row.get(name, _no_answers(any_row[name])) for name in names]
            for row in rows
        ]

    def _record(self, epoch: int):
        if self._forward is None:
            self._forward = ForwardPass(self.model)
        answers = self._forward(self.sample)
        if not self._passes and self._forward.unseen:
            _warn_of_unseen(self._forward.unseen)
        self._passes.append((self._step, epoch, answers))
        if self._log is not None:
            self._log_pass(answers)

    def _log_pass(self, answers):
        for one in answers:
            self._log.add_histogram(
                f"activation/{one.name}", one.edges, one.counts, self._step
            )
            dead = (one.unit_zeros == 1).mean()
            self._log.add_scalar(f"dead_units/{one.name}", dead, self._step)
            saturated = _saturated(one.unit_saturated)
            if np.isfinite(saturated):
                self._log.add_scalar(
                    f"saturated_units/{one.name}", saturated, self._step
                )
        self._log.flush()


def _no_answers(other: Answers) -> Answers:
    """What is recorded of a layer in a pass in which it did not run."""
    nothing = np.full_like(other.unit_zeros, np.nan)
    return dataclasses.replace(
        other,
        counts=np.zeros_like(other.counts),
        mean=np.nan,
        deviation=np.nan,
        non_finite=0,
        unit_zeros=nothing,
        unit_saturated=np.full_like(other.unit_saturated, np.nan),
    )


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """Stacks what is of one length, but where a pass had another number of units."""
    size = max(map(len, rows))
    return np.array(
        [np.pad(row, (0, size - len(row)), constant_values=np.nan) for row in rows]
    )


def _warn_of_unseen(names: list[str]) -> None:
    listed = ", ".join(repr(name) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    warnings.warn(
        f"ActivationHistograms does not record the layers {listed}{more}: when the "
        "model is called, they run inside a loop, a condition, a map, the step of a "
        "recurrent layer or another compiled function, or not at all.",
        stacklevel=2,
    )


def _saturated(fractions) -> float:
    """The fraction of units that are saturated on at least half of the sample."""
    return np.nan if np.isnan(fractions).any() else float((fractions >= 0.5).mean())


def _title(one: Answers) -> str:
    title = one.name.removesuffix("_activation")
    dead, saturated = (one.unit_zeros == 1).mean(), _saturated(one.unit_saturated)
    if dead:
        title += f" · {dead:.0%} dead"
    if np.isfinite(saturated):
        title += f" · {saturated:.0%} saturated"
    return title


def _check_sample(sample):
    """Returns the sample, or raises if it is no batch of inputs."""
    arrays = keras.tree.flatten(sample)
    sizes = {np.shape(array)[:1] for array in arrays if hasattr(array, "shape")}
    is_batch = len(arrays) and all(hasattr(array, "shape") for array in arrays)
    if not is_batch or len(sizes) != 1 or sizes & {(), (0,)}:
        raise invalid_argument(
            "sample",
            "inputs of the model with at least one example: an array, or a list or "
            "dict of arrays with as many examples each",
            type(sample).__name__ if not is_batch else [np.shape(a) for a in arrays],
            "Of a dataset, a batch will do: `x, y = next(iter(data.validation))`.",
        )
    return sample


def _check_shapes(sample, model) -> None:
    """Raises if a functional model takes other examples than those of the sample."""
    inputs = getattr(model, "inputs", None)
    if not inputs or isinstance(sample, dict):
        return
    expected = [tuple(tensor.shape)[1:] for tensor in inputs]
    shapes = [tuple(np.shape(array))[1:] for array in keras.tree.flatten(sample)]
    if len(shapes) == len(expected) and all(map(_fits, shapes, expected)):
        return
    raise invalid_argument(
        "sample", f"examples of shape {expected}, which the model takes", shapes
    )


def _fits(shape: tuple, expected: tuple) -> bool:
    # Keras adds and removes a last axis of size 1.
    shape, expected = (s[:-1] if s[-1:] == (1,) else s for s in (shape, expected))
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )
