"""Measures the accuracy and the running time of `examples/train.py` over several seeds.

    python benchmarks/train.py digits --seeds 10
    python benchmarks/train.py mnist --seeds 5

The settings were chosen on the validation split with seed 0. With every seed, the
trained model is evaluated once on the test split, and each evaluation is a row of
`results/train.json`. On digits, a logistic regression is measured on the same splits
for comparison (scikit-learn, standardized pixels, C chosen on the validation split).
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from results import machine, save
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from zoo import datasets

EXAMPLE = Path(__file__).parent.parent / "examples" / "train.py"
RESULT = re.compile(
    r"best epoch (?P<best_epoch>\d+): validation accuracy (?P<validation>[\d.]+), "
    r"test accuracy (?P<test>[\d.]+)"
)


def train(dataset: str, seed: int) -> dict:
    """Runs the example in a new process, and parses its output.

    The measured time includes the imports.
    """
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, EXAMPLE, "--dataset", dataset]
        command += ["--seed", str(seed), "--output", output]
        start = time.perf_counter()
        printed = subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout
        seconds = time.perf_counter() - start
    result = RESULT.search(printed)
    return {
        "model": "mlp",
        "seed": seed,
        "best_epoch": int(result["best_epoch"]),
        "validation": float(result["validation"]),
        "test": float(result["test"]),
        "seconds": round(seconds, 1),
    }


def logistic_regression(dataset: str) -> dict:
    data = datasets.load(dataset)
    x, y = zip(
        *(rows(part) for part in (data.train, data.validation, data.test)), strict=True
    )
    scaler = StandardScaler().fit(x[0])
    x = [scaler.transform(part) for part in x]
    start = time.perf_counter()
    fitted = {
        c: LogisticRegression(C=c, max_iter=5000).fit(x[0], y[0])
        for c in np.logspace(-3, 2, 11).round(4).tolist()
    }
    seconds = time.perf_counter() - start
    best = max(fitted, key=lambda c: fitted[c].score(x[1], y[1]))
    return {
        "model": "logistic regression",
        "C": best,
        "validation": fitted[best].score(x[1], y[1]),
        "test": fitted[best].score(x[2], y[2]),
        "seconds": round(seconds, 1),
    }


def rows(dataset):
    x, y = (np.concatenate(part) for part in zip(*dataset, strict=True))
    return x.reshape(len(x), -1), y


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    runs = []
    if options.dataset == "digits":
        runs.append(logistic_regression(options.dataset))
        print(runs[-1], flush=True)
    for seed in range(options.seeds):
        runs.append(train(options.dataset, seed))
        print(runs[-1], flush=True)
        save("train", options.dataset, {"machine": machine(), "runs": runs})


if __name__ == "__main__":
    main()
