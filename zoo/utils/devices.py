"""What this machine computes on."""

import os

import keras


def list_devices() -> list[str]:
    """Returns the devices that Keras computes on: the GPUs, else the CPU.

    Returns:
        A list of readable names, as `["GPU NVIDIA H200"]` or `["CPU (2 cores)"]`.
    """
    gpus = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return gpus[keras.backend.backend()]() or [f"CPU ({os.cpu_count()} cores)"]


def _tensorflow() -> list[str]:
    import tensorflow as tf

    return [
        f"GPU {tf.config.experimental.get_device_details(gpu).get('device_name', '')}"
        for gpu in tf.config.list_physical_devices("GPU")
    ]


def _jax() -> list[str]:
    import jax

    return [
        f"{device.platform.upper()} {device.device_kind}"
        for device in jax.devices()
        if device.platform != "cpu"
    ]


def _torch() -> list[str]:
    import torch

    device = keras.ops.zeros(()).device  # where Keras puts what it computes
    if device.type == "cuda":
        return [f"GPU {torch.cuda.get_device_name(device)}"]
    return [] if device.type == "cpu" else [device.type.upper()]
