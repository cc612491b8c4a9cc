"""Measures kerascope on a GPU, within a time budget.

    python benchmarks/gpu.py --data gpu_bundle            # about 8 minutes
    python benchmarks/gpu.py --minutes 2 --tiny           # on a CPU: does it still run?

The tasks of `gpu_tasks.py` run in the order of their worth, on JAX and on PyTorch, each
in a process of its own. Every result is written at once. When the time is over, the
tasks that are left are named as skipped. `gpu_bundle.py` collects the data and the
packages that a machine without a network needs.

The results are stored by backend in `results/gpu.json`, or in the file that `--output`
names.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

BACKENDS = ("jax", "torch")


def run_backend(options) -> bool:
    """Runs all tasks on the backend in use. Returns whether none of them failed."""
    import keras
    from gpu_tasks import TASKS, Settings, peak_memory
    from results import machine

    settings = Settings(options.data, options.tiny)
    end = time.monotonic() + 60 * options.minutes
    entry: dict = {"machine": machine(), "tasks": {}, "skipped": [], "failed": {}}
    for task in TASKS:
        name, start = task.__name__, time.monotonic()
        if start > end:
            entry["skipped"].append(name)
            continue
        try:
            result = task(settings)
        except Exception:  # the other tasks are still worth their time
            entry["failed"][name] = traceback.format_exc()
            traceback.print_exc()
        else:
            seconds = round(time.monotonic() - start, 1)
            entry["tasks"][name] = {**result, "peak_bytes": peak_memory()}
            print(f"{options.backend}: {name}, {seconds} s: {result}", flush=True)
        write(options.output, options.backend, entry)
        keras.utils.clear_session()
    write(options.output, options.backend, entry)
    return not entry["failed"]


def write(path: Path, key: str, entry: dict) -> None:
    """Writes one entry of the results, and keeps the others."""
    from zoo.utils.files import replacing

    entries = json.loads(path.read_text()) if path.exists() else {}
    entries[key] = entry
    with replacing(path) as partial:
        partial.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=8, help="of both backends")
    results = Path(__file__).parent / "results" / "gpu.json"
    parser.add_argument("--output", type=Path, default=results)
    parser.add_argument("--data", type=Path, help="folder with mnist.npz")
    parser.add_argument("--tiny", action="store_true", help="as little as possible")
    parser.add_argument("--backend", choices=BACKENDS, help="one backend, not both")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.backend:
        raise SystemExit(0 if run_backend(options) else 1)
    codes = []
    for backend in BACKENDS:
        command = [sys.executable, __file__, "--backend", backend]
        command += ["--minutes", str(options.minutes / len(BACKENDS))]
        command += ["--output", str(options.output)]
        command += ["--data", str(options.data)] if options.data else []
        command += ["--tiny"] if options.tiny else []
        # JAX would otherwise take most of the memory, and report that as its peak.
        memory = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        environment = os.environ | memory | {"KERAS_BACKEND": backend}
        codes.append(subprocess.run(command, check=False, env=environment).returncode)
    raise SystemExit(max(codes))


if __name__ == "__main__":
    main()
