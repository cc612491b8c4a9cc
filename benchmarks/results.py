"""Where raw results of benchmarks are kept, and on what they were measured."""

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
    """Writes one entry of `results/<benchmark>.json`, beside those of other keys."""
    path = FOLDER / f"{benchmark}.json"
    entries = load(benchmark)
    entries[key] = entry
    with replacing(path) as partial:
        partial.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")


def load(benchmark: str) -> dict:
    """Returns all entries of `results/<benchmark>.json`, none if there is no file."""
    path = FOLDER / f"{benchmark}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def machine() -> dict:
    """Returns what the measurement ran on."""
    return {
        "backend": keras.backend.backend(),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).date().isoformat(),
        "devices": list_devices(),
        "keras": keras.__version__,
        "python": platform.python_version(),
    }
