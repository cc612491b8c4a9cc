"""Reads and writes the raw results of benchmarks, and describes the machine."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import keras

from zoo.utils.devices import list_devices
from zoo.utils.files import replacing

FOLDER = Path(__file__).parent / "results"


def save(benchmark: str, key: str, entry: dict) -> None:
    """Writes one entry to `results/<benchmark>.json`, and keeps the other entries."""
    path = FOLDER / f"{benchmark}.json"
    entries = load(benchmark)
    entries[key] = entry
    with replacing(path) as partial:
        partial.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")


def load(benchmark: str) -> dict:
    """Returns all entries of `results/<benchmark>.json`, or `{}` if it is missing."""
    path = FOLDER / f"{benchmark}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def machine() -> dict:
    """Returns a description of the hardware and software in use, and the date."""
    return {
        "backend": keras.backend.backend(),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).date().isoformat(),
        "devices": list_devices(),
        "keras": keras.__version__,
        "python": platform.python_version(),
    }
