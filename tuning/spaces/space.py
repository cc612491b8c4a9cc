"""Base class for the search spaces, with the training hyperparameters."""

import functools

import keras
import keras_tuner
from keras_tuner import errors

from callbacks import ResumeTraining, ScheduleLearningRate
from callbacks.schedules import Cosine, Linear
from zoo.datasets import ArrayDataset, Data
from zoo.utils.arguments import invalid_argument
from zoo.utils.builders import copy_layer

from ..training.tf_datasets import is_endless, is_tf_dataset
from .zero_or_log_uniform import zero_or_log_uniform

SCHEDULES = {"constant": None, "cosine": Cosine, "linear": Linear}
NOT_DECAYED = ("bias", "gamma", "beta")


class Space(keras_tuner.HyperModel):
    """Base class for search spaces for `zoo` models and their training hyperparameters.

    Subclasses implement `build_model(hp)`, which returns the uncompiled model. The
    training hyperparameters are listed here, with defaults in parentheses:

    - `optimizer`: "adam", or "sgd" with a momentum of 0.9 ("adam");
    - `learning_rate`: log-uniform on [1e-6, 10], that is, `10 ** uniform(-6, 1)`
      (1e-3);
    - `schedule`: "constant", "cosine" or "linear" ("cosine"). The last two decay the
      learning rate to 0;
    - `weight_decay`: zero, or log-uniform on [1e-4, 1] (zero). The decay is decoupled
      from the gradient (Loshchilov & Hutter, "Decoupled Weight Decay Regularization",
      2019): every step subtracts `learning_rate * weight_decay * weight` from each
      weight. This differs from L2 regularization. Biases and normalization parameters
      do not decay;
    - `batch_size`: 32, 64, 128, 256 or 512 (128). A training dataset is rebatched, and
      a validation dataset keeps its batch size.

    Args:
        data: Dataset from `zoo.datasets`: `load(...)` or `from_arrays(...)`.
    """

    returns_history = True

    def __init__(self, data: Data):
        if not isinstance(data, Data):
            expected = "a dataset of zoo.datasets: `load(...)` or `from_arrays(...)`"
            raise invalid_argument("data", expected, data)
        self.data = data
        self._counted: tuple | None = None
        super().__init__()

    def __getstate__(self) -> dict:
        """Returns the state to pickle, without what is computed from the data."""
        state = vars(self) | {"_counted": None}
        state.pop("_adapted", None)
        return state

    @property
    def settings(self) -> dict:
        """Settings that must not change when a search continues."""
        return {
            "space": type(self).__name__,
            "data": self.data.name,
            "train_examples": self.data.sizes["train"],
            "input_shape": list(self.data.input_shape),
            "num_outputs": self.data.num_outputs,
        }

    def build_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Returns the uncompiled model."""
        raise NotImplementedError

    def data_layers(self) -> dict:
        """Returns copies of the layers that are adapted to numeric data.

        Returns:
            A dict that maps arguments of the model builder to layers: `preprocessing`
            and, for regression, `postprocessing`.
        """
        return {
            argument: copy_layer(layer, layer.name)
            for argument, layer in self._adapted.items()
        }

    @functools.cached_property
    def _adapted(self) -> dict:
        """Layers for `data_layers`.

        The layers are adapted only once, because adapting them reads all data.
        """
        layers = {"preprocessing": self.data.normalization()}
        if self.data.task == "regression":
            layers["postprocessing"] = self.data.denormalization()
        return layers

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Returns the compiled model."""
        model = self.build_model(hp)
        hp.Choice("batch_size", [32, 64, 128, 256, 512], default=128)
        hp.Choice("schedule", list(SCHEDULES), default="cosine")
        model.compile(
            _optimizer(hp), loss=self.data.loss, metrics=list(self.data.metrics)
        )
        return model

    def fit(self, hp, model, x=None, y=None, *, callbacks=(), **kwargs):
        """Trains the model with the batch size and the schedule of a trial.

        Args:
            hp: Hyperparameters of the trial.
            model: Compiled model.
            x: Inputs, or a dataset of batches.
            y: Targets; `None` if `x` is a dataset. Defaults to `None`.
            callbacks: Callbacks to pass to `model.fit`. Defaults to `()`.
            **kwargs: Other arguments of `model.fit`.

        Returns:
            The `History` of `model.fit`.

        Raises:
            FatalValueError: If `x` is a dataset of an unsupported type, or if it
                repeats forever and `steps_per_epoch` is missing.
        """
        batch_size = hp.get("batch_size")
        steps = kwargs.get("steps_per_epoch")
        if y is None:
            x, steps = self._rebatched(x, batch_size, steps)
            kwargs = {"shuffle": False, **kwargs}  # the dataset reshuffles itself
        else:
            kwargs = {**kwargs, "batch_size": batch_size}
        shape = SCHEDULES[hp.get("schedule")]
        schedules = []
        if shape is not None:
            schedule = shape(kwargs.get("epochs", 1))
            schedules = [ScheduleLearningRate(schedule, steps_per_epoch=steps)]
        # Reset the counter, so that every trial shuffles the examples in the same way.
        self.data.order.counter = 0
        for callback in callbacks:
            if isinstance(callback, ResumeTraining):
                callback.add_first(schedules)  # so that their state is saved
                schedules = []
        return model.fit(x, y, callbacks=[*schedules, *callbacks], **kwargs)

    def _rebatched(self, dataset, batch_size: int, steps: int | None):
        """Returns the dataset with a new batch size, and the steps per epoch.

        Args:
            dataset: Dataset of batches.
            batch_size: Integer >= 1.
            steps: The `steps_per_epoch` argument of `fit`; `None` to use all examples.
        """
        if isinstance(dataset, ArrayDataset):
            dataset = dataset.rebatch(batch_size)
            return dataset, steps or len(dataset)
        if not is_tf_dataset(dataset):
            # Fatal, because all other trials would fail, too.
            raise _fatal(
                "x",
                "arrays `x` and `y`, or a dataset whose batch size can be changed: one "
                "from `zoo.datasets` or `tf.data`",
                dataset,
            )
        if steps is not None:  # do not count, because the dataset may be infinite
            return dataset.rebatch(batch_size), steps
        if is_endless(dataset):
            raise _fatal(
                "steps_per_epoch",
                "an integer >= 1 for a dataset that repeats forever",
                None,
            )
        import tensorflow as tf

        # After `rebatch`, the number of batches is unknown, and `fit` would warn that
        # it has run out of data.
        steps = -(-self._size(dataset) // batch_size)
        known = tf.data.experimental.assert_cardinality(steps)
        return dataset.rebatch(batch_size).apply(known), steps

    def _size(self, dataset) -> int:
        """Returns the number of examples in a `tf.data.Dataset`.

        Repeated calls with the same dataset count its examples only once.
        """
        if dataset is self.data.train:
            return self.data.sizes["train"]
        if self._counted is None or self._counted[0] is not dataset:
            sizes = (len(keras.tree.flatten(batch)[0]) for batch in dataset)
            self._counted = (dataset, sum(sizes))
        return self._counted[1]


def _fatal(*error) -> errors.FatalValueError:
    return errors.FatalValueError(str(invalid_argument(*error)))


def _optimizer(hp: keras_tuner.HyperParameters) -> keras.optimizers.Optimizer:
    kind = hp.Choice("optimizer", ["adam", "sgd"])
    rate = hp.Float("learning_rate", 1e-6, 10.0, sampling="log", default=1e-3)
    decay = zero_or_log_uniform(hp, "weight_decay", 1e-4, 1.0)
    if kind == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=decay or None)
    else:
        optimizer = keras.optimizers.Adam(rate, weight_decay=decay or None)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer
