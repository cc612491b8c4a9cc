"""Diagnoses a compiled model and its data before training."""

import warnings
from dataclasses import replace

import keras
import numpy as np

from zoo.differentiation import unchanged_state
from zoo.utils.arguments import check_choice, check_integer, invalid_argument

from ..compiled_model import check_compiled
from ..monitors.input_sample import check_shapes
from .data.data_facts import describe_data
from .data.dependence import sees_all
from .data.sample_data import Sample, take_sample
from .facts import Facts
from .overfit_test import overfit_one_batch
from .ranking import judge
from .reading.model_facts import read_model
from .report.report import DiagnosisReport, report_of
from .run.noting_errors import first_line
from .run.pass_facts import PassFacts, run_pass
from .run.trivial import measure_trivial


def diagnose(
    model: keras.Model,
    x,
    y=None,
    sample_weight=None,
    *,
    batch_size: int = 32,
    overfit: bool = False,
) -> DiagnosisReport:
    """Looks for faults of a compiled model and its data, before training.

    The function reads the layers, the loss and the optimizer of the model, describes a
    sample of up to 2,048 examples, and passes up to 256 of them through the model once.
    It compares the sample with trivial and simple predictors. The model, the optimizer
    and all random states stay as they are. A model that is not built yet is built, with
    the weights that `fit` would have created. State of the dataset advances as in
    `fit`: reading a `tf.data.Dataset` of ours advances `data.order.counter`.

    An unknown loss, a custom training step or a layer that cannot be read is not
    judged; the report says so.

    Args:
        model: Compiled model.
        x: Inputs as arrays, or a dataset of batches `(x, y)` or
            `(x, y, sample_weight)`, such as a `tf.data.Dataset`, a `PyDataset` or
            `data.train`.
        y: Targets as arrays. Defaults to `None`: `x` is a dataset, or the model needs
            no targets.
        sample_weight: Weights of the examples. Defaults to `None`.
        batch_size: Batch size that `fit` will use for arrays. Defaults to `32`.
        overfit: Whether to train a copy of the model on one small batch, which it must
            be able to memorize. This takes some seconds. Defaults to `False`.

    Returns:
        A `DiagnosisReport`. Print it, or read its `findings`.

    Raises:
        ValueError: If an argument is invalid: a model that is not compiled or has no
            weights, data without examples or of other shapes than the model takes, or
            no targets although the loss needs them.

    Example:

    >>> layers = [keras.Input((2,)), keras.layers.Dense(1, "softmax", name="output")]
    >>> model = keras.Sequential(layers)
    >>> model.compile("adam", loss="binary_crossentropy")
    >>> x = np.random.default_rng(0).normal(size=(64, 2))
    >>> report = diagnose(model, x, x[:, 0] > 0)
    >>> report.findings[0].cause, report.findings[0].where
    ('wrong_output_activation', "layer 'output'")
    >>> print(report.findings[0].advice[0])
    keras.layers.Dense(1, name='output', activation='sigmoid')
    """
    check_integer("batch_size", batch_size, minimum=1)
    check_choice("overfit", overfit, (True, False))
    check_compiled(model)
    _check_data(x, y, sample_weight)
    sample = take_sample(x, y, sample_weight, batch_size=batch_size)
    _check_targets(model, sample, x, y)
    sample = _numbers_as_floats(sample)
    check_shapes(sample.x, model, "x")
    _build(model, sample)
    read = read_model(model, sample.x, sample.y)
    as_classes = not read.losses[0].is_distance
    facts = Facts(
        model=read,
        data=describe_data(sample, dependence=sees_all(read), as_classes=as_classes),
        start=_first_pass(model, sample),
        trivial=measure_trivial(model, read, sample, sample.batch_size),
    )
    more = overfit_one_batch(model, sample, facts) if overfit else ()
    return report_of(facts, judge(facts, "first_pass", tuple(more)))


def _check_data(x, y, sample_weight) -> None:
    if not _is_data(x):
        raise invalid_argument(
            "x", "arrays, or a dataset of batches `(x, y)`", _described(x)
        )
    for name, part in (("y", y), ("sample_weight", sample_weight)):
        if part is not None and not (_is_data(part) and not _is_iterator(part)):
            raise invalid_argument(
                name,
                "arrays, or None if `x` is a dataset",
                _described(part),
                "Pass a dataset of batches `(x, y)` as `x`.",
            )


def _is_data(part) -> bool:
    """Returns whether an argument may be arrays or a dataset."""
    is_text = isinstance(part, str | bytes)
    is_other = isinstance(part, type | keras.Layer) or np.isscalar(part)
    has_items = hasattr(part, "__iter__") or hasattr(part, "__getitem__")
    is_scalar = getattr(part, "shape", None) == ()
    return has_items and not (is_text or is_other or is_scalar)


def _is_iterator(part) -> bool:
    """Returns whether an argument is a dataset rather than arrays."""
    is_array = hasattr(part, "shape") or hasattr(part, "to_numpy")
    return not is_array and not isinstance(part, dict | list | tuple)


def _described(value):
    """Returns a value, or only its type if it could be long."""
    is_short = value is None or isinstance(value, str | bytes | int | float)
    return value if is_short else type(value).__name__


def _check_targets(model, sample: Sample, x, y) -> None:
    if sample.y is not None or model.loss is None:
        return
    is_dataset = _is_iterator(x)
    raise invalid_argument(
        "x" if is_dataset else "y",
        f"targets, which the loss {model.loss!r} requires",
        "a dataset without targets" if is_dataset else y,
        "Pass `y`, or a dataset of batches `(x, y)`.",
    )


def _build(model: keras.Model, sample: Sample) -> None:
    """Builds a model, if necessary, by a call with two examples."""
    if type(model).call is keras.Model.call:
        raise invalid_argument("model", "a model with a `call` method", model.name)
    if not model.built:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the report says more
            model(
                keras.tree.map_structure(keras.ops.convert_to_tensor, sample.first(2).x)
            )
    if not model.weights:
        raise invalid_argument(
            "model", "a model with weights", model.name, "There is nothing to train."
        )


def _numbers_as_floats(sample: Sample) -> Sample:
    """Converts float64 to the default float type, as `fit` does."""

    def convert(array):
        is_double = isinstance(array, np.ndarray) and array.dtype == "float64"
        return array.astype(keras.config.floatx()) if is_double else array

    def convert_all(part):
        return None if part is None else keras.tree.map_structure(convert, part)

    return replace(
        sample,
        x=convert_all(sample.x),
        y=convert_all(sample.y),
        sample_weight=convert_all(sample.sample_weight),
    )


def _first_pass(model: keras.Model, sample: Sample) -> PassFacts:
    try:
        return run_pass(model, sample)
    except Exception as error:
        _check_inputs(model, sample.first(2).x)
        return PassFacts(loss=None, error=first_line(error))


def _check_inputs(model: keras.Model, x) -> None:
    """Raises an error if the model itself fails, for example because of the shapes."""
    try:
        with unchanged_state():
            model(keras.tree.map_structure(keras.ops.convert_to_tensor, x))
    except Exception as error:
        shapes = keras.tree.map_structure(lambda array: np.shape(array)[1:], x)
        raise invalid_argument(
            "x",
            "inputs that the model takes",
            f"examples of shape {shapes}",
            f"The model raises: {first_line(error)}",
        ) from error
