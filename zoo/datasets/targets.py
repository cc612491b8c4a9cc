"""Conversion of numeric targets to the form that the task requires."""

import logging
from typing import NamedTuple

import numpy as np

from .arrays import check_labels, check_tokens

logger = logging.getLogger(__name__)

BySplit = dict[str, np.ndarray]


class Targets(NamedTuple):
    """Stores the targets of all splits.

    Args:
        y: Dict that maps the name of each split to its targets, as described in `Data`.
        num_outputs: Number of outputs that a model needs.
        class_names: List of strings for classification and multi_label, otherwise
            `None`.
    """

    y: BySplit
    num_outputs: int
    class_names: list[str] | None = None


def class_labels(y: BySplit, class_names) -> Targets:
    """Converts targets to the class labels of a classification task.

    Args:
        y: Integers of shape `(examples,)` or `(examples, 1)` for each split.
        class_names: Names of the classes. If `None`, the classes are numbered from 0 to
            the highest label in the train split.

    Raises:
        ValueError: If the targets are not class labels, or a label is not one of the
            classes.
    """
    y = {split: _labels(labels, split) for split, labels in y.items()}
    class_names = list(class_names or map(str, range(int(y["train"].max()) + 1)))
    for split, labels in y.items():
        check_labels(labels, len(class_names), split)
        y[split] = labels.astype("int32")
    _warn_of_unseen(y, class_names)
    return Targets(y, len(class_names), class_names)


def label_indicators(y: BySplit, class_names) -> Targets:
    """Converts multi-label targets to arrays of zeros and ones.

    Args:
        y: Zeros and ones of shape `(examples, labels)` for each split.
        class_names: Names of the labels. If `None`, the labels are numbered from 0.

    Raises:
        ValueError: If the targets are not zeros and ones, or the number of labels
            differs from the number of names.
    """
    num_outputs = y["train"].shape[-1]
    y = {split: _indicators(labels, split) for split, labels in y.items()}
    class_names = list(class_names or map(str, range(num_outputs)))
    for split, labels in y.items():
        _check_width(labels, class_names, split)
    return Targets(y, num_outputs, class_names)


def regression_targets(y: BySplit) -> Targets:
    """Converts targets to the float32 columns of a regression task.

    Args:
        y: Numbers of shape `(examples,)` or `(examples, targets)` for each split.

    Raises:
        ValueError: If the targets have a different shape or are one-hot labels.
    """
    y = {split: _columns(targets, split) for split, targets in y.items()}
    return Targets(y, y["train"].shape[1])


def next_tokens(y: BySplit, x: BySplit, vocabulary) -> Targets:
    """Converts targets to the next-token ids of a language model.

    Args:
        y: Ids of the next tokens for each split, of the same shape as `x`.
        x: Token ids of the inputs for each split.
        vocabulary: List of tokens.

    Raises:
        ValueError: If there is no vocabulary, the shapes of `x` and `y` differ, or a
            token id is not an index of the vocabulary.
    """
    y = {split: _tokens(x[split], y[split], split, vocabulary) for split in y}
    return Targets(y, len(vocabulary))


def _labels(y, split: str) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or (np.issubdtype(y.dtype, np.floating) and (y != y.round()).any()):
        raise ValueError(
            f"Invalid y of {split}. Expected class labels: integers of shape "
            f"(examples,). Received: shape {y.shape}, dtype {y.dtype}\n"
            "Convert one-hot labels with `y.argmax(axis=1)`. If several labels may "
            "apply to one example, pass task='multi_label'."
        )
    return y


def _indicators(y, split: str) -> np.ndarray:
    if y.ndim != 2 or y.shape[1] < 2 or not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"Invalid y of {split}. Expected zeros and ones of shape (examples, "
            f"labels), with at least two labels. Received: shape {y.shape}, dtype "
            f"{y.dtype}, values from {y.min()} to {y.max()}"
        )
    return y.astype("int32")


def _check_width(labels, class_names: list[str], split: str) -> None:
    if labels.shape[1] != len(class_names):
        raise ValueError(
            f"Invalid y of {split}. Expected a column for each of {len(class_names)} "
            f"labels. Received: shape {labels.shape}"
        )


def _columns(y, split: str) -> np.ndarray:
    y = y.reshape(len(y), -1) if y.ndim == 1 else y
    if y.ndim != 2:
        raise ValueError(
            f"Invalid y of {split}. Expected targets of shape (examples,) or "
            f"(examples, targets). Received: shape {y.shape}"
        )
    if y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        raise ValueError(
            f"Invalid y of {split}. Expected regression targets or class labels. "
            f"Received: one-hot labels of shape {y.shape}\n"
            "Convert them to class labels with `y.argmax(axis=1)`."
        )
    return y.astype("float32")


def _tokens(x, y, split: str, vocabulary) -> np.ndarray:
    if vocabulary is None or y.shape != x.shape:
        raise ValueError(
            f"Invalid arrays for a language model in {split}. Expected `vocabulary`, "
            f"and y of the shape of x. Received: vocabulary={vocabulary}, x of shape "
            f"{x.shape}, y of shape {y.shape}"
        )
    check_tokens(y, f"y of {split}", vocabulary)
    return y.astype("int32")


def _warn_of_unseen(labels: dict[str, np.ndarray], class_names: list[str]) -> None:
    """Logs warnings if the train split does not contain every class.

    This happens, for example, if rows are sorted by class and the last rows are held
    out, or if integers are regression targets rather than class labels.
    """
    num_seen = len(np.unique(labels["train"]))
    if num_seen < len(class_names):
        logger.warning(
            "Train has %d of the %d classes. If the targets are quantities, pass "
            "task='regression'. Class labels start at 0.",
            num_seen,
            len(class_names),
        )
    for split in labels:
        unseen = sorted(set(labels[split].tolist()) - set(labels["train"].tolist()))
        if unseen:
            logger.warning(
                "Classes %s occur in %s, but never in train. Are the rows sorted by "
                "class? If so, shuffle them first: a fraction holds out the last rows.",
                [class_names[label] for label in unseen],
                split,
            )
