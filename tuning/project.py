"""Folder of a search, with its lock and its settings."""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from zoo.utils.files import replacing, writable_folder
from zoo.utils.folder_lock import FolderLock

EXCHANGE = "workers-"  # beginning of the names of folders for the files of workers


class Project:
    """Manages the folder of a search.

    The settings and one file per trial contain the complete state of the search.
    Everything else is computed from them. Each file is written atomically, so a killed
    process never leaves inconsistent files behind.

    Args:
        folder: Path of the folder, `directory/project_name`.
    """

    def __init__(self, folder: Path):
        self.folder = writable_folder(folder)
        self.settings_path = self.folder / "search.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder, so that no other search can use it at the same time.

        Raises:
            RuntimeError: If another search is using the folder.
        """
        lock = FolderLock(self.folder)
        if not lock.acquire():
            raise RuntimeError(
                f"Another search is running in '{self.folder}'. Expected only one "
                "search per folder at a time.\nWait for it to end, or pass a "
                "different `project_name`."
            )
        try:
            yield
        finally:
            lock.release()

    def seed(self, overwrite: bool) -> int:
        """Returns the seed of the existing search, or a random seed for a new one."""
        if overwrite or not self.settings_path.exists():
            return secrets.randbelow(2**31)
        return self.read()["settings"]["seed"]

    def open(self, settings: dict, overwrite: bool) -> None:
        """Starts a new search, or checks that an existing one has the same settings.

        Args:
            settings: Settings that identify the search.
            overwrite: Whether to remove an existing search.

        Raises:
            ValueError: If the existing search has different settings, or was written by
                one of KerasTuner's own tuners.
            RuntimeError: If a new search is to be started in a folder that another
                search is using.
        """
        if (self.folder / "oracle.json").exists():
            raise ValueError(
                f"'{self.folder}' was written by one of KerasTuner's own tuners, which "
                "do not record all required data.\nPass a different `project_name`."
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

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Writes a CSV file for users. The search itself never reads it."""
        with replacing(self.folder / f"{name}.csv") as partial:
            table.to_csv(partial, index=False)

    def check_fit(self, settings: dict, has_trained: bool) -> None:
        """Records the `fit` arguments, or checks that they match the recorded ones.

        Args:
            settings: Arguments of `fit` that must not change when the search continues
                (see `fit_settings`).
            has_trained: Whether any trial has been trained. Until then, the arguments
                may change.

        Raises:
            ValueError: If earlier trials were trained with different arguments.
        """
        contents = self.read()
        if "fit" not in contents or not has_trained:
            self.write({**contents, "fit": settings})
        else:
            self.check_same({"fit": contents["fit"]}, {"fit": settings})

    def check_same(self, there: dict, here: dict) -> None:
        """Raises an error if the settings differ. The error lists all differences.

        Args:
            there: Settings of the existing search.
            here: Current settings.

        Raises:
            ValueError: If the settings differ.
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
                f"The search in '{self.folder}' was started with different settings:\n"
                f"{listed}\nPass the same settings to continue it, a different "
                "`project_name` to start a new one, or `overwrite=True` to remove it."
            )

    def remove_partial_files(self) -> None:
        """Removes what killed processes have left behind.

        These are partially written files and the files that workers exchange.
        """
        for path in self.folder.glob(f"{EXCHANGE}*"):
            shutil.rmtree(path, ignore_errors=True)
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name.startswith(".") and "-" in name:
                    os.unlink(os.path.join(folder, name))

    def _clear(self) -> None:
        # Remove the settings first. If the process is killed after that, the next call
        # finds no settings and removes the rest.
        self.settings_path.unlink(missing_ok=True)
        for path in self.folder.glob("trial_*"):
            shutil.rmtree(path)
        for path in self.folder.glob("round_*.json"):
            path.unlink()
        for name in ("results.csv", "history.csv"):
            (self.folder / name).unlink(missing_ok=True)


def _flat(settings: dict, prefix: str = "") -> dict:
    """Flattens nested settings into one dict with dotted names."""
    flat = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
