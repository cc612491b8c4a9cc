"""Records histograms of layer outputs for a fixed sample."""

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
    """Records histograms of the outputs of every layer for a fixed sample.

    The sample is passed through the model in inference mode, before the first epoch
    and then after every `every_epochs` epochs. A model that `fit` builds is not
    recorded before its first epoch. The bins have equal widths. If the activation has
    a bounded range, they cover that range. This shows whether tanh uses all of [-1, 1]
    or is concentrated at the bounds. Otherwise they cover the range of the recorded
    values. Masked time steps are excluded.

    All layers with a float output are recorded, including those nested in other models
    and layers. A layer that is used several times is recorded at each place. Layers
    that run inside a loop, a condition, a map or another compiled function cannot be
    recorded. The same holds for layers nested in the cells of a recurrent layer or in
    the layer of a `TimeDistributed`. A single warning lists them, together with
    layers that have weights but are not called. On PyTorch, loops and conditions are
    plain Python, and each call counts as a separate place.

    Outputs are copied to the host and reduced there, one layer at a time. If all
    layers together output more than 2**24 (16.8 million) numbers for the sample, it is
    split into several batches to limit memory.

    A unit is an index of the last axis, or of the channel axis in layers with
    `data_format="channels_first"`. A unit is dead if it is zero for the whole sample.
    It is saturated if, for at least half of the sample, it is within 2.5 % of the
    activation's range from either bound.

    Args:
        sample: Inputs of the model, as in `model(sample)`: an array with a batch
            dimension, or a list or dict of such arrays. A few hundred examples are
            enough.
        every_epochs: Integer >= 1: record after every `every_epochs` epochs. Defaults
            to `1`.
        log_dir: Folder for TensorBoard event files, with histograms `activation/...`
            and scalars `dead_units/...` and `saturated_units/...`. Defaults to `None`.

    Raises:
        ValueError: If an argument is invalid. In `fit`, if the model has no `call`
            method, or if the sample does not match the inputs of the model.

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
        # An interrupted `fit` can leave these. The next `fit` creates new ones.
        return vars(self) | {"_log": None, "_forward": None}

    def on_epoch_begin(self, epoch, logs=None):
        # A model that its first batch builds must draw its initial weights then.
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
        """Returns all recorded data as NumPy arrays.

        Returns:
            A dict with the following arrays.

            - Of shape `(passes,)`: "step" and "epoch", the numbers of steps and epochs
              trained before the pass.
            - Of shape `(layers,)`: "layer", the names.
            - Of shape `(passes, layers)`: "mean" and "deviation", the mean and standard
              deviation of the finite entries; "non_finite", the number of the other
              entries; "zeros", the fraction of entries that are zero; "dead", the
              fraction of dead units; "saturated", the fraction of saturated units, NaN
              for an activation without bounds. All but "non_finite" are NaN for a
              layer that did not run.
            - Of shape `(passes, layers, 51)`: "edges", the bin edges.
            - Of shape `(passes, layers, 50)`: "counts", the numbers of entries in the
              bins.
            - Of shape `(passes, units)` for every layer: "unit_zeros/<layer>" and
              "unit_saturated/<layer>", the fractions of the sample for which each unit
              is zero, or within 2.5 % of the range from a bound.
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
            "dead": lambda one: _dead(one.unit_zeros),
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
        """Returns a `pandas.DataFrame` with one row per pass and layer.

        The columns are step and epoch (numbers trained so far), layer, mean, standard
        deviation (deviation), number of non-finite entries (non_finite), fraction of
        zero entries (zeros), and fractions of dead and saturated units (dead,
        saturated).
        """
        import pandas as pd

        info = self.activation_info()
        layers, passes = len(info["layer"]), len(info["step"])
        frame = {name: np.repeat(info[name], layers) for name in ("step", "epoch")}
        frame["layer"] = np.tile(info["layer"], passes)
        columns = ("mean", "deviation", "non_finite", "zeros", "dead", "saturated")
        return pd.DataFrame(frame | {name: info[name].ravel() for name in columns})

    def save(self, path: str | os.PathLike) -> None:
        """Saves the frame to a .csv file, or `activation_info()` to an .npz file.

        Args:
            path: File to write, ending in .csv or .npz.

        Raises:
            ValueError: If `path` does not end in .csv or .npz.
        """
        save_record(path, self, self.activation_info())

    def plot(self, figure=None):
        """Plots a heat map over the epochs for every layer with an activation.

        The titles show the fractions of dead and saturated units in the last pass. If
        there are more than twelve layers, twelve of them are drawn, evenly spaced. If
        no layer has an activation, all layers are considered.

        Args:
            figure: Matplotlib figure or subfigure to draw in. Defaults to `None`: a
                new figure.

        Returns:
            The Matplotlib figure.

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
        """Returns the names of the layers, starting with those of the last pass."""
        names = [one.name for *_, row in reversed(self._passes) for one in row]
        return list(dict.fromkeys(names))

    def _rows(self) -> list[list[Answers]]:
        """Returns the `Answers` of all layers for each pass.

        A layer that did not run in a pass gets empty ones.
        """
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
            dead = _dead(one.unit_zeros)
            self._log.add_scalar(f"dead_units/{one.name}", dead, self._step)
            saturated = _saturated(one.unit_saturated)
            if np.isfinite(saturated):
                self._log.add_scalar(
                    f"saturated_units/{one.name}", saturated, self._step
                )
        self._log.flush()


def _no_answers(other: Answers) -> Answers:
    """Returns empty `Answers` for a layer that did not run in a pass."""
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
    """Stacks vectors, and pads those of passes with fewer units with NaN."""
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


def _dead(zeros) -> float:
    """Returns the fraction of units that are zero for the whole sample."""
    return np.nan if np.isnan(zeros).any() else float((zeros == 1).mean())


def _saturated(fractions) -> float:
    """Returns the fraction of units that are saturated for half the sample or more."""
    return np.nan if np.isnan(fractions).any() else float((fractions >= 0.5).mean())


def _title(one: Answers) -> str:
    title = one.name.removesuffix("_activation")
    dead, saturated = _dead(one.unit_zeros), _saturated(one.unit_saturated)
    if dead > 0:
        title += f" · {dead:.0%} dead"
    if np.isfinite(saturated):
        title += f" · {saturated:.0%} saturated"
    return title


def _check_sample(sample):
    """Returns the sample, or raises if it is not a batch of inputs."""
    arrays = keras.tree.flatten(sample)
    sizes = {np.shape(array)[:1] for array in arrays if hasattr(array, "shape")}
    is_batch = len(arrays) and all(hasattr(array, "shape") for array in arrays)
    if not is_batch or len(sizes) != 1 or sizes & {(), (0,)}:
        raise invalid_argument(
            "sample",
            "inputs of the model with at least one example: an array, or a list or "
            "dict of arrays with the same number of examples",
            type(sample).__name__ if not is_batch else [np.shape(a) for a in arrays],
            "Use a batch of a dataset, such as `x, y = next(iter(data.validation))`.",
        )
    return sample


def _check_shapes(sample, model) -> None:
    """Raises if the shapes of the sample do not match a functional model."""
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
