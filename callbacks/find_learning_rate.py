"""The learning rate range test."""

import contextlib
import math
from collections.abc import Iterator

import keras
import numpy as np

from zoo.utils.arguments import (
    check_fraction,
    check_integer,
    check_positive,
    invalid_argument,
    is_number,
)

from .learning_rate_sweep import RangeTest
from .train_step import updating_optimizers


def find_learning_rate(
    model: keras.Model,
    dataset,
    *,
    min_learning_rate: float = 1e-7,
    max_learning_rate: float = 10.0,
    steps: int = 200,
    smoothing: float = 0.9,
    divergence_factor: float = 4.0,
) -> RangeTest:
    """Trains a few steps at rates that rise exponentially, and sees how the loss goes.

    This is the range test of Smith, "Cyclical Learning Rates for Training Neural
    Networks" (2015; WACV 2017), section 3.3, over rates that are evenly spaced on a
    logarithmic axis. It ends at divergence.

    The model is left bit for bit as it came, also after an error or an interrupt:
    weights, the state of the optimizer, its learning rate, metrics and the states of
    seed generators; also the state of further optimizers that a `train_step` of your
    own uses, if they are attributes of the model, and whose rates stay as they are.
    What belongs to no model moves on as in `fit`: the dataset is
    read (`data.order.counter`), and on PyTorch `Dropout` without a seed draws from
    the global generator.

    Args:
        model: A `keras.Model`, compiled with a float as learning rate. Its
            `train_step` returns the loss as "loss".
        dataset: Batches `(x, y)` or `(x, y, sample_weight)`, as `data.train`; it is
            read again where it has fewer than `steps`.
        min_learning_rate: First rate. Defaults to `1e-7`.
        max_learning_rate: Last rate. Defaults to `10.0`.
        steps: Number of rates, each used for one batch. Defaults to `200`.
        smoothing: Factor in [0, 1) of the exponential average of the loss, whose
            bias towards its start at 0 is corrected as in Adam; 0 does not smooth.
            Defaults to `0.9`.
        divergence_factor: The sweep ends once the smoothed loss is this many times
            its lowest, or a loss is not finite. Defaults to `4.0`.

    Returns:
        A `RangeTest`, with `steepest`, `tenth_of_minimum`, `to_frame()` and `plot()`.

    Raises:
        ValueError: If an argument is invalid, the model is not compiled, its
            optimizer holds a schedule or several optimizers, the dataset is empty, or
            the first step does not use the compiled optimizer or returns no "loss".

    Example:

    >>> keras.utils.set_random_seed(0)
    >>> x = np.random.default_rng(0).standard_normal((256, 8))
    >>> dataset = [(x[i : i + 32], x[i : i + 32, :1]) for i in range(0, 256, 32)]
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> test = find_learning_rate(model, dataset)
    >>> 1e-2 < test.steepest < 1, 1e-2 < test.tenth_of_minimum < 1, test.diverged
    (True, True, True)
    >>> round(float(model.optimizer.learning_rate), 6)
    0.01
    """
    _check_model(model)
    rates = _rates(min_learning_rate, max_learning_rate, steps)
    check_fraction("smoothing", smoothing)
    if not is_number(divergence_factor) or divergence_factor <= 1:
        raise invalid_argument(
            "divergence_factor", "a finite number > 1", divergence_factor
        )
    batches = _batches(dataset)
    first = next(batches)
    _build(model, first[0])

    records = []
    average, lowest, diverged = 0.0, math.inf, False
    with _unchanged(model):
        for step, rate in enumerate(rates, start=1):
            batch = first if step == 1 else next(batches)
            model.optimizer.learning_rate = rate
            counts = _counts(model) if step == 1 else None
            logs = model.train_on_batch(*batch, return_dict=True)
            if step == 1:
                _check_first_step(model, logs, is_used=_counts(model) != counts)
            loss = logs["loss"]
            average = smoothing * average + (1 - smoothing) * loss
            smoothed = average / (1 - smoothing**step)
            records.append((rate, loss, smoothed))
            lowest = min(lowest, smoothed)
            # The magnitude, so that a loss below zero diverges upwards too.
            limit = lowest + (divergence_factor - 1) * abs(lowest)
            if not math.isfinite(loss) or smoothed > limit:
                diverged = True
                break
    tried, losses, smoothed_losses = np.transpose(records)
    return RangeTest(tried, losses, smoothed_losses, smoothing, diverged)


