"""Small datasets as NumPy arrays, some of them from TFDS, some from scikit-learn.

The rows of TFDS datasets that the programs use are kept in `runs/diagnosis/`, so that
only the first program has to read the full dataset.
"""

import dataclasses
import functools
import os
from pathlib import Path

import numpy as np

from zoo import datasets

CACHE = Path(__file__).parents[2] / "runs" / "diagnosis"
ROWS = 6000  # of TFDS datasets
TFDS = {
    "mnist": ("mnist", {}),
    "fashion_mnist": ("fashion_mnist", {}),
    "imdb": ("imdb_reviews", {"sequence_length": 64, "vocabulary_size": 4000}),
    "wine": ("wine_quality/white", {}),
    "diamonds": ("diamonds", {}),
}
TASKS = {
    "digits": "classes",
    "mnist": "classes",
    "fashion_mnist": "classes",
    "waves": "classes",
    "imdb": "binary",
    "breast_cancer": "binary",
    "rings": "binary",
    "labels": "labels",
    "wine": "regression",
    "diamonds": "regression",
    "friedman": "regression",
}
IMAGES = ("digits", "mnist", "fashion_mnist")
TABLES = ("breast_cancer", "rings", "labels", "wine", "diamonds", "friedman")


@dataclasses.dataclass
class Arrays:
    """Training, validation and test data of a program.

    The inputs have mean 0 and variance 1 (tables) or are in [0, 1] (images). The test
    data never enter `fit`.

    Attributes:
        task: "classes" (labels 0, 1, ...), "binary", "labels" (a matrix of zeros and
            ones) or "regression" (a matrix of standardized targets).
        num_outputs: Number of classes, labels or targets.
        scale: Factor, or one per column, that converts `x` to its original units.
        shift: Term, or one per column, that is added after multiplying by `scale`.
        target_scale: Same as `scale`, for the targets.
        target_shift: Same as `shift`, for the targets.
        tokens: Size of the vocabulary, or 0 if the inputs are numbers.
    """

    task: str
    num_outputs: int
    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    scale: np.ndarray | float = 1.0
    shift: np.ndarray | float = 0.0
    target_scale: float = 1.0
    target_shift: float = 0.0
    tokens: int = 0

    def change_inputs(self, function) -> None:
        """Applies a function to the inputs of all splits."""
        self.x, self.x_val, self.x_test = map(
            function, (self.x, self.x_val, self.x_test)
        )

    def change_targets(self, function) -> None:
        """Applies a function to the targets of all splits."""
        self.y, self.y_val, self.y_test = map(
            function, (self.y, self.y_val, self.y_test)
        )


def is_available(name: str) -> bool:
    """Returns whether a dataset can be read without downloading anything."""
    if name not in TFDS or (CACHE / f"{name}.npz").exists():
        return True
    folder = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
    return (folder.expanduser() / TFDS[name][0]).is_dir()


def load_arrays(name: str, size: int, seed: int) -> Arrays:
    """Returns the arrays of a dataset.

    Args:
        name: Key of `TASKS`.
        size: Maximum number of training examples.
        seed: Determines which rows are used for training, validation and testing.
    """
    x, y, tokens = read(name)
    order = np.random.default_rng([seed, 7]).permutation(len(x))
    test, validation = min(1000, len(x) // 4), min(600, len(x) // 5)
    parts = np.split(order, [test, test + validation])
    parts[2] = parts[2][:size]
    splits = [(x[rows], y[rows]) for rows in reversed(parts)]
    (x, y), (x_val, y_val), (x_test, y_test) = splits
    task = TASKS[name]
    wide = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    outputs = 1 if task == "binary" else wide
    arrays = Arrays(
        task, outputs, x, y, x_val, y_val, x_test, y_test, tokens=tokens
    )  # fmt: skip
    if name in IMAGES:
        arrays.scale = 255.0
    elif not tokens and name != "waves":
        arrays.shift, arrays.scale = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1)
        arrays.change_inputs(lambda x: (x - arrays.shift) / arrays.scale)
        arrays.change_inputs(np.float32)
    if task == "regression":
        arrays.target_shift, arrays.target_scale = float(y.mean()), float(y.std())
        arrays.change_targets(
            lambda y: np.float32((y - arrays.target_shift) / arrays.target_scale)
        )
    return arrays


@functools.cache
def read(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns all inputs and targets of a dataset, and the size of its vocabulary."""
    if name not in TFDS:
        return *SHIPPED[name](), 0
    path = CACHE / f"{name}.npz"
    if not path.exists():
        title, settings = TFDS[name]
        data = datasets.load(title, batch_size=500, **settings)
        rows = [(x.numpy(), y.numpy()) for x, y in data.train.take(ROWS // 500)]
        x, y = map(np.concatenate, zip(*rows, strict=True))
        tokens = len(data.vocabulary or ())
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(partial, x=x, y=y, tokens=tokens)
        partial.replace(path)
    stored = np.load(path)
    return stored["x"], stored["y"], int(stored["tokens"])


def digits():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return np.float32(x / 16).reshape(-1, 8, 8, 1), np.int32(y)


def breast_cancer():
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return np.float32(x), np.int32(y)


def rings():
    """Two concentric rings in the first two columns, and four columns of noise."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 3000)
    angle = rng.uniform(0, 2 * np.pi, len(y))
    radius = np.where(y == 1, 2.0, 1.0) + 0.18 * rng.normal(size=len(y))
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    noise = rng.normal(size=(len(y), 4))
    return np.float32(np.hstack([x, noise])), np.int32(y)


def labels():
    """Six labels, each of which depends on products and sums of 16 columns."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 16))
    pairs, weights = x[:, :6] * x[:, 6:12], rng.normal(size=(16, 6)) / 3
    score = pairs + x @ weights + 0.2 * rng.normal(size=(len(x), 6))
    return np.float32(x), np.int32(score > 0.3)


def friedman():
    """The first function of Friedman (1991) with noise; five columns are irrelevant."""
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(4000, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y += 10 * x[:, 3] + 5 * x[:, 4] + rng.normal(size=len(x))
    return np.float32(x), np.float32(y[:, None])


def waves():
    """Series of 30 steps and 2 values in four classes: two shapes, two frequencies."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 4, 3000)
    time = np.arange(30)[None] / 30
    turns = np.where(y % 2, 3.0, 2.0)[:, None]
    angle = 2 * np.pi * (turns * time + rng.uniform(size=(len(y), 1)))
    values = np.where((y < 2)[:, None], np.sin(angle), np.sign(np.sin(angle)))
    x = np.stack([values, np.cos(angle)], axis=-1)
    return np.float32(x + 0.3 * rng.normal(size=x.shape)), np.int32(y)


SHIPPED = {
    "digits": digits,
    "breast_cancer": breast_cancer,
    "rings": rings,
    "labels": labels,
    "friedman": friedman,
    "waves": waves,
}
