"""Measures what a trained program is worth, and whether its fault did harm.

The skill of a model is 0 for a trivial predictor and 1 for a perfect model:

- classification: balanced accuracy on test data, rescaled so that chance is 0;
- several labels: the mean over the labels;
- regression: the coefficient of determination, R2.

The outputs are read as the author of the program would read them: the largest of
several outputs is the class, and a single output is compared with 1/2, or with 0 if the
last layer is linear. Outputs that are not finite count as a trivial prediction.
"""

import numpy as np

from .arrays import Arrays
from .program import Program, Training

# Skill that a healthy program exceeds.
FLOORS = {
    "digits": 0.85,
    "mnist": 0.8,
    "fashion_mnist": 0.68,
    "waves": 0.6,
    "imdb": 0.3,
    "breast_cancer": 0.8,
    "rings": 0.7,
    "labels": 0.3,
    "wine": 0.15,
    "diamonds": 0.8,
    "friedman": 0.7,
}
FLOOR_OF_KIND = {"autoencoder": 0.5}  # R2 of the reconstruction
LOST = 0.1  # fraction of the skill of the twin that a harmful fault costs
MISREPORTED = 0.1  # difference between a reported and a true figure that does harm


def skill(training: Training, has_linear_head: bool) -> float:
    """Returns the skill of a trained model on the test data, between 0 and 1."""
    arrays = training.arrays
    outputs = training.predictions(arrays.x_test)
    outputs = np.float64(outputs.reshape(len(outputs), -1))
    threshold = 0.0 if has_linear_head else 0.5
    if not np.isfinite(outputs).all():
        return 0.0
    if arrays.task == "regression":
        value = r2(arrays.y_test, outputs)
    elif arrays.task == "labels":
        chosen = outputs > threshold
        columns = range(arrays.num_outputs)
        value = np.mean(
            [informedness(arrays.y_test[:, i], chosen[:, i]) for i in columns]
        )
    else:
        value = informedness(arrays.y_test, classes(outputs, arrays, threshold))
    return float(np.clip(value, 0, 1))


def classes(outputs: np.ndarray, arrays: Arrays, threshold: float) -> np.ndarray:
    """Returns the predicted classes."""
    if outputs.shape[1] > 1:
        return outputs.argmax(1)
    if arrays.task == "binary":
        return outputs[:, 0] > threshold
    return np.rint(outputs[:, 0])


def informedness(y: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the balanced accuracy, rescaled so that chance is 0."""
    kinds = np.unique(y)
    recall = np.mean([np.mean(predicted[y == kind] == kind) for kind in kinds])
    return (len(kinds) * recall - 1) / (len(kinds) - 1)


def r2(y: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the mean R2 over targets. Constant targets count as one group."""
    error = np.square(np.float64(y) - predicted).sum()
    return 1 - error / np.square(np.float64(y) - y.mean(0)).sum()


def misreported(program: Program, training: Training, history: dict) -> float:
    """Returns by how much the last reported validation metric differs from the truth.

    The truth is the accuracy on the test data, or R2 for a regression.
    """
    names = [name for name in history if name.startswith("val_") and name != "val_loss"]
    if not names:
        return 0.0
    reported = history[names[0]][-1]
    arrays, linear = training.arrays, program.recipe.head == "linear"
    if arrays.task == "regression":
        true = skill(training, linear)
    else:
        threshold = 0.0 if linear else 0.5
        outputs = training.predictions(arrays.x_test)
        if arrays.task == "labels":
            predicted = outputs > threshold
        else:
            predicted = classes(outputs, arrays, threshold)
        true = np.mean(predicted == arrays.y_test)
    return float(abs(reported - true)) if np.isfinite(reported) else 1.0


def noise_of(twins: list[dict]) -> dict[tuple, float]:
    """Returns the deviation of the skill between seeds, by family and dataset.

    Args:
        twins: Rows of healthy twins with "family", "dataset" and "skill".
    """
    groups: dict[tuple, list[float]] = {}
    for row in twins:
        groups.setdefault((row["family"], row["dataset"]), []).append(row["skill"])
    return {
        group: float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        for group, values in groups.items()
    }


def is_harmful(row: dict, twin: dict | None, noise: float) -> bool:
    """Returns whether the fault of a run did harm.

    The run is compared with its twin of the same seed: the same program without the
    fault. The fault is harmful if it costs at least a tenth of the skill of the twin,
    and twice the standard deviation of the skill of healthy twins between seeds. A twin
    below the floor of its dataset proves nothing. A fault of the reported figures is
    harmful if the figure is off by 0.1 or more.
    """
    if row["harm"] == "report":
        return row["misreported"] >= MISREPORTED
    if twin is None or twin["skill"] < FLOORS[row["dataset"]]:
        return False
    lost = twin["skill"] - row["skill"]
    return lost >= max(LOST * twin["skill"], 2 * noise)


def is_sound(row: dict) -> bool:
    """Returns whether a healthy run did what a healthy run should.

    It reaches the floor of its dataset, and its validation loss does not end far above
    its minimum: `last_to_best` in `watch.py` is at most 1.2.
    """
    ratio = row["last_to_best"]
    floor = FLOOR_OF_KIND.get(row["kind"], FLOORS[row["dataset"]])
    return row["skill"] >= floor and (ratio is None or ratio <= 1.2)
