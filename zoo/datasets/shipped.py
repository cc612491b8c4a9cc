"""Where the datasets that ship with the project are prepared."""

import os
from pathlib import Path

import tensorflow_datasets as tfds

VARIABLE = "KERASCOPE_DATA_DIR"


def cache_folder() -> Path:
    """Returns the folder of the prepared datasets that ship with the project.

    It is `KERASCOPE_DATA_DIR` where that is set, else `kerascope` in the user's
    cache folder (`XDG_CACHE_HOME`, or `~/.cache`).
    """
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / (
        "kerascope"
    )


class ShippedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A TFDS builder whose data come with installed packages, without a network.

    It prepares into the project's own cache, so that a shared folder of datasets is
    never written to, unless `data_dir` names another folder.
    """

    def __init__(self, *, data_dir=None, **kwargs):
        super().__init__(data_dir=data_dir or cache_folder(), **kwargs)


def prepare_shipped(name: str) -> tfds.core.DatasetBuilder:
    """Returns the prepared builder of a dataset that ships with the project.

    Several processes may do so at once: each prepares in a folder of its own, and
    renames it; the first one wins, and the others use what it made.

    Args:
        name: Name of a shipped dataset, with or without a version.

    Raises:
        OSError: If the cache cannot be written.
    """
    folder = cache_folder()
    try:
        builder = tfds.builder(name, data_dir=folder)
        builder.download_and_prepare()
    except OSError as error:
        builder = tfds.builder(name, data_dir=folder)
        if not builder.is_prepared():
            raise OSError(
                f"Cannot prepare dataset '{name}' in '{folder}'. Expected a folder "
                f"that can be written. Received: {error}\n"
                f"Set {VARIABLE} to a folder that can."
            ) from error
    return builder
