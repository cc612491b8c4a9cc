"""Finds the save at which a training run is resumed."""

import warnings

from .errors import ResumeError
from .position import Position
from .save_file import Save, SaveFolder
from .settings import check_same, versions


def find_save(
    folder: SaveFolder, settings: dict, epochs: int, *, averages_weights: bool
) -> Save | None:
    """Returns the save at which to resume, or `None` to start from the beginning.

    Args:
        folder: Folder of the saves.
        settings: Current settings.
        epochs: Number of epochs to train.
        averages_weights: Whether the optimizer replaces the weights by averages at the
            end of training (`use_ema`).

    Warns if the versions of Keras or its backend differ.

    Raises:
        ResumeError: If the settings differ from those of the save, or if training has
            ended and cannot be extended.
    """
    save = folder.read_latest()
    if save is None:
        return None
    there = save.header["epochs"]
    check_same(
        {"epochs": there, **save.header["settings"]},
        {"epochs": min(epochs, there), **settings},
        folder.path,
    )
    _check_versions(save)
    position = Position(**save.header["position"])
    # At the end of `fit`, Keras replaces the weights by averages before `on_train_end`.
    has_changed = position.epoch >= there if averages_weights else position.is_finished
    if not has_changed or position.is_stopped or epochs == there:
        return save
    reason = "its weights are now averages (`use_ema`)"
    if not averages_weights:
        # The last save is that of the end, where callbacks may have changed weights.
        previous = folder.read_previous(save)
        if previous is not None:
            return previous
        reason = "the save before its end is missing"
    raise ResumeError(
        f"The training run in '{folder.path}' has ended after {there} epochs, and "
        f"cannot be extended, because {reason}. Expected epochs={there}. Received: "
        f"epochs={epochs}\nPass a different `directory` to start a new one, or "
        "`overwrite=True` to remove it."
    )


def _check_versions(save: Save) -> None:
    there, here = save.header["versions"], versions()
    if there != here:
        warnings.warn(
            f"The training run was saved with {_listed(there)}, and is resumed with "
            f"{_listed(here)}. The results may differ from those of an uninterrupted "
            "training run.",
            stacklevel=2,
        )


def _listed(versions: dict) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
