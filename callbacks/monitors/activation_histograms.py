"""Records histograms of layer outputs for a fixed sample."""

import os
import warnings

import keras
import numpy as np

from zoo.utils.arguments import check_integer, invalid_argument
from zoo.utils.printable import Printable
from zoo.utils.saved_attributes import SavedAttributes

from .activation_plot import plot_activations
from .activation_record import (
    ActivationRecord,
    arrays_of,
    latest_statistics,
    summary_of,
)
from .event_log import EventLog, check_log_dir
from .forward_pass import ForwardPass
from .input_sample import check_sample, check_shapes
from .plots import check_recorded
from .summaries import listed, number_of, recorded_at
from .tables import save_info


class ActivationHistograms(Printable, SavedAttributes, keras.callbacks.Callback):
    """Records histograms of the outputs of every layer for a fixed sample.

    The sample is passed through the model in inference mode, before the first epoch and
    then after every `every_epochs` epochs. If the model is built only during `fit`,
    there is no pass before the first epoch. The bins have equal widths. If the
    activation has a bounded range, the bins cover that range; otherwise, they cover the
    range of the recorded values. For example, the histogram of a tanh layer shows
    whether the outputs use all of [-1, 1] or are concentrated at the bounds. Masked
    time steps are excluded.

    All layers with a float output are recorded, including those nested in other models
    and layers. A layer that is called several times is recorded separately for each
    call. Layers that run inside a loop, a condition, a map or another compiled function
    cannot be recorded, nor can layers nested in the cells of a recurrent layer or in a
    layer wrapped by `TimeDistributed`. A single warning lists these layers, together
    with layers that have weights but are not called. On PyTorch, loops and conditions
    are plain Python, so each call inside them is recorded.

    Outputs are copied to the host one layer at a time, and their statistics are
    computed there. If all layers together output more than 2**24 (16.8 million) numbers
    for the sample, the sample is split into several batches to limit memory usage.

    A unit is one index along the last axis, or along the channel axis in layers with
    `data_format="channels_first"`. A unit is dead if its output is zero for the whole
    sample. A unit is saturated if, for at least half of the sample, its output is close
    to a bound of the activation: within 2.5 % of the activation's range.

    Args:
        sample: Inputs for the model, as in `model(sample)`: an array with a batch
            dimension, or a list or dict of such arrays. A few hundred examples are
            sufficient.
        every_epochs: Integer >= 1: record after every `every_epochs` epochs. Defaults
            to `1`.
        log_dir: Folder for TensorBoard event files, which contain histograms
            `activation/...` and scalars `dead_units/...` and `saturated_units/...`.
            Defaults to `None`, which writes no files.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if the model has no
            `call` method or the sample does not match the inputs of the model.
        OSError: Raised by `fit` if `log_dir` is not writable.

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

    saved_attributes = ("_records", "_step", "_epochs", "_batch")

    def __init__(
        self,
        sample,
        every_epochs: int = 1,
        *,
        log_dir: str | os.PathLike | None = None,
    ):
        super().__init__()
        self.sample = check_sample(sample)
        self.every_epochs = check_integer("every_epochs", every_epochs, minimum=1)
        self.log_dir = check_log_dir(log_dir)
        self._records: list[ActivationRecord] = []

    def on_train_begin(self, logs=None):
        if type(self.model).call is keras.Model.call:
            raise invalid_argument(
                "model",
                "a model with a `call` method, to pass the sample through",
                self.model.name,
            )
        self._records = []
        self._log = None if self.log_dir is None else EventLog(self.log_dir)
        self._step = 0
        self._epochs = self._forward = self._batch = None

    def __getstate__(self):
        # These objects can remain after an interrupted `fit`; the next `fit` replaces
        # them.
        return vars(self) | {"_log": None, "_forward": None}

    def on_epoch_begin(self, epoch, logs=None):
        # If the first batch builds the model, the weights must not be initialized
        # earlier.
        if self._epochs is None and self.model.built:
            check_shapes(self.sample, self.model)
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

            Of shape `(passes,)`:

            - "step" and "epoch": Number of training steps and epochs completed before
              the pass.

            Of shape `(layers,)`:

            - "layer": Names of the layers.

            Of shape `(passes, layers)`; if a layer did not run in a pass, its entries
            are NaN in all of these arrays except "non_finite":

            - "mean" and "deviation": Mean and standard deviation of the finite entries.
            - "non_finite": Number of infinite or NaN entries.
            - "zeros": Fraction of entries that are zero.
            - "dead": Fraction of dead units.
            - "saturated": Fraction of saturated units; NaN for an activation without
              bounds.

            Of shape `(passes, layers, ...)`:

            - "edges": Bin edges, of shape `(passes, layers, 51)`.
            - "counts": Number of entries in each bin, of shape `(passes, layers, 50)`.

            Of shape `(passes, units)`, for every layer:

            - "unit_zeros/<layer>": Fraction of the sample for which each unit is zero.
            - "unit_saturated/<layer>": Fraction of the sample for which the output of
              each unit is close to a bound of the activation: within 2.5 % of the
              activation's range. NaN for an activation without bounds.
        """
        return arrays_of(self._records)

    def to_frame(self):
        """Returns a `pandas.DataFrame` with one row per pass and layer.

        The columns are:

        - `step` and `epoch`: Number of training steps and epochs completed before the
          pass.
        - `layer`: Name of the layer.
        - `mean` and `deviation`: Mean and standard deviation of the finite entries.
        - `non_finite`: Number of infinite or NaN entries.
        - `zeros`: Fraction of entries that are zero.
        - `dead` and `saturated`: Fractions of dead and saturated units.

        Raises:
            ValueError: If nothing has been recorded.
        """
        import pandas as pd

        check_recorded(self, len(self._records))
        info = self.activation_info()
        layers, passes = len(info["layer"]), len(info["step"])
        frame = {name: np.repeat(info[name], layers) for name in ("step", "epoch")}
        frame["layer"] = np.tile(info["layer"], passes)
        columns = ("mean", "deviation", "non_finite", "zeros", "dead", "saturated")
        return pd.DataFrame(frame | {name: info[name].ravel() for name in columns})

    def save(self, path: str | os.PathLike) -> None:
        """Saves the data frame to a .csv file, or `activation_info()` to an .npz file.

        Args:
            path: File to write, ending in .csv or .npz.

        Raises:
            ValueError: If `path` does not end in .csv or .npz.
        """
        save_info(path, self, self.activation_info())

    def plot(self, figure=None):
        """Plots a heat map over the epochs for every layer with an activation function.

        The titles show the fractions of dead and saturated units in the last pass. If
        no layer has an activation function, all layers are included. If there are more
        than twelve layers to draw, only twelve evenly spaced ones are drawn.

        Args:
            figure: Matplotlib figure or subfigure to draw in. Defaults to `None`,
                which creates a new figure.

        Returns:
            The Matplotlib figure.

        Raises:
            ValueError: If nothing has been recorded.
        """
        check_recorded(self, len(self._records))
        layers = latest_statistics(self._records).values()
        activations = [i for i, layer in enumerate(layers) if layer.is_activation]
        return plot_activations(
            self.activation_info(),
            activations or range(len(layers)),
            width=self.every_epochs,
            figure=figure,
        )

    def __str__(self) -> str:
        name = type(self).__name__
        if not self._records:
            return f"{name}: nothing recorded yet."
        epochs = recorded_at([record.epoch for record in self._records], "epoch")
        text = f"{number_of(len(self._records), 'pass', 'passes')} recorded, {epochs}"
        return f"{name}: {text}. {summary_of(self._records[-1])}"

    def _record(self, epoch: int):
        if self._forward is None:
            self._forward = ForwardPass(self.model)
        layers = self._forward(self.sample)
        if not self._records and self._forward.unseen:
            _warn_of_unseen(self._forward.unseen)
        record = ActivationRecord(self._step, epoch, layers)
        self._records.append(record)
        if self._log is not None:
            self._log_record(record)

    def _log_record(self, record: ActivationRecord):
        log, step = self._log, record.step
        for layer in record.layers:
            log.add_histogram(
                f"activation/{layer.name}", layer.edges, layer.counts, step
            )
            log.add_scalar(f"dead_units/{layer.name}", layer.dead, step)
            if np.isfinite(layer.saturated):
                log.add_scalar(f"saturated_units/{layer.name}", layer.saturated, step)
        log.flush()


def _warn_of_unseen(names: list[str]) -> None:
    layers = listed([repr(name) for name in names], limit=10)
    warnings.warn(
        f"ActivationHistograms does not record the layers {layers}: when the "
        "model is called, they run inside a loop, a condition, a map, the step of a "
        "recurrent layer or another compiled function, or not at all.",
        stacklevel=2,
    )
