"""Converts your own arrays to a dataset that is ready for `fit`."""

import numpy as np

from ..utils.arguments import check_choice, check_integer, invalid_argument
from ..utils.paired_arguments import takes_pair
from .array_dataset import ArrayDataset
from .arrays import Arrays, check_tokens, image_scale, is_image, say_unscaled
from .data import TASKS, Data
from .order import Order
from .pairs import (
    check_pairs,
    cut_fractions,
    encode_inputs,
    encode_targets,
    read_pairs,
)
from .targets import class_labels, label_indicators, next_tokens, regression_targets


@takes_pair("from_arrays((x, y))")
def from_arrays(
    train,
    *,
    validation=0.1,
    test=None,
    batch_size: int = 128,
    seed: int = 0,
    task: str | None = None,
    class_names: list[str] | None = None,
    vocabulary: list[str] | None = None,
    name: str = "arrays",
) -> Data:
    """Converts arrays to a dataset that is ready for `fit`.

    Like `load`, this function returns a `Data`, but it requires neither TensorFlow nor
    TFDS and supports every backend. The inputs `x` are converted as follows:

    - Arrays of dtype uint8, uint16 or bool and shape `(n, height, width)` or
      `(n, height, width, channels)` are treated as images. They are scaled to [0, 1]
      by the largest value of their dtype. A channel axis is added if there is none.
    - A pandas `DataFrame` becomes a float32 table. The column names of this table are
      available as `feature_names` of the result. A column of numbers or booleans,
      possibly of a nullable dtype, remains one column. A column of strings or
      categories is one-hot encoded: each category becomes a column of zeros and ones,
      named "column=category". For a categorical dtype, the categories of the dtype are
      used, in order. For strings, the categories are the sorted distinct values in
      `train`, including the examples that are held out for validation. Dates and
      missing values are rejected. The other splits must have the same columns, in any
      order, and must not contain new categories.
    - All other inputs are converted to float32, or to int32 if `vocabulary` is given.

    The targets `y` are interpreted as follows:

    - Integers or booleans of shape `(n,)` are class labels.
    - Zeros and ones of shape `(n, k)` mark which of `k >= 2` labels apply to each
      example.
    - If `vocabulary` is given, integers of the same shape as `x` are the next tokens
      for a language model.
    - Floats are regression targets.
    - Strings or categories in a pandas `Series` are class names. If `class_names` is
      given, it determines the order of the classes. Otherwise, the classes have the
      order of the categories, as described above for `x`.
    - The columns of a `DataFrame` are labels or target values. A single column is
      treated like a `Series`.

    As in scikit-learn, rows of `x` and `y` are matched by position, and the indices of
    pandas objects are ignored.

    Args:
        train: `(x, y)`, two arrays or pandas objects of the same length, or the path
            of a `.npz` file that contains `x_train`, `y_train` and, optionally,
            `x_validation`, `y_validation`, `x_test` and `y_test`.
        validation: `(x, y)`, or the fraction of the train split, in [0, 1), to hold
            out. The last examples are held out, whatever the `seed`, so the examples
            must be in random order. With 0 or `None`, no examples are held out. If a
            file contains a validation split, the fraction is ignored.
            Defaults to `0.1`.
        test: Like `validation`. If both are fractions, the test split is held out
            first, and the validation split is a fraction of the remaining examples.
            Defaults to `None`: there is no test split, unless a file contains one.
        batch_size: Integer >= 1. Defaults to `128`.
        seed: Integer >= 0 that determines the order of the train split. Defaults to
            `0`.
        task: "classification", "multi_label", "regression" or "language_model".
            Defaults to `None`: the task is inferred from the targets, as described
            above.
        class_names: Names of the classes in the order of their labels, or of the `k`
            labels in the order of their columns. Defaults to `None`: the names are
            taken from a `Series` or `DataFrame` if possible. Otherwise, the names are
            "0", "1" and so on, up to the highest label in the train split or the last
            column.
        vocabulary: List of tokens if `x` contains token ids. The index of a token is
            its id. Padding, which `zoo.lstm` ignores, has index 0, the unknown token
            has index 1, and all other tokens follow. Defaults to `None`: `x` does not
            contain token ids.
        name: Name of the dataset in messages and plots. Defaults to `"arrays"`.

    Returns:
        A `Data` whose splits are `keras.utils.PyDataset`s.

    Raises:
        ValueError: If an argument is invalid, the lengths of `x` and `y` differ, a
            split is empty, a value is NaN, infinite, missing or masked, a label is not
            one of the classes, or examples are held out although the targets are
            sorted, or a large class occurs in only one of the two parts.
        TypeError: If inputs and targets are passed as two arguments.

    Example:

    >>> import numpy as np
    >>> from zoo import datasets
    >>> x, y = np.random.rand(100, 3), np.arange(100) % 2
    >>> datasets.from_arrays(train=(x, y), test=0.2)
    <Data 'arrays': classification of inputs (3,) into 2 outputs; \
72 train, 8 validation, 20 test>
    """
    check_integer("batch_size", batch_size, minimum=1)
    check_choice("task", task, (None, *TASKS))
    order = Order(seed)
    given = read_pairs(train, validation, test)
    inputs, columns = encode_inputs(given, vocabulary)
    encoded, names = encode_targets(given, class_names, task)
    pairs = {split: (inputs[split], encoded[split]) for split in given}
    check_pairs(pairs)
    for split, x in inputs.items():
        _check_alike(inputs["train"], x, split)
    pairs = cut_fractions(pairs, validation, test)

    task = task or _infer_task(*pairs["train"], vocabulary)
    _check_class_names(class_names, task)
    if class_names is None and task in ("classification", "multi_label"):
        class_names = names
    x, scale = {}, None
    for split, (inputs, _) in pairs.items():
        x[split], scale = _inputs(inputs, split, vocabulary)
    y = {split: values for split, (_, values) in pairs.items()}
    if task == "classification":
        targets = class_labels(y, class_names)
    elif task == "multi_label":
        targets = label_indicators(y, class_names)
    elif task == "language_model":
        targets = next_tokens(y, x, vocabulary)
    else:
        targets = regression_targets(y)

    arrays = {split: Arrays(x[split], targets.y[split], scale) for split in pairs}
    return Data(
        name=name,
        datasets={
            split: ArrayDataset(held, batch_size, order if split == "train" else None)
            for split, held in arrays.items()
        },
        sizes={split: len(held) for split, held in arrays.items()},
        order=order,
        input_shape=arrays["train"].x.shape[1:],
        num_outputs=targets.num_outputs,
        task=task,
        class_names=targets.class_names,
        vocabulary=None if vocabulary is None else list(vocabulary),
        train_batches=arrays["train"].batches,
        **vars(columns),
    )


