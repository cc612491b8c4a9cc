"""Rows of results that are kept when a computation is interrupted."""

import json
import time
from pathlib import Path

from ...utils.arguments import invalid_argument
from ...utils.files import replacing

SECONDS = 5.0  # minimum time between two writes


class ResumableRows:
    """Stores rows in a JSON file, together with the settings that they depend on.

    Args:
        path: File, or `None` to keep the rows in memory only.
        settings: Dict of all settings that the rows depend on. Rows in an existing file
            are used only if the settings are equal.

    Attributes:
        values: List of the rows, beginning with those of an earlier run.

    Raises:
        ValueError: If the file has other contents or other settings.
    """

    def __init__(self, path, settings: dict):
        self._path = None if path is None else Path(path)
        self._settings = settings
        self._saved = time.monotonic()
        self.values: list[list] = []
        if self._path is not None and self._path.exists():
            self.values = self._load(self._path)

    def add(self, row: list) -> None:
        """Adds a row, and writes the file if the last write was some time ago."""
        self.values.append(row)
        if time.monotonic() - self._saved > SECONDS:
            self.save()

    def save(self) -> None:
        """Writes the file."""
        if self._path is None:
            return
        content = {"settings": self._settings, "rows": self.values}
        with replacing(self._path) as partial:
            partial.write_text(json.dumps(content))
        self._saved = time.monotonic()

    def _load(self, path: Path) -> list:
        try:
            content = json.loads(path.read_text())
            settings, rows = content["settings"], content["rows"]
        except (ValueError, KeyError, TypeError):
            expected = "a file written by an earlier call, or a new file"
            raise invalid_argument("path", expected, str(path)) from None
        other = sorted(
            key
            for key in self._settings.keys() | settings.keys()
            if self._settings.get(key) != settings.get(key)
        )
        if other:
            raise invalid_argument(
                "path",
                "results of the same model, data and arguments",
                str(path),
                f"Different: {', '.join(other)}. Pass another path, or remove it.",
            )
        return rows
