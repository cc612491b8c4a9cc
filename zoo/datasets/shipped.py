"""Preparation of the datasets that ship with kerascope."""

import os
from pathlib import Path

import tensorflow_datasets as tfds

VARIABLE = "KERASCOPE_DATA_DIR"


def cache_folder() -> Path:
    """Returns the folder in which the datasets that ship with kerascope are prepared.

    The environment variable `KERASCOPE_DATA_DIR` sets the folder. If the variable is
    not set, the folder is `kerascope` in the user's cache folder (`XDG_CACHE_HOME` if
    set, otherwise `~/.cache`).
    """
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / (
        "kerascope"
    )


class ShippedBuilder(  # type: ignore[call-arg] # TFDS has no stubs
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Base class for TFDS builders that read their data from installed packages.

    The builders require no network access. They prepare the datasets in kerascope's own
    cache unless `data_dir` is given, so that nothing is written to a shared folder of
    TFDS datasets.
    """

    def __init__(self, *, data_dir=None, **kwargs):
        super().__init__(data_dir=data_dir or cache_folder(), **kwargs)


def prepare_shipped(name: str) -> tfds.core.DatasetBuilder:
    """Prepares a dataset that ships with kerascope, and returns its builder.

    A dataset that is already prepared is not prepared again.

    Several processes may call this function at the same time. Each process prepares the
    dataset in a temporary folder and then renames that folder. The first process to
    finish wins, and the others use its result.

    Args:
        name: Name of a dataset that ships with kerascope, with or without a version.

    Raises:
        OSError: If the cache is not writable.
    """
    folder = cache_folder()
    try:
        builder = tfds.builder(name, data_dir=folder)
        builder.download_and_prepare()
    except OSError as error:
        builder = tfds.builder(name, data_dir=folder)
        if not builder.is_prepared():
            raise OSError(
                f"Cannot prepare dataset '{name}' in '{folder}'. Expected a writable "
                f"folder. Received: {error}\n"
                f"Set {VARIABLE} to a writable folder."
            ) from error
    return builder
