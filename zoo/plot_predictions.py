"""Plots what a model predicts, and its worst mistakes."""

import keras
import numpy as np

from .datasets.data import Data
from .datasets.example_panels import draw_examples
from .utils.arguments import check_choice, check_integer, invalid_argument

MAX_NUMBERS = 15  # classes up to which the cells of the matrix show their counts


def plot_predictions(
    model: keras.Model,
    data: Data,
    *,
    split: str = "validation",
    count: int = 12,
    figure=None,
):
    """Plots the predictions of a model on a split, and its worst mistakes.

    For a classifier, the plot shows the confusion matrix, with true classes as rows,
    and the wrongly classified examples of which the model is most certain: the output
    for the predicted class exceeds the output for the true class most. For a
    regression, the plot shows predictions against targets, and the examples with the
    largest errors.

    Args:
        model: Model whose outputs fit the data: an output for each class (logits or
            probabilities), one output for two classes, or an output for each target.
            With one output for two classes, outputs that are all in [0, 1] are
            probabilities, and others are logits.
        data: Dataset from `zoo.datasets`, for classification or regression.
        split: "train", "validation" or "test". Defaults to `"validation"`, because a
            test split should be evaluated only once.
        count: Integer >= 1, the maximum number of examples. Defaults to `12`.
        figure: Matplotlib figure or subfigure to draw in. Defaults to `None`, which
            creates a new figure.

    Returns:
        The Matplotlib figure.

    Raises:
        ValueError: If an argument is invalid, the dataset has no such split, or the
            outputs of the model do not fit the data.

    Example:

    >>> from zoo import datasets, mlp, plot_predictions
    >>> data = datasets.load("digits")
    >>> figure = plot_predictions(mlp(data.input_shape, data.num_outputs), data)
    >>> figure.axes[0].get_xlabel()
    'predicted class'
    """
    import matplotlib.pyplot as plt

    if not isinstance(data, Data):
        expected = "a dataset of zoo.datasets: `load(...)` or `from_arrays(...)`"
        raise invalid_argument("data", expected, data)
    if data.task not in ("classification", "regression"):
        expected = "a dataset for classification or regression"
        raise invalid_argument("data", expected, data)
    check_choice("split", split, ("train", "validation", "test"))
    check_integer("count", count, minimum=1)
    if split not in data.sizes:
        raise invalid_argument("split", f"one of {list(data.sizes)}", split)
    x, y = _arrays(data, split)
    outputs = np.asarray(model.predict(x, verbose=0))
    if data.task == "classification":
        scores = _scores(outputs, data.num_outputs)
        wrong, titles = _mistakes(scores, y, data.class_names, count)
    else:
        _check_outputs(outputs, y.shape)
        wrong, titles = _errors(outputs, y, count)

    if figure is None:
        figure = plt.figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(5, 6))
    if data.task == "classification":
        _draw_confusion(left.subplots(), scores.argmax(axis=1), y, data.class_names)
    else:
        _draw_scatter(left.subplots(), outputs, y)
    if len(wrong):
        draw_examples(right, x[wrong], titles, data)
    is_class = data.task == "classification"
    most = "no mistakes" if not len(wrong) else "worst mistakes"
    right.suptitle(most if is_class else "largest errors", fontsize=10)
    figure.suptitle(f"{data.name}, {split}: {len(y):,} examples", fontsize=10)
    return figure


def _arrays(data: Data, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the examples of a split, without changing the order of training."""
    if split == "train":
        batches = list(data.train_batches())
    else:
        batches = [
            tuple(map(keras.ops.convert_to_numpy, batch))
            for batch in getattr(data, split)
        ]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return x, y


def _scores(outputs: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns a score for each class, of shape `(examples, classes)`."""
    if num_classes == 2 and outputs.ndim == 2 and outputs.shape[1] == 1:
        is_probability = outputs.min() >= 0 and outputs.max() <= 1
        other = 1 - outputs if is_probability else -outputs
        return np.concatenate([other, outputs], axis=1)
    _check_outputs(outputs, (len(outputs), num_classes))
    return outputs


def _check_outputs(outputs: np.ndarray, shape: tuple) -> None:
    if outputs.shape != shape:
        received = f"one with outputs of shape {outputs.shape}"
        raise invalid_argument(
            "model", f"one with outputs of shape {shape}, for these data", received
        )


def _mistakes(scores, labels, names, count: int) -> tuple[np.ndarray, list[str]]:
    """Returns the indices of the worst mistakes, and their titles."""
    rows, predicted = np.arange(len(labels)), scores.argmax(axis=1)
    margin = scores[rows, predicted] - scores[rows, labels]
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-margin[wrong], kind="stable")][:count]
    titles = [f"{names[predicted[i]]} (true: {names[labels[i]]})" for i in wrong]
    return wrong, titles


def _errors(outputs, y, count: int) -> tuple[np.ndarray, list[str]]:
    """Returns the indices of the largest errors, and their titles."""
    scale = y.std(axis=0)
    errors = np.abs(outputs - y) / np.where(scale > 0, scale, 1.0)
    column = errors.argmax(axis=1)
    worst = np.argsort(-errors.max(axis=1), kind="stable")[:count]
    titles = [
        f"{outputs[i, column[i]]:.4g} (true: {y[i, column[i]]:.4g})" for i in worst
    ]
    return worst, titles


def _draw_confusion(ax, predicted, labels, names) -> None:
    size = len(names)
    counts = np.zeros((size, size), int)
    np.add.at(counts, (labels, predicted), 1)
    rows = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(rows, 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if size <= MAX_NUMBERS:
        for row, column in np.argwhere(counts):
            color = "w" if shares[row, column] > 0.5 else "k"
            text = f"{counts[row, column]}"
            ax.text(
                column, row, text, ha="center", va="center", fontsize=8, color=color
            )
        ax.set_xticks(range(size), names, fontsize=8, rotation=45)
        ax.set_yticks(range(size), names, fontsize=8)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.set_title(f"accuracy {accuracy:.4f}", fontsize=10)


def _draw_scatter(ax, outputs, y) -> None:
    for index in range(y.shape[1]):
        label = f"target {index}" if y.shape[1] > 1 else None
        ax.plot(y[:, index], outputs[:, index], ".", alpha=0.5, label=label)
    ends = [min(y.min(), outputs.min()), max(y.max(), outputs.max())]
    ax.plot(ends, ends, "k--", lw=0.8)
    if y.shape[1] > 1:
        ax.legend(fontsize=8)
    rmse = float(np.sqrt(((outputs - y) ** 2).mean()))
    ax.set(xlabel="target", ylabel="prediction")
    ax.set_title(f"RMSE {rmse:.4g}", fontsize=10)
