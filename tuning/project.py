"""The folder of a search: who may write to it, and what it was begun with."""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.utils.files import replacing, writable_folder

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None
    import msvcrt


class Project:
    """The folder of a search.

    A file for each trial, written at once, is all the state there is; everything else
    is computed from these. So there is no moment at which a kill could leave two
    files that contradict each other.

    Args:
        folder: The folder, `directory/project_name`.
    """

    def __init__(self, folder: Path):
        self.folder = writable_folder(folder)
        self.settings_path = self.folder / "search.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other search out.

        The system holds the lock, and releases it when the process ends, however it
        ends: nothing is left to be removed by hand.

        Raises:
            RuntimeError: If another search is in the folder.
        """
        with open(self.folder / "lock", "ab") as file:
            try:
                if fcntl is None:
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                else:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RuntimeError(
                    f"Another search is running in '{self.folder}'. Expected one "
                    "search in a folder at a time.\nWait for it, or pass another "
                    "`project_name`."
                ) from None
            yield  # closing the file releases the lock

    def seed(self, overwrite: bool) -> int:
        """Returns the seed that the search was begun with, else a random one."""
        if overwrite or not self.settings_path.exists():
            return secrets.randbelow(2**31)
        return self.read()["settings"]["seed"]

    def open(self, settings: dict, overwrite: bool) -> None:
        """Begins the search, or finds that it was begun alike.

        Args:
            settings: What makes a search the one that it is.
            overwrite: Whether to remove what is there.

        Raises:
            ValueError: If they differ from those that the search was begun with.
        """
        if (self.folder / "oracle.json").exists():
            raise ValueError(
                f"'{self.folder}' is a project of KerasTuner's own tuners, whose "
                "trials lack what is needed here.\nPass another `project_name`."
            )
        if overwrite or not self.settings_path.exists():
            with self.locked():
                self._clear()
                self.write({"settings": settings})
        self.check_same(self.read()["settings"], settings)

    def read(self) -> dict:
        return json.loads(self.settings_path.read_text())

    def write(self, contents: dict) -> None:
        with replacing(self.settings_path) as partial:
            partial.write_text(json.dumps(contents, indent=1))

    def check_same(self, there: dict, here: dict) -> None:
        """Raises if settings differ, and names those that do.

        Args:
            there: Settings that the search was begun with.
            here: Settings now.
        """
        there, here = (_flat(json.loads(json.dumps(each))) for each in (there, here))
        missing = "nothing"
        differences = [
            f"  {name}: {there.get(name, missing)!r} there, "
            f"{here.get(name, missing)!r} here"
            for name in {**there, **here}
            if there.get(name, missing) != here.get(name, missing)
        ]
        if differences:
            listed = "\n".join(differences)
            raise ValueError(
                f"The search in '{self.folder}' was begun with other settings:\n"
                f"{listed}\nPass the same settings to go on with it, another "
                "`project_name` to begin a new one, or `overwrite=True` to remove it."
            )

    def remove_partial_files(self) -> None:
        """Removes what a killed process was about to write."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name.startswith(".") and "-" in name:
                    os.unlink(os.path.join(folder, name))

    def _clear(self) -> None:
        # The settings first: what is left without them is removed the next time.
        self.settings_path.unlink(missing_ok=True)
        for path in self.folder.glob("trial_*"):
            shutil.rmtree(path)
        for path in self.folder.glob("round_*.json"):
            path.unlink()
        for name in ("results.csv", "history.csv"):
            (self.folder / name).unlink(missing_ok=True)


def _flat(settings: dict, prefix: str = "") -> dict:
    """Nested settings under dotted names."""
    flat = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
