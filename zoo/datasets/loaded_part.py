"""Parts of a dataset that `load` has returned, identified by the call of `load`."""

from dataclasses import dataclass
from typing import Any

from .data import Data

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class LoadedPart:
    """Identifies a part of a dataset, so that another process can load it again.

    A `tf.data.Dataset` cannot be pickled, but the call that made it can.

    Attributes:
        arguments: Arguments of `load`, as pairs of a name and a value.
        name: "data" for the `Data` itself, or the name of one of its attributes:
            "train", "validation", "test" or "order".
    """

    arguments: tuple[tuple[str, Any], ...]
    name: str


def remember_call(data: Data, arguments: dict) -> Data:
    """Attaches the arguments of `load` to a dataset and to its parts.

    Args:
        data: Dataset that `load` returns.
        arguments: Arguments of `load`, by name. All values must be hashable.

    Returns:
        `data`.
    """
    parts = {"data": data, "order": data.order}
    parts |= {name: getattr(data, name) for name in SPLITS}
    for name, part in parts.items():
        if part is not None:
            call = tuple(arguments.items())
            vars(part)["_kerascope_loaded"] = LoadedPart(call, name)
    return data


def loaded_part(value) -> LoadedPart | None:
    """Returns which part of a loaded dataset a value is.

    For all other values, including datasets that are derived from a loaded one, the
    result is `None`.
    """
    return getattr(value, "_kerascope_loaded", None)
