"""Saved weights of the best trials."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
from keras_tuner import errors

from zoo.utils.files import replacing
from zoo.utils.model_state import check_can_be_saved

from ..trials.search_trial import SearchTrial

WEIGHTS, BUILD_CONFIG = "checkpoint.weights.h5", "build_config.json"


class Checkpoints:
    """Saves the weights of the best trials in the folders of these trials.

    Args:
        folder: Folder of the search.
        number: Number of best trials whose weights are kept.
    """

    def __init__(self, folder: Path, number: int):
        self.folder = folder
        self.number = number
        self._kept: set[str] = set()

    def look(self) -> None:
        """Finds all saved weights, including those left behind by a killed search."""
        self._kept = {
            entry.name
            for entry in os.scandir(self.folder)
            if entry.name.startswith("trial_")
            and (self.folder / entry.name / WEIGHTS).exists()
        }

    def save(self, trial: SearchTrial, model: keras.Model) -> None:
        """Saves the weights and the build config of a model.

        Raises:
            FatalValueError: If the model cannot be saved, or if the file would not
                restore the same model. For example, LoRA adapters on quantized layers
                are not restored exactly, because Keras rounds the merged weights.
        """
        try:
            check_can_be_saved(model, "checkpoints")
        except ValueError as error:
            raise errors.FatalValueError(
                f"{error}\nPass `checkpoints=0` to search without saving weights."
            ) from None
        folder = self._folder_of(trial)
        folder.mkdir(exist_ok=True)
        with replacing(folder / BUILD_CONFIG) as partial:
            partial.write_text(json.dumps(model.get_build_config()))
        self._kept.add(folder.name)
        with replacing(folder / WEIGHTS) as partial:
            model.save_weights(partial)

    def read(self, trial: SearchTrial) -> dict[str, bytes]:
        """Returns the contents of the saved files of a trial by name.

        The dict is empty if no weights were saved.
        """
        folder = self._folder_of(trial)
        names = (BUILD_CONFIG, WEIGHTS) if (folder / WEIGHTS).exists() else ()
        return {name: (folder / name).read_bytes() for name in names}

    def write(self, trial: SearchTrial, contents: dict[str, bytes]) -> None:
        """Writes a result of `read()`, which may come from another process."""
        folder = self._folder_of(trial)
        for name, each in contents.items():
            self._kept.add(folder.name)
            with replacing(folder / name) as partial:
                partial.write_bytes(each)

    def load(self, trial: SearchTrial, build: Callable) -> keras.Model:
        """Builds the model of a trial and loads its weights.

        Args:
            trial: Trial whose weights were kept.
            build: Function that builds a model from hyperparameters.

        Returns:
            The model with the saved weights.

        Raises:
            ValueError: If the weights were not kept.
        """
        folder = self._folder_of(trial)
        if not (folder / WEIGHTS).exists():
            raise ValueError(
                f"The weights of trial {trial.number} were not kept. Expected one of "
                f"the {self.number} best trials.\nPass `checkpoints` to keep more."
            )
        model = build(trial.hyperparameters)
        if not model.built:
            config = json.loads((folder / BUILD_CONFIG).read_text())
            model.build_from_config(config)
        model.load_weights(folder / WEIGHTS, objects_to_skip=[model.optimizer])
        return model

    def keep_only(self, trials: Iterable[SearchTrial]) -> None:
        """Deletes all saved weights except those of the given trials."""
        best = {self._folder_of(trial).name for trial in trials}
        for name in self._kept - best:
            (self.folder / name / WEIGHTS).unlink(missing_ok=True)
        self._kept &= best

    def _folder_of(self, trial: SearchTrial) -> Path:
        return self.folder / f"trial_{trial.trial_id}"
