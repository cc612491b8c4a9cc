"""Loads models from files or a folder; model instances are passed through."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras

from .arguments import invalid_argument

Models = Sequence[keras.Model | str | os.PathLike] | str | os.PathLike


def load_models(models: Models) -> Iterator[keras.Model]:
    """Yields models one by one, loading those that are given as paths.

    Args:
        models: Sequence of models, paths of `.keras` files, or both. Alternatively, the
            path of a folder; all `.keras` files in this folder are loaded, sorted by
            name.

    Raises:
        ValueError: If there are no models, or a file cannot be loaded.
    """
    expected = "models or paths of `.keras` files, at least one"
    received = models
    if isinstance(models, str | os.PathLike):
        models = sorted(Path(models).glob("*.keras"))
        expected = "a folder of `.keras` files, or a list of models or paths"
    valid = isinstance(models, Sequence) and all(
        isinstance(item, keras.Model | str | os.PathLike) for item in models
    )
    if not valid or not models:
        raise invalid_argument("models", expected, received)
    for item in models:
        yield item if isinstance(item, keras.Model) else _load(item)


def _load(path: str | os.PathLike) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"Cannot load a model. Expected the path of a `.keras` file. Received: "
            f"'{path}'\n{error}"
        ) from error
