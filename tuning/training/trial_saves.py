"""Saves of the training run of an interrupted trial."""

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from keras_tuner import errors

from callbacks import ResumeTraining
from callbacks.resuming.errors import ResumeError, SaveError

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

    def remove(self, trials: Iterable[SearchTrial]) -> None:
        """Removes the saves of trials."""
        for trial in trials:
            shutil.rmtree(self._folder_of(trial), ignore_errors=True)

    def _folder_of(self, trial: SearchTrial) -> Path:
        return self.folder / f"trial_{trial.trial_id}" / SAVES


@contextlib.contextmanager
def fatal_errors() -> Iterator[None]:
    """Makes errors of saves end the search, because no trial is to blame for them.

    Raises:
        FatalValueError: If a training run cannot be saved or resumed.
    """
    try:
        yield
    except (ResumeError, SaveError) as error:
        raise errors.FatalValueError(str(error)) from error
