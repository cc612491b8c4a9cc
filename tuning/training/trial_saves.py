"""Saves of the training run of an interrupted trial."""

import shutil
from pathlib import Path

from callbacks import ResumeTraining

from ..trials.search_trial import SearchTrial

SAVES = "saves"


class TrialSaves:
    """Saves the training runs of trials at the end of every epoch.

    Every execution of a trial has its own folder. A finished trial has no saves.

    Args:
        folder: Folder of the search.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def wrap(self, callbacks: list, trial: SearchTrial, index: int) -> list:
        """Returns callbacks for `fit` that resume and save an execution of a trial.

        Args:
            callbacks: Callbacks whose state is saved.
            trial: Trial that is trained.
            index: Index of the execution.
        """
        folder = self._folder_of(trial) / f"execution_{index}"
        return [ResumeTraining(folder, callbacks=callbacks, verbose=0)]

    def remove(self, trial: SearchTrial) -> None:
        """Removes the saves of a trial."""
        shutil.rmtree(self._folder_of(trial), ignore_errors=True)

    def _folder_of(self, trial: SearchTrial) -> Path:
        return self.folder / f"trial_{trial.trial_id}" / SAVES