def _check_class_names(class_names, task: str) -> None:
    if class_names is None:
        return
    if task not in ("classification", "multi_label"):
        raise invalid_argument("class_names", f"None for task {task!r}", class_names)
    listed = isinstance(class_names, list | tuple | np.ndarray) and len(class_names)
    if not listed or len(set(class_names)) < len(class_names):
        raise invalid_argument(
            "class_names", "a list of distinct names, one for each class", class_names
        )


def _check_alike(train, x, split: str) -> None:
    """Raises an error if the examples of a split do not match those of the train split.

    All examples must have the same shape. Images must have the same dtype in all
    splits, because the dtype determines how they are scaled.
    """
    units = [
        array.dtype
        if array.dtype == np.uint8 or is_image(array.dtype, array.ndim - 1)
        else None
        for array in (train, x)
    ]
    if train.shape[1:] != x.shape[1:] or units[0] != units[1]:
        raise ValueError(
            "The splits differ. Expected one shape of examples and one type of images "
            f"in all splits. Received: {train.shape[1:]}, {train.dtype} in train; "
            f"{x.shape[1:]}, {x.dtype} in {split}"
        )


def _infer_task(x, y, vocabulary) -> str:
    is_integer = y.dtype == bool or np.issubdtype(y.dtype, np.integer)
    if vocabulary is not None and is_integer and y.ndim == 2 and y.shape == x.shape:
        return "language_model"
    if not is_integer:
        return "regression"
    return "multi_label" if _are_indicators(y) else "classification"


def _are_indicators(y) -> bool:
    """Returns whether `y` marks which of several labels apply to each example.

    For one-hot labels, which mark exactly one label in each example, the result is
    `False`.
    """
    is_matrix = y.ndim == 2 and y.shape[1] > 1
    return is_matrix and bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) != 1).any())


def _inputs(x, split: str, vocabulary) -> tuple[np.ndarray, float | None]:
    """Returns the arguments `x` and `scale` of `Arrays` for the inputs of a split."""
    if vocabulary is not None:
        _check_vocabulary(vocabulary)
        if x.ndim != 2 or not np.issubdtype(x.dtype, np.integer):
            raise ValueError(
                f"Invalid x of {split}. Expected token ids, integers of shape "
                "(examples, sequence_length), because `vocabulary` is given. Received: "
                f"shape {x.shape}, dtype {x.dtype}"
            )
        check_tokens(x, f"x of {split}", vocabulary)
        return x.astype("int32"), None
    if is_image(x.dtype, x.ndim - 1):
        return (x[..., None] if x.ndim == 3 else x), image_scale(x.dtype)
    if split == "train":
        say_unscaled(x, "inputs")
    return x.astype("float32", copy=False), None


def _check_vocabulary(vocabulary) -> None:
    listed = isinstance(vocabulary, list | tuple | np.ndarray)
    if not listed or len(set(vocabulary)) < len(vocabulary):
        raise invalid_argument(
            "vocabulary",
            "a list of distinct tokens in the order of their ids",
            vocabulary,
        )
