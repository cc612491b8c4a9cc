"""Your own arrays, ready for `fit`."""

import logging
import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..arguments import check_choice, check_fraction, check_integer, invalid_argument
from .array_dataset import ArrayDataset
from .arrays import (
    Arrays,
    check_finite,
    check_labels,
    check_not_empty,
    image_scale,
)
from .data import TASKS, Data
from .order import Order
from .splits import PARTS

logger = logging.getLogger(__name__)


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
    """Makes arrays ready for `fit`: the same object as `load` returns.

    It needs neither TensorFlow nor TFDS, and works on every backend.

    - Images of type uint8 are divided by 255; where they have no channel axis, they
      get one. Every other `x` becomes float32 as it is (int32 with `vocabulary`).
    - Integer `y` of shape `(n,)` are class labels; of shape `(n, k)`, zeros and ones,
      they say which of `k >= 2` labels hold for each example; and of the shape of
      `x`, with `vocabulary`, they are the next tokens of a language model. Float `y`
      are the targets of a regression.

    Args:
        train: `(x, y)`, arrays of equal length; or the path of a `.npz` file with
            `x_train`, `y_train` and, where there are such splits, `x_validation`,
            `y_validation`, `x_test` and `y_test`.
        validation: `(x, y)`, or the fraction of train, in [0, 1), that is cut off its
            end; 0 gives none. A file's own validation split is used instead of a
            fraction. Defaults to `0.1`.
        test: Likewise; `None` gives none, unless a file has it. Defaults to `None`.
            Where both are fractions, test is cut first, and validation from the rest.
        batch_size: Integer >= 1. Defaults to `128`.
        seed: Integer >= 0, of the order of the train split. Defaults to `0`.
        task: "classification", "multi_label", "regression" or "language_model".
            Defaults to `None`: read from the arrays, as above.
        class_names: Names of the classes in the order of their labels, or of the `k`
            labels in the order of their columns. Defaults to `None`: "0" to the
            highest label of train, or the last column.
        vocabulary: Tokens whose index is their id, where `x` are token ids: padding
            at 0, which `zoo.lstm` leaves out, and unknown at 1, then all others.
            Defaults to `None`: they are not.
        name: A name, for messages and pictures. Defaults to `"arrays"`.

    Returns:
        A `Data`, whose datasets are `keras.utils.PyDataset`s.

    Raises:
        ValueError: If an argument is invalid, lengths differ, a split is empty, a
            value is NaN, or a label is not one of the classes.

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
    pairs = _split(train, validation, test)
    for part, (x, _) in pairs.items():
        _check_alike(pairs["train"][0], x, part)

    task = task or _infer_task(*pairs["train"], vocabulary)
    _check_class_names(class_names, task)
    x, scale = {}, None
    for part, (inputs, _) in pairs.items():
        x[part], scale = _inputs(inputs, part, vocabulary)
    y = {part: targets for part, (_, targets) in pairs.items()}
    if task == "classification":
        y = {part: _labels(labels, part) for part, labels in y.items()}
        class_names = list(class_names or map(str, range(int(y["train"].max()) + 1)))
        num_outputs = len(class_names)
        for part, labels in y.items():
            check_labels(labels, num_outputs, part)
            y[part] = labels.astype("int32")
        _warn_of_unseen(y, class_names)
    elif task == "multi_label":
        num_outputs = y["train"].shape[-1]
        y = {part: _indicators(labels, part) for part, labels in y.items()}
        class_names = list(class_names or map(str, range(num_outputs)))
        for part, labels in y.items():
            _check_width(labels, class_names, part)
    elif task == "language_model":
        y = {part: _next_tokens(x[part], y[part], part, vocabulary) for part in y}
        num_outputs = len(vocabulary)
    else:
        y = {part: _columns(targets, part) for part, targets in y.items()}
        num_outputs = y["train"].shape[1]

    arrays = {part: Arrays(x[part], y[part], scale) for part in pairs}
    return Data(
        name=name,
        datasets={
            part: ArrayDataset(held, batch_size, order if part == "train" else None)
            for part, held in arrays.items()
        },
        sizes={part: len(held) for part, held in arrays.items()},
        order=order,
        input_shape=arrays["train"].x.shape[1:],
        num_outputs=num_outputs,
        task=task,
        class_names=class_names,
        vocabulary=None if vocabulary is None else list(vocabulary),
        train_batches=arrays["train"].batches,
    )


def _split(train, validation, test) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns `(x, y)` of each split, in the order of `PARTS`."""
    if isinstance(train, str | os.PathLike):
        pairs = _read_npz(Path(train))
    else:
        pairs = {"train": _pair("train", train)}
    for part, value in (("test", test), ("validation", validation)):
        if isinstance(value, tuple | list):
            pairs[part] = _pair(part, value)
        elif value is not None and part not in pairs:
            fraction = check_fraction(part, value)
            if fraction:
                pairs["train"], pairs[part] = _cut(pairs["train"], part, fraction)
    return {part: pairs[part] for part in PARTS if part in pairs}


