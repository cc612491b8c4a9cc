"""The devices that Keras uses."""

import os

from ..backend import accelerators


def list_devices() -> list[str]:
    """Returns the devices that Keras uses: accelerators, or the CPU if there are none.

    Returns:
        A list of names, such as `["GPU NVIDIA H200"]` or `["CPU (2 cores)"]`.
    """
    return accelerators() or [f"CPU ({os.cpu_count()} cores)"]
