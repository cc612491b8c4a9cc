"""The devices that Keras computes on."""

import os

from ..backend import accelerators


def list_devices() -> list[str]:
    """Returns the devices that Keras computes on: accelerators, or else the CPU.

    Returns:
        A list of names, such as `["GPU NVIDIA H200"]` or `["CPU (2 cores)"]`.
    """
    return accelerators() or [f"CPU ({os.cpu_count()} cores)"]
