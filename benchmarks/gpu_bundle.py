"""Collects what `gpu.py` needs on a machine without a network.

    python benchmarks/gpu_bundle.py
    # copy the folder `gpu_bundle` to the machine, and run there:
    pip install --no-index --no-deps gpu_bundle/wheels/*.whl
    python benchmarks/gpu.py --data gpu_bundle

The folder contains MNIST as `mnist.npz`, and wheels of the packages that a machine with
JAX and PyTorch may lack. TensorFlow is not needed. The folder takes about 13 MB.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from zoo import datasets
from zoo.utils.files import replacing

WHEELS = ("keras", "keras-tuner", "kt-legacy", "namex", "optree", "torchattacks")


def save_mnist(path: Path) -> None:
    """Writes the pixels of MNIST as bytes, in the format of `datasets.from_arrays`."""
    data = datasets.load("mnist", validation=0.0)
    arrays = {}
    for name, part in (("train", data.train), ("test", data.test)):
        x, y = (np.concatenate(arrays) for arrays in zip(*part, strict=True))
        arrays[f"x_{name}"] = np.uint8(np.rint(255 * x))
        arrays[f"y_{name}"] = np.uint8(y)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def download_wheels(folder: Path, python: str) -> None:
    """Downloads wheels for Linux and a version of Python, such as "3.12"."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--python-version", python]
    for tag in ("manylinux2014_x86_64", "manylinux_2_28_x86_64"):
        command += ["--platform", tag]
    subprocess.run([*command, "--dest", str(folder), *WHEELS], check=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, default=Path("gpu_bundle"))
    parser.add_argument("--python", default="3.12", help="version on the machine")
    options = parser.parse_args(arguments)
    wheels = options.folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    download_wheels(wheels, options.python)
    save_mnist(options.folder / "mnist.npz")
    files = [path for path in options.folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"{options.folder}: {len(files)} files, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