def _read_npz(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not path.is_file():
        raise invalid_argument("train", "(x, y), or the path of a .npz file", str(path))
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in sorted(file.files)}
    except (AttributeError, EOFError, OSError, ValueError, BadZipFile) as error:
        raise ValueError(
            f"Cannot read '{path}'. Expected a .npz file of numbers, as `np.savez` "
            f"writes it. Received: {error}"
        ) from None
    pairs = {
        part: _pair(part, (arrays[f"x_{part}"], arrays[f"y_{part}"]))
        for part in PARTS
        if f"x_{part}" in arrays and f"y_{part}" in arrays
    }
    if "train" not in pairs:
        raise ValueError(
            f"'{path}' holds no training examples. Expected arrays named x_train and "
            f"y_train. Received: {list(arrays)}"
        )
    return pairs


def _pair(part: str, value) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise invalid_argument(
            part, "(x, y), a tuple of two arrays", type(value).__name__
        )
    x, y = np.asarray(value[0]), np.asarray(value[1])
    if x.ndim < 2 or y.ndim < 1 or len(x) != len(y) or 0 in x.shape[1:] + y.shape[1:]:
        raise ValueError(
            f"Invalid arrays for `{part}`. Expected x of shape (examples, ...) and y "
            "of the same length, no axis empty. Received: x of shape "
            f"{x.shape}, y of shape {y.shape}"
        )
    check_not_empty(len(x), part, "Give it examples, or leave it out.")
    for key, values in (("x", x), ("y", y)):
        kinds = (np.integer, np.floating, np.bool_)
        if not any(np.issubdtype(values.dtype, kind) for kind in kinds):
            hint = "Names of classes become labels with "
            hint += "`class_names, y = np.unique(y, return_inverse=True)`."
            raise ValueError(
                f"Invalid {key} of {part}. Expected real numbers. Received: dtype "
                f"{values.dtype}" + (f"\n{hint}" if key == "y" else "")
            )
        check_finite(_as_float32(values), f"{key} of {part}")
    return x, y


def _as_float32(values) -> np.ndarray:
    """Floats in the type in which they are stored, where large ones are infinite."""
    if not np.issubdtype(values.dtype, np.floating):
        return values
    with np.errstate(over="ignore"):
        return values.astype("float32", copy=False)


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


def _cut(pair, part: str, fraction: float):
    """Cuts the last part off a split; returns what remains, and that part."""
    x, y = pair
    size = round(len(x) * fraction)
    reason = f"It is cut from {len(x)} examples with {part}={fraction}."
    check_not_empty(size, part, reason)
    check_not_empty(len(x) - size, "train", reason)
    return (x[:-size], y[:-size]), (x[-size:], y[-size:])


def _check_alike(train, x, part: str) -> None:
    """Raises if examples of a split have another shape, or other units, than train."""
    is_uint8 = [array.dtype == np.uint8 for array in (train, x)]
    if train.shape[1:] != x.shape[1:] or is_uint8[0] != is_uint8[1]:
        raise ValueError(
            "Splits differ. Expected one shape of an example, and uint8 in all splits "
            f"or in none. Received: {train.shape[1:]}, {train.dtype} in train; "
            f"{x.shape[1:]}, {x.dtype} in {part}"
        )


def _infer_task(x, y, vocabulary) -> str:
    is_integer = y.dtype == bool or np.issubdtype(y.dtype, np.integer)
    if vocabulary is not None and is_integer and y.ndim == 2 and y.shape == x.shape:
        return "language_model"
    if not is_integer:
        return "regression"
    return "multi_label" if _are_indicators(y) else "classification"


