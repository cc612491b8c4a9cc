"""Rows of results that survive an interruption."""

import json
import time
from pathlib import Path

from ...arguments import invalid_argument
from ...files import replacing

SECONDS = 5.0  # between two writes


class ResumableRows:
    """Rows that are kept in a JSON file, with the settings that they depend on.

    Args:
        path: File, or `None` to keep nothing.
        settings: What the rows depend on: they are read only if it is the same.

    Attributes:
        values: The rows, those of an earlier run first.

    Raises:
        ValueError: If the file holds something else.
    """

    def __init__(self, path, settings: dict):
        self._path = None if path is None else Path(path)
        self._settings = settings
        self._saved = time.monotonic()
        self.values = []
        if self._path is not None and self._path.exists():
            self.values = self._load()

    def add(self, row: list) -> None:
        self.values.append(row)
        if time.monotonic() - self._saved > SECONDS:
            self.save()

    def save(self) -> None:
        if self._path is None:
            return
        content = {"settings": self._settings, "rows": self.values}
        with replacing(self._path) as partial:
            partial.write_text(json.dumps(content))
        self._saved = time.monotonic()

    def _load(self) -> list:
        try:
            content = json.loads(self._path.read_text())
            settings, rows = content["settings"], content["rows"]
        except (ValueError, KeyError, TypeError):
            expected = "a file that an earlier call has written, or none yet"
            raise invalid_argument("path", expected, str(self._path)) from None
        other = sorted(
            key
            for key in self._settings.keys() | settings.keys()
            if self._settings.get(key) != settings.get(key)
        )
        if other:
            raise invalid_argument(
                "path",
                "results of the same model, data and arguments",
                str(self._path),
                f"Different: {', '.join(other)}. Pass another path, or remove it.",
            )
        return rows
