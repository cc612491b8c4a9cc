"""Finds TFDS datasets by name and prepares them if necessary."""

import contextlib
import difflib
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..backend.framework_internals import checked_downloads
from ..utils.arguments import invalid_argument
from .reachability import SECONDS, check_reachable
from .splits import SHIPPED

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Restores the global random generators, which TFDS uses to prepare a dataset.

    Otherwise, a seed that is set before `load` would result in different weights
    when the dataset has to be prepared first.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@_random_state_kept()
def prepared_builder(name: str, data_dir=None):
    """Returns the builder of a dataset, after preparing the dataset if necessary.

    Args:
        name: A TFDS name, such as "mnist", "wine_quality/white" or "mnist:3.0.1".
        data_dir: Folder of prepared datasets. If the dataset is not prepared there, it
            is downloaded to this folder. Defaults to `None`: the default folder of TFDS
            (`TFDS_DATA_DIR` if set, otherwise `~/tensorflow_datasets`). The argument is
            ignored for datasets that ship with kerascope, which are prepared in
            kerascope's own cache.

    Raises:
        ValueError: If no dataset has this name, config or version.
        RuntimeError: If the dataset is not prepared, and preparing it fails. If a
            server cannot be reached, or sends nothing for 15 seconds in the middle of
            a file, the error is raised within 20 seconds.
        OSError: If a dataset that ships with kerascope cannot be written to the cache.
        ImportError: If TensorFlow or TFDS is not installed.
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
    except (AssertionError, ValueError) as error:  # an unknown config or version
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
        "Dataset '%s' is not prepared in '%s' and is now downloaded to this folder.",
        name,
        builder.data_path,
    )
    try:
        with checked_downloads(check_reachable, timeout=SECONDS):
            builder.download_and_prepare()
    except Exception as error:  # TFDS builders raise many types of errors
        raise RuntimeError(
            f"Dataset '{name}' is neither shipped with kerascope, nor prepared in "
            f"'{builder.data_path}', and downloading it failed.\n"
            f"Received: {type(error).__name__}: {str(error)[:500]}\n"
            "Prepare it on a machine with network access, and point `data_dir=` or "
            "the environment variable TFDS_DATA_DIR to a copy of the folder; pass your "
            "own arrays to `zoo.datasets.from_arrays`; or use a dataset that ships "
            f"with kerascope: {', '.join(SHIPPED)}."
        ) from None
    return builder


def _base(name: str) -> str:
    """Returns the name of a dataset without its config and version."""
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
        f"({', '.join(SHIPPED)}), one of the {len(tfds.list_builders())} that TFDS "
        f"offers, or one prepared in '{folder}'. Received: "
        f"name={name!r}\n{hint}".rstrip()
    )
