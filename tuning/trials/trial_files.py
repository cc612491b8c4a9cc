"""Files that store the trials of a search, one per trial."""

import os
from pathlib import Path

from .search_trial import SearchTrial

TRIAL = "trial.json"


class TrialFiles:
    """Reads and writes the trials in the folder of a search.

    Args:
        folder: Folder of the search.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._read: dict[str, tuple] = {}

    def write(self, trial: SearchTrial) -> None:
        """Atomically writes a trial to its folder."""
        folder = self.folder / f"trial_{trial.trial_id}"
        folder.mkdir(exist_ok=True)
        trial.save(folder / TRIAL)

    def names(self) -> list[str]:
        """Returns the folder names of the trials, ordered by trial number."""
        names = (name.removeprefix("trial_") for name in os.listdir(self.folder))
        numbers = sorted((name for name in names if name.isdigit()), key=int)
        return [f"trial_{number}" for number in numbers]

    def read(self) -> list[SearchTrial]:
        """Returns all trials, ordered by number.

        Unchanged files of finished trials are not read again.
        """
        read = {}
        for name in self.names():
            path = os.path.join(self.folder, name, TRIAL)
            try:
                stat = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue  # the process was killed before it wrote the file
            # These attributes identify a version of the file, because files are
            # replaced as a whole and never modified in place.
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            known, trial = self._read.get(name, (None, None))
            if known != version or not trial.is_finished:
                trial = SearchTrial.load(path)
            read[name] = version, trial
        self._read = read
        return [trial for _, trial in read.values()]
