"""A description of the examples of a dataset."""

from collections.abc import Callable
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Description:
    """Describes the examples of a dataset, independently of how they are stored.

    All fields have the same meaning as in `Data`.

    Args:
        name: Name of the dataset.
        task: "classification", "multi_label", "regression" or "language_model".
        num_outputs: Number of outputs that a model needs.
        class_names: List of strings for classification and multi_label, otherwise
            `None`.
        feature_names: Column names of a table, otherwise `None`.
        one_hot_columns: Dict that maps the name of each one-hot encoded column to
            `(start, stop)`, otherwise `None`.
        vocabulary: List of tokens if `x` contains token ids, otherwise `None`.
        text_vectorization: Function that returns a new layer for converting texts to
            token ids, or `None` if the dataset was not loaded from texts.
    """

    name: str
    task: str
    num_outputs: int
    class_names: list[str] | None = None
    feature_names: list[str] | None = None
    one_hot_columns: dict[str, tuple[int, int]] | None = None
    vocabulary: list[str] | None = None
    text_vectorization: Callable[[], keras.layers.Layer] | None = None
