"""The search that is sent to workers, and errors for what cannot be sent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras_tuner import errors

from zoo.utils.arguments import describe, invalid_argument

from ..training.fit_data import DATA, named_arguments
from ..training.folds import Folds
from .parcel import UnsentDataset, packed

# Attributes of a search that workers replace with their own.
NOT_SENT = ("oracle", "_garbage", "_checkpoints", "_runner", "_budget")


@dataclass(frozen=True)
class SentSearch:
    """Everything that a worker needs in addition to the trial.

    Attributes:
        cls: Class of the search.
        attributes: Dict of the attributes of the search.
        args: Positional arguments of `fit`.
        kwargs: Keyword arguments of `fit`.
        folds: Folds of the training data, or `None`.
        verbose: As in `RandomSearch.search`.
        folder: Absolute path of the folder of the search.
        dtype_policy: Name or object of Keras' global dtype policy.
        floatx: Keras' default float type.
        image_data_format: Keras' default image data format.
    """

    cls: type
    attributes: dict[str, Any]
    args: tuple
    kwargs: dict[str, Any]
    folds: Folds | None
    verbose: int
    folder: Path
    dtype_policy: Any
    floatx: str
    image_data_format: str


def pack_search(
    search, args: tuple, kwargs: dict, folds: Folds | None, verbose: int
) -> bytes:
    """Pickles a search, its data and the settings of Keras.

    Raises:
        ValueError: If an argument of `search`, a callback or the hypermodel cannot be
            pickled. The error names it.
    """
    attributes = {k: v for k, v in vars(search).items() if k not in NOT_SENT}
    if folds is not None:  # they contain the data
        args = ()
        kwargs = {k: v for k, v in kwargs.items() if k not in DATA}
    policy = keras.config.dtype_policy()
    sent = SentSearch(
        type(search),
        attributes,
        args,
        kwargs,
        folds,
        verbose,
        Path(search.project_dir).absolute(),
        keras.dtype_policies.serialize(policy),
        keras.config.floatx(),
        keras.config.image_data_format(),
    )
    try:
        return packed(sent)
    except Exception as error:  # any object may raise any exception
        raise _named_error(sent, error) from error


def apply_keras_settings(sent: SentSearch) -> None:
    """Gives this process the settings of Keras that the driver has."""
    keras.config.set_floatx(sent.floatx)
    keras.config.set_image_data_format(sent.image_data_format)
    policy = keras.dtype_policies.deserialize(sent.dtype_policy)
    keras.config.set_dtype_policy(policy)


def _named_error(sent: SentSearch, error: Exception) -> Exception:
    """Returns an error that names the first part that cannot be pickled."""
    for name, value in _parts(sent):
        try:
            packed(value)
        except UnsentDataset:
            return _dataset_error(name, value)
        except Exception as reason:
            return invalid_argument(
                name,
                "an object that can be pickled, because `workers` or `executor` sends "
                "it to other processes",
                value,
                f"{type(reason).__name__}: {reason}",
            )
    return errors.FatalValueError(f"The search cannot be pickled: {error}")


def _parts(sent: SentSearch):
    kwargs = dict(sent.kwargs)
    for index, callback in enumerate(kwargs.pop("callbacks", None) or []):
        yield f"callbacks[{index}]", callback
    yield from named_arguments(sent.args, kwargs).items()
    yield from sent.attributes.items()
    yield type(sent).__name__, sent.cls


def _dataset_error(name: str, value) -> ValueError:
    if name == "hypermodel":
        return invalid_argument(
            name,
            "a hypermodel without a `tf.data.Dataset`, which cannot be sent to other "
            "processes",
            value,
            "Make the dataset inside `build` or `fit`.",
        )
    return ValueError(
        f"Invalid value for argument `{name}`. Expected arrays, a "
        "`keras.utils.PyDataset`, a dataset of `zoo.datasets`, or a function that "
        "makes the dataset, because a `tf.data.Dataset` cannot be sent to other "
        f"processes. Received: {name}={describe(value)}\nPass a function without "
        f"arguments, and call `search` with `{_line(name)}`, "
        "where `def make_dataset(): return tf.data.Dataset...`."
    )


def _line(name: str) -> str:
    return "make_dataset" if name == "x" else f"{name}=make_dataset"
