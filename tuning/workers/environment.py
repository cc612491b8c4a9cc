"""Environment variables of workers: threads, GPUs and backend."""

import math
import os
import shutil
import subprocess

import keras

from zoo.utils.arguments import invalid_argument

# NumPy, PyTorch, TensorFlow and JAX read these when they are imported.
THREADS = (
    *("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    "PJRT_NPROC",
)


def available_cores() -> tuple[int, ...]:
    """Returns the indices of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def visible_gpus() -> list[str]:
    """Returns the names of the GPUs that this process may use.

    No backend is asked, because that could reserve memory of the GPUs. If
    `CUDA_VISIBLE_DEVICES` is not set, `nvidia-smi` lists the GPUs.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return [name for name in names if name and name != "-1"]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.split() if listed.returncode == 0 else []


def max_workers(gpus: list[str], gpus_per_trial: float) -> int:
    """Returns how many workers can run at the same time with their own share of GPUs.

    Example:

    >>> from tuning.workers.environment import max_workers
    >>> max_workers(["0", "1", "2"], 1), max_workers(["0", "1"], 0.5)
    (3, 4)
    """
    if gpus_per_trial >= 1:
        return int(len(gpus) // gpus_per_trial)
    return len(gpus) * math.floor(1 / gpus_per_trial + 1e-9)


def gpus_of_worker(gpus: list[str], gpus_per_trial: float, index: int) -> list[str]:
    """Returns the GPUs of one worker.

    Args:
        gpus: Names of all GPUs.
        gpus_per_trial: Number of GPUs per worker: an integer, or a fraction below 1.
        index: Index of the worker, counted from 0.

    Example:

    >>> from tuning.workers.environment import gpus_of_worker
    >>> [gpus_of_worker(["0", "1"], 0.5, index) for index in range(4)]
    [['0'], ['0'], ['1'], ['1']]
    >>> gpus_of_worker(["0", "1", "2", "3"], 2, 1)
    ['2', '3']
    """
    if gpus_per_trial < 1:
        return [gpus[index // math.floor(1 / gpus_per_trial + 1e-9)]]
    size = int(gpus_per_trial)
    return gpus[index * size : (index + 1) * size]


def check_gpus_per_trial(value) -> None:
    """Raises an error unless `value` is an integer >= 0 or a fraction below 1."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (0 <= value < 1 or float(value).is_integer()) or value < 0:
        expected = "an integer >= 0, or a fraction between 0 and 1"
        raise invalid_argument("gpus_per_trial", expected, value)


def environment(threads: int, gpus: list[str] | None) -> dict[str, str]:
    """Returns the environment variables of a worker.

    Variables that limit threads, and that the user has set, are kept.

    Args:
        threads: Number of threads that the worker may use for computing.
        gpus: Names of the GPUs that the worker may use; `None` to leave the choice to
            the environment of the parent.
    """
    variables = {
        "KERAS_BACKEND": keras.config.backend(),
        # A worker that imports a backend grows by more than loky's limit.
        "LOKY_MAX_MEMORY_LEAK_SIZE": str(2**62),
    }
    for name in THREADS:
        variables[name] = os.environ.get(name, str(threads))
    if gpus is not None:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus) or "-1"
        if "CUDA_VISIBLE_DEVICES" not in os.environ:  # the numbers of `nvidia-smi`
            variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        # Two workers may share a GPU, and the driver may use some of its memory.
        variables["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    return variables
