"""The learning rate range test."""

import contextlib
import math
import operator
from collections.abc import Iterator

import keras
import numpy as np

from zoo.backend.keras_internals import flatten_layers
from zoo.utils.arguments import (
    check_fraction,
    check_integer,
    check_positive,
    invalid_argument,
    is_number,
)

from .compiled_model import check_compiled
from .learning_rate_sweep import RangeTest
from .ruined_weights import check_loss, check_weights, fault_of
from .train_step import updating_optimizers


def find_learning_rate(
    model: keras.Model,
    dataset,
    y=None,
    *,
    batch_size: int = 32,
    min_learning_rate: float = 1e-7,
    max_learning_rate: float = 10.0,
    steps: int = 200,
    smoothing: float = 0.9,
    divergence_factor: float = 4.0,
) -> RangeTest:
    """Runs a learning rate range test: trains at increasing rates and records the loss.

    This is the range test from Smith, "Cyclical Learning Rates for Training Neural
    Networks" (2015; WACV 2017), section 3.3, with learning rates evenly spaced on a
    logarithmic scale. The test stops early if the loss diverges.

    Afterwards, the state of the model is restored bit for bit, even after an error or
    an interrupt. This includes the weights, the state and the learning rate of the
    optimizer, the metrics and the seed generators. If a custom `train_step` uses
    additional optimizers, their state is restored as well, provided that they are
    attributes of the model or of its layers. The learning rates of these optimizers are
    not varied. State outside the model advances as in `fit`: reading the dataset
    advances `data.order.counter`, and on PyTorch, a `Dropout` layer without a seed
    draws from the global generator.

    Args:
        model: A `keras.Model`, compiled with a float as the learning rate. Its
            `train_step` must return the loss as "loss".
        dataset: Iterable of batches `(x, y)` or `(x, y, sample_weight)`, such as
            `data.train`. If it has fewer than `steps` batches, it is repeated. With
            `y`, inputs as arrays, whose examples are shuffled once, always in the same
            order.
        y: Targets as arrays. Defaults to `None`: `dataset` contains them.
        batch_size: Integer >= 1, the batch size for arrays. Defaults to `32`.
        min_learning_rate: First learning rate. Defaults to `1e-7`.
        max_learning_rate: Last learning rate. Defaults to `10.0`.
        steps: Number of learning rates, each used for one batch. Defaults to `200`.
        smoothing: Decay factor, in [0, 1), for the exponential moving average of the
            loss. The average starts at 0 and is bias-corrected as in Adam. A factor of
            0 disables smoothing. Defaults to `0.9`.
        divergence_factor: Number > 1. The test stops when a loss is not finite, or when
            the smoothed loss exceeds its running minimum m by more than
            `(divergence_factor - 1) * abs(m)`. Defaults to `4.0`.

    Returns:
        A `RangeTest`, with `steepest`, `tenth_of_minimum`, `to_frame()` and `plot()`.
        If the weights are ruined, as after training that diverged, it suggests no rate,
        and `fault` says why.

    Raises:
        ValueError: If an argument is invalid, the dataset is empty, or the weights or
            the loss of the first batch are not finite. Also raised if the model is not
            compiled, if its optimizer uses a schedule or combines several optimizers,
            if an additional optimizer is not built, or if the model has unbuilt layers
            and no `call` method. Also raised if the first step does not use the
            optimizer that the model is compiled with, or does not return "loss".

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
    check_integer("batch_size", batch_size, minimum=1)
    if not is_number(divergence_factor) or divergence_factor <= 1:
        raise invalid_argument(
            "divergence_factor", "a finite number > 1", divergence_factor
        )
    batches = _batches(dataset if y is None else _split(dataset, y, batch_size, steps))
    first = next(batches)
    _build(model, first[0])
    check_weights(model)
    fault = fault_of(model, first)

    records = []
    average, lowest, diverged = 0.0, math.inf, False
    with _unchanged(model):
        for step, rate in enumerate(rates, start=1):
            batch = first if step == 1 else next(batches)
            model.optimizer.learning_rate = rate
            counts = _counts(model) if step == 1 else None
            model.reset_metrics()  # otherwise Keras 3.12 averages the loss over steps
            logs = model.train_on_batch(*batch, return_dict=True)
            if step == 1:
                _check_first_step(model, logs, is_used=_counts(model) != counts)
                check_loss(float(logs["loss"]))
            loss = float(logs["loss"])
            average = smoothing * average + (1 - smoothing) * loss
            smoothed = average / (1 - smoothing**step)
            records.append((rate, loss, smoothed))
            lowest = min(lowest, smoothed)
            # The absolute value makes the limit valid for negative losses, too.
            limit = lowest + (divergence_factor - 1) * abs(lowest)
            if not math.isfinite(loss) or smoothed > limit:
                diverged = True
                break
    tried, losses, smoothed_losses = np.transpose(records)
    return RangeTest(tried, losses, smoothed_losses, smoothing, diverged, fault)


def _check_model(model) -> None:
    check_compiled(model)
    if len(updating_optimizers(model.optimizer)) != 1 or hasattr(
        model.optimizer, "optimizers"
    ):
        raise invalid_argument(
            "model",
            "a model that is compiled with one optimizer and one learning rate",
            model.optimizer and type(model.optimizer).__name__,
            "Compile the model with a single optimizer for the range test.",
        )
    unbuilt = [one for one in _further_optimizers(model) if not one.built]
    if unbuilt:
        raise invalid_argument(
            "model",
            "further optimizers that are built, so that their state can be restored",
            [one.name for one in unbuilt],
            "Call `optimizer.build(variables)` with the variables that it updates.",
        )
    # `learning_rate` is a variable if the optimizer was created with a float, and a
    # tensor if the optimizer was created with a schedule.
    if not isinstance(getattr(model.optimizer, "learning_rate", None), keras.Variable):
        raise invalid_argument(
            "model",
            "an optimizer compiled with a float as learning rate",
            model.optimizer.name,
            "Compile with a float for the range test, which sets the learning rate "
            "itself. Use the schedule in `fit` only.",
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
    """Yields (x, y, sample_weight) as NumPy arrays, repeating the dataset forever."""
    is_one_batch = isinstance(dataset, tuple) or hasattr(dataset, "shape")
    if is_one_batch or not hasattr(dataset, "__iter__"):
        raise invalid_argument(
            "dataset",
            "an iterable of batches (x, y), such as a tf.data.Dataset or PyDataset",
            dataset,
            "Pass `data.train` of the data that `zoo.datasets.load` returns, or arrays "
            "as `find_learning_rate(model, x, y)`.",
        )
    while True:
        batch = None
        for batch in dataset:
            arrays = keras.utils.unpack_x_y_sample_weight(batch)
            yield tuple(
                None if one is None else keras.tree.map_structure(np.asarray, one)
                for one in arrays
            )
        if batch is None:
            raise invalid_argument(
                "dataset",
                "at least one batch in every iteration",
                dataset,
                "A generator can be read only once, so it must yield `steps` batches.",
            )


def _split(x, y, batch_size: int, number: int) -> list[tuple]:
    """Splits shuffled arrays into at most `number` batches of equal size."""
    arrays = keras.tree.map_structure(np.asarray, (x, y))
    sizes = {len(one) if one.ndim else 0 for one in keras.tree.flatten(arrays)}
    if len(sizes) != 1 or 0 in sizes:
        raise invalid_argument(
            "y",
            "arrays with as many examples as the inputs, at least one",
            f"arrays of {' and '.join(map(str, sorted(sizes)))} examples",
            "If the first argument is a dataset of batches `(x, y)`, pass no `y`.",
        )
    order = np.random.default_rng(0).permutation(sizes.pop())
    parts = np.array_split(order, range(batch_size, len(order), batch_size))
    full = [part for part in parts if len(part) == len(parts[0])]
    return [
        keras.tree.map_structure(operator.itemgetter(part), arrays)
        for part in full[:number]
    ]


def _build(model: keras.Model, x) -> None:
    """Builds the model and the optimizer, so that all variables can be restored."""
    if type(model).call is keras.Model.call:  # only `train_step` calls the layers
        unbuilt = [
            layer.name
            for layer in flatten_layers(model, include_self=False)
            if not layer.built
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
    """Returns the values of the optimizer's scalar variables except the learning rate.

    One of them is the step counter, so the result changes when the optimizer is called.
    """
    rate = id(updating_optimizers(model.optimizer)[0].learning_rate)
    return [
        float(keras.ops.convert_to_numpy(variable))
        for variable in model.optimizer.variables
        if len(variable.shape) == 0 and id(variable) != rate
    ]


def _check_first_step(model: keras.Model, logs: dict, *, is_used: bool) -> None:
    """Raises an error if the step ignores the learning rate or returns no loss."""
    if not is_used:
        raise invalid_argument(
            "model",
            "a training step that updates weights with the compiled optimizer, whose "
            "learning rate the range test sets",
            type(model.optimizer).__name__,
            "The first step has not called this optimizer: no weight is trainable, or "
            "`train_step` uses different optimizers.",
        )
    if "loss" not in logs:
        raise invalid_argument(
            "model",
            'a `train_step` that returns the loss as "loss"',
            sorted(logs),
        )


def _further_optimizers(model: keras.Model) -> list:
    """Returns all optimizers of a model except the one it was compiled with.

    Only attributes of the model and of its layers are searched.
    """
    compiled = [model.optimizer, *updating_optimizers(model.optimizer)]
    found = []
    for layer in flatten_layers(model):
        for value in list(vars(layer).values()):
            values = list(value.values()) if isinstance(value, dict) else value
            values = values if isinstance(values, list | tuple) else [values]
            found += [v for v in values if isinstance(v, keras.optimizers.Optimizer)]
    unique = {id(one): one for one in found}
    return [one for one in unique.values() if all(one is not c for c in compiled)]


@contextlib.contextmanager
def _unchanged(model: keras.Model) -> Iterator[None]:
    """Restores all variables on exit, even after an exception."""
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
        # On JAX, an interrupted step leaves state in the model. The next sync would
        # overwrite the variables with this state. Reading `callback.model` syncs it
        # now.
        callback = keras.callbacks.Callback()
        callback.set_model(model)
        callback.model.reset_metrics()  # includes metrics created by the first step
        for variable, value in before:
            variable.assign(value)
