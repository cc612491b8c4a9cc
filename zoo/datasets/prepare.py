"""Finds a TFDS dataset by name, and prepares it where it is not yet."""

import difflib
import logging
import os
from pathlib import Path

from ..utils.arguments import invalid_argument

logger = logging.getLogger(__name__)

SHIPPED = ("digits", "diabetes")


def prepared_builder(name: str, data_dir=None):
    """Returns the builder of a dataset, prepared.

    Args:
        name: A TFDS name: "mnist", "wine_quality/white", "mnist:3.0.1".
        data_dir: Folder of prepared datasets, to which others are downloaded.
            Defaults to `None`: that of TFDS (`TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`). Datasets that ship with the project are
            prepared in the project's own cache whatever it says.

    Raises:
        ValueError: If no dataset is called so.
        RuntimeError: If it is not prepared, and preparing it fails.
        OSError: If a shipped dataset cannot be written to the cache.
        ImportError: If TensorFlow or TFDS are not installed.
    """
    try:
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds

        from .shipped import prepare_shipped
    except ModuleNotFoundError as error:
        raise ImportError(
            "`datasets.load` reads TFDS datasets. Expected tensorflow and "
            f"tensorflow-datasets to be installed. Received: {error}\n"
            "Install them, or pass arrays to `datasets.from_arrays`, which needs "
            "neither."
        ) from error

    try:
        if _base(name) in SHIPPED:
            return prepare_shipped(name)
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise _unknown(name, data_dir) from None
    except (AssertionError, ValueError) as error:  # a config or version it has not
        first_line = (str(error).splitlines() or [""])[0]
        raise invalid_argument(
            "name",
            "a dataset, with a config and version that it has",
            name,
            f"TFDS says: {first_line}",
        ) from None
    if builder.is_prepared():
        return builder

    logger.warning(
        "Dataset '%s' is not prepared in '%s': downloading it there now.",
        name,
        builder.data_path,
    )
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever one of TFDS' hundreds of builders raises
        raise RuntimeError(
            f"Dataset '{name}' is neither shipped with kerascope, nor prepared in "
            f"'{builder.data_path}', and downloading it failed.\n"
            f"Received: {type(error).__name__}: {str(error)[:500]}\n"
            "Prepare it where there is a network, and point `data_dir=` or the "
            "variable TFDS_DATA_DIR to that folder; pass your own arrays to "
            "`zoo.datasets.from_arrays`; or take a shipped dataset: "
            f"{', '.join(SHIPPED)}."
        ) from None
    return builder


def _base(name: str) -> str:
    """The name without config and version."""
    return name.split("/")[0].split(":")[0]


def _unknown(name: str, data_dir) -> ValueError:
    import tensorflow_datasets as tfds

    folder = Path(
        data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    ).expanduser()
    prepared = [path.name for path in folder.glob("*") if path.is_dir()]
    known = {*SHIPPED, *prepared, *tfds.list_builders()}
    matches = difflib.get_close_matches(_base(name), sorted(known), n=3)
    hint = f"Did you mean {' or '.join(map(repr, matches))}?" if matches else ""
    return ValueError(
        f"Unknown dataset '{name}'. Expected one that ships with kerascope "
        f"({', '.join(SHIPPED)}), one of the {len(tfds.list_builders())} of TFDS, or "
        f"one prepared in '{folder}'. Received: name={name!r}\n{hint}".rstrip()
    )