def _check_model(model) -> None:
    if not isinstance(model, keras.Model):
        raise invalid_argument("model", "a compiled keras.Model", type(model).__name__)
    if not model.compiled:
        raise invalid_argument(
            "model",
            "a compiled keras.Model",
            model.name,
            "Call `model.compile(optimizer, loss)` first.",
        )
    if len(updating_optimizers(model.optimizer)) != 1 or hasattr(
        model.optimizer, "optimizers"
    ):
        raise invalid_argument(
            "model",
            "a model that is compiled with one optimizer, which has one learning rate",
            model.optimizer and type(model.optimizer).__name__,
            "Compile with one optimizer for the sweep.",
        )
    unbuilt = [one for one in _further_optimizers(model) if not one.built]
    if unbuilt:
        raise invalid_argument(
            "model",
            "further optimizers that are built, so that they can be put back",
            [one.name for one in unbuilt],
            "Call `optimizer.build(variables)` with what each of them updates.",
        )
    # With a float it is a variable, with a schedule the value that it has now.
    if not isinstance(getattr(model.optimizer, "learning_rate", None), keras.Variable):
        raise invalid_argument(
            "model",
            "an optimizer compiled with a float as learning rate",
            model.optimizer.name,
            "Compile with a float for the sweep, which sets the rate itself; leave the "
            "schedule for `fit`.",
        )


def _rates(minimum, maximum, steps) -> list[float]:
    for name, rate in (
        ("min_learning_rate", minimum),
        ("max_learning_rate", maximum),
    ):
        check_positive(name, rate)
    if maximum <= minimum:
        raise invalid_argument(
            "max_learning_rate", f"more than min_learning_rate={minimum!r}", maximum
        )
    check_integer("steps", steps, minimum=2)
    return np.geomspace(minimum, maximum, steps).tolist()


def _batches(dataset) -> Iterator[tuple]:
    """Yields (x, y, sample_weight) as NumPy arrays, over and over."""
    is_one_batch = isinstance(dataset, tuple) or hasattr(dataset, "shape")
    if is_one_batch or not hasattr(dataset, "__iter__"):
        raise invalid_argument(
            "dataset",
            "an iterable of batches (x, y), as a tf.data.Dataset or PyDataset",
            type(dataset).__name__,
            "Of what `zoo.datasets.load` returns it is `data.train`; "
            "`zoo.datasets.from_arrays((x, y)).train` makes one of arrays.",
        )
    while True:
        batch = None
        for batch in dataset:
            parts = keras.utils.unpack_x_y_sample_weight(batch)
            yield tuple(
                None if part is None else keras.tree.map_structure(np.asarray, part)
                for part in parts
            )
        if batch is None:
            raise invalid_argument(
                "dataset",
                "at least one batch in every iteration",
                type(dataset).__name__,
                "A generator can be read only once: give it `steps` batches.",
            )


def _build(model: keras.Model, x) -> None:
    """Creates the variables that the first step would create, to know their start."""
    if type(model).call is keras.Model.call:  # its `train_step` calls its layers
        unbuilt = [
            layer.name for layer in model._flatten_layers(False) if not layer.built
        ]
        if unbuilt:
            raise invalid_argument(
                "model", "a `call` method, or layers that are all built", unbuilt
            )
    elif not model.built:
        model(x)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _counts(model: keras.Model) -> list[float]:
    """What every call of the optimizer changes: its counters, and a loss scale."""
    rate = id(updating_optimizers(model.optimizer)[0]._learning_rate)
    return [
        float(keras.ops.convert_to_numpy(variable))
        for variable in model.optimizer.variables
        if len(variable.shape) == 0 and id(variable) != rate
    ]


def _check_first_step(model: keras.Model, logs: dict, *, is_used: bool) -> None:
    """Raises if the sweep would show nothing of the rates that it sets."""
    if not is_used:
        raise invalid_argument(
            "model",
            "a training step that updates weights with the compiled optimizer, whose "
            "rate the sweep sets",
            type(model.optimizer).__name__,
            "The first step has not called it: no weight is trainable, or `train_step` "
            "uses optimizers of its own.",
        )
    if "loss" not in logs:
        raise invalid_argument(
            "model",
            'a `train_step` that returns the loss to look at as "loss"',
            sorted(logs),
        )


def _further_optimizers(model: keras.Model) -> list:
    """Optimizers that are attributes of the model or its layers, but not compiled."""
    compiled = [model.optimizer, *updating_optimizers(model.optimizer)]
    found = []
    for layer in model._flatten_layers():
        for value in list(vars(layer).values()):
            values = list(value.values()) if isinstance(value, dict) else value
            values = values if isinstance(values, list | tuple) else [values]
            found += [v for v in values if isinstance(v, keras.optimizers.Optimizer)]
    unique = {id(one): one for one in found}
    return [one for one in unique.values() if all(one is not c for c in compiled)]


@contextlib.contextmanager
def _unchanged(model: keras.Model) -> Iterator[None]:
    """Puts all variables back as they were, whatever happens inside."""
    before = [
        (variable, np.array(keras.ops.convert_to_numpy(variable)))
        for variable in (
            *model.variables,
            *model.optimizer.variables,
            *(v for one in _further_optimizers(model) for v in one.variables),
            *model.metrics_variables,
        )
    ]
    try:
        yield
    finally:
        # On JAX a step that was interrupted leaves its state with the model, which
        # would come back later. Asking a callback for its model takes it up now.
        callback = keras.callbacks.Callback()
        callback.set_model(model)
        callback.model.reset_metrics()  # those that the first step created
        for variable, value in before:
            variable.assign(value)