def _are_indicators(y) -> bool:
    """Whether rows say which labels hold; each with a single one, they are one-hot."""
    is_matrix = y.ndim == 2 and y.shape[1] > 1
    return is_matrix and bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) != 1).any())


def _inputs(x, part: str, vocabulary) -> tuple[np.ndarray, float | None]:
    """Returns the inputs as they are stored, and their scale."""
    if vocabulary is not None:
        if x.ndim != 2 or not np.issubdtype(x.dtype, np.integer):
            raise ValueError(
                f"Invalid x of {part}. Expected token ids, integers of shape "
                "(examples, sequence_length), since `vocabulary` is given. Received: "
                f"shape {x.shape}, dtype {x.dtype}"
            )
        _check_tokens(x, f"x of {part}", vocabulary)
        return x.astype("int32"), None
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        return (x[..., None] if x.ndim == 3 else x), image_scale(x.dtype)
    return x.astype("float32", copy=False), None


def _labels(y, part: str) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or (np.issubdtype(y.dtype, np.floating) and (y != y.round()).any()):
        raise ValueError(
            f"Invalid y of {part}. Expected class labels: integers of shape "
            f"(examples,). Received: shape {y.shape}, dtype {y.dtype}\n"
            "One-hot labels become such with `y.argmax(axis=1)`. Where several labels "
            "may hold at once, pass task='multi_label'."
        )
    return y


def _indicators(y, part: str) -> np.ndarray:
    if y.ndim != 2 or y.shape[1] < 2 or not np.isin(y, (0, 1)).all():
        raise ValueError(
            f"Invalid y of {part}. Expected zeros and ones of shape (examples, "
            f"labels), at least two labels. Received: shape {y.shape}, dtype "
            f"{y.dtype}, values from {y.min()} to {y.max()}"
        )
    return y.astype("int32")


def _check_width(labels, class_names: list[str], part: str) -> None:
    if labels.shape[1] != len(class_names):
        raise ValueError(
            f"Invalid y of {part}. Expected a column for each of {len(class_names)} "
            f"labels. Received: shape {labels.shape}"
        )


def _columns(y, part: str) -> np.ndarray:
    y = y.reshape(len(y), -1) if y.ndim == 1 else y
    if y.ndim != 2:
        raise ValueError(
            f"Invalid y of {part}. Expected targets of shape (examples,) or "
            f"(examples, targets). Received: shape {y.shape}"
        )
    if y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        raise ValueError(
            f"Invalid y of {part}. Expected the targets of a regression, or class "
            f"labels. Received: one-hot labels of shape {y.shape}\n"
            "They become class labels with `y.argmax(axis=1)`."
        )
    return y.astype("float32")


def _next_tokens(x, y, part: str, vocabulary) -> np.ndarray:
    if vocabulary is None or y.shape != x.shape:
        raise ValueError(
            f"Invalid arrays for a language model, in {part}. Expected `vocabulary`, "
            f"and y of the shape of x. Received: vocabulary={vocabulary}, x of shape "
            f"{x.shape}, y of shape {y.shape}"
        )
    _check_tokens(y, f"y of {part}", vocabulary)
    return y.astype("int32")


def _check_tokens(ids, where: str, vocabulary) -> None:
    if ids.min() < 0 or ids.max() >= len(vocabulary):
        raise ValueError(
            f"Invalid token ids in {where}. Expected integers from 0 to "
            f"{len(vocabulary) - 1}, the indices of `vocabulary`. Received: ids from "
            f"{ids.min()} to {ids.max()}"
        )


def _warn_of_unseen(labels: dict[str, np.ndarray], class_names: list[str]) -> None:
    """Says so where a class is never trained on, as where rows lie sorted by class."""
    num_seen = len(np.unique(labels["train"]))
    if num_seen < len(class_names):
        logger.warning(
            "Train has %d of the %d classes. If its targets are numbers, pass "
            "task='regression'; class labels begin at 0.",
            num_seen,
            len(class_names),
        )
    for part in labels:
        unseen = sorted(set(labels[part].tolist()) - set(labels["train"].tolist()))
        if unseen:
            logger.warning(
                "Classes %s occur in %s, but never in train. Are the rows sorted by "
                "class? A fraction cuts off the last rows: shuffle them first.",
                [class_names[label] for label in unseen],
                part,
            )
