"""Maps the examples of a TFDS dataset to `(x, y)`, based on the dataset's features.

Supported kinds of datasets:

- image: an image with one or more labels. As in `from_arrays`, a tensor of dtype bool,
  uint8 or uint16 and shape (height, width) or (height, width, channels) is also treated
  as an image;
- table: a vector, or a dict of scalars and vectors, with one or more labels or a
  numeric target;
- tensor: a numeric tensor of known shape, with one or more labels or a numeric target;
- text: a text with one or more labels;
- language_model: text without a label.

A single label is a `ClassLabel` or a boolean. Multiple labels are given as a vector of
booleans.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .arrays import is_image
from .table_columns import TableColumns
from .text import as_utf8

MAPPED = (
    "Mapped are: image + label; a tensor of known shape, or a dict of scalars and "
    "vectors (numbers, booleans, categories) + label or numeric target; text + "
    "label; text alone. A vector of booleans counts as several labels."
)
FIX = (
    "Load the dataset with `tfds.load`, convert it to arrays, and pass these to "
    "`zoo.datasets.from_arrays`."
)


@dataclass(frozen=True)
class Mapping:
    """Describes how the examples of a dataset are converted to `(x, y)`.

    Args:
        kind: "image", "table", "tensor", "text" or "language_model".
        task: "classification", "multi_label", "regression" or "language_model".
        function: TensorFlow function that converts a TFDS example to `(x, y)`. For a
            language model, `x` and `y` are both the text.
        class_names: List of strings for classification and multi_label, otherwise
            `None`.
        num_targets: Number of target values for regression, otherwise `None`.
        columns: Names and positions of the columns of a table.
    """

    kind: str
    task: str
    function: Callable
    class_names: list[str] | None = None
    num_targets: int | None = None
    columns: TableColumns = field(default_factory=TableColumns)


def read_features(info, image_size: tuple[int, int] | None = None) -> Mapping:
    """Chooses how to convert examples to `(x, y)`, based on the features of a dataset.

    Args:
        info: The `tfds.core.DatasetInfo` of a prepared dataset.
        image_size: `(height, width)` to which images are resized. Defaults to
            `None`: images are not resized and must all have the same size.

    Returns:
        A `Mapping`.

    Raises:
        ValueError: If the features are not supported, the images have no fixed size
            and `image_size` is `None`, or `image_size` is given for inputs that are
            not images.
    """
    import tensorflow_datasets as tfds

    features = info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        raise _unmapped(info, f"its examples are {type(features).__name__}, not dicts")
    inputs_key, target_key = _keys(info)
    inputs = _select(features, inputs_key)
    if target_key is None or target_key == inputs_key:
        if isinstance(inputs, tfds.features.Text):
            return Mapping(
                "language_model",
                "language_model",
                lambda e: (as_utf8(e[inputs_key]),) * 2,
            )
        raise _unmapped(info, "it has no label and no numeric target")

    target = _select(features, target_key)
    task, facts, read_target = _read_target(info, target_key, target)
    kind, columns, read_inputs = _read_inputs(info, inputs_key, inputs, image_size)
    if kind in ("image", "text") and task == "regression":
        raise _unmapped(info, f"{kind} with a numeric target")

    def function(example):
        return (
            read_inputs(_select(example, inputs_key)),
            read_target(_select(example, target_key)),
        )

    return Mapping(kind, task, function, columns=columns, **facts)


def _keys(info):
    """Returns the key of the inputs and the key of the target.

    If the dataset defines no supervised keys, the keys are inferred from the types of
    the features. If the keys are inferred and there is only one feature, the key of the
    target is `None`.
    """
    import tensorflow_datasets as tfds

    features = info.features
    if info.supervised_keys is not None:
        if len(info.supervised_keys) != 2:
            raise _unmapped(info, f"its supervised keys are {info.supervised_keys}")
        return info.supervised_keys
    if len(features) == 1:
        return next(iter(features)), None
    labels = [k for k, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    if len(labels) != 1:
        raise _unmapped(
            info,
            f"it defines no supervised keys, and {len(labels)} features are labels "
            "instead of exactly one",
        )
    for kind in (tfds.features.Image, tfds.features.Text):
        keys = [k for k, f in features.items() if isinstance(f, kind)]
        if len(keys) == 1:
            return keys[0], labels[0]
        if keys:
            raise _unmapped(info, f"several features are {kind.__name__}: {keys}")
    return {key: key for key in features if key not in labels}, labels[0]


def _select(tree, key):
    """Selects the values for a supervised key (a name, or a dict or tuple of keys)."""
    if isinstance(key, str):
        return tree[key]
    if isinstance(key, dict):
        return {name: _select(tree, inner) for name, inner in key.items()}
    return {str(inner): _select(tree, inner) for inner in key}


def _read_target(info, key, feature):
    """Returns the task, a dict of additional arguments for `Mapping`, and a function.

    The function converts the target of a TFDS example to `y`.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.ClassLabel):
        if not feature.num_classes:
            raise _unmapped(info, f"its label {key!r} does not define its classes")
        facts = {"class_names": list(feature.names)}
        return "classification", facts, lambda y: tf.cast(y, tf.int32)
    if not _is_numeric(feature) or len(feature.shape) > 1:
        raise _unmapped(info, f"its target {key!r} is {_describe(feature)}")
    size = feature.shape[0] if feature.shape else 1
    if np.issubdtype(feature.np_dtype, np.bool_):
        if size > 1:
            facts = {"class_names": [str(i) for i in range(size)]}
            return "multi_label", facts, lambda y: tf.cast(y, tf.int32)
        facts = {"class_names": ["False", "True"]}
        return "classification", facts, lambda y: tf.reshape(tf.cast(y, tf.int32), ())
    return (
        "regression",
        {"num_targets": size},
        lambda y: tf.reshape(tf.cast(y, tf.float32), (size,)),
    )


def _read_inputs(info, key, feature, image_size):
    """Returns the kind of the inputs, the columns of a table, and a function.

    The function converts the inputs of a TFDS example to `x`.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Image) or (
        _is_numeric(feature) and is_image(feature.np_dtype, len(feature.shape))
    ):
        return "image", TableColumns(), _image_reader(info, key, feature, image_size)
    if image_size is not None:
        raise ValueError(
            "Invalid value for argument `image_size`. Expected None, because the "
            f"inputs of dataset '{info.name}' are not images. Received: "
            f"image_size={image_size!r}"
        )
    if isinstance(feature, tfds.features.Text):
        return "text", TableColumns(), as_utf8
    if hasattr(feature, "items"):
        columns, function = _table_reader(info, feature)
        return "table", columns, function
    if _is_numeric(feature):
        kind = "table" if len(feature.shape) == 1 else "tensor"
        shape = feature.shape or (1,)
        columns = TableColumns()
        if kind == "table":
            columns = TableColumns([f"{key}[{i}]" for i in range(shape[0])], {})
        return kind, columns, lambda x: tf.reshape(tf.cast(x, tf.float32), shape)
    raise _unmapped(info, f"its input {key!r} is {_describe(feature)}")


def _image_reader(info, key, feature, image_size):
    import tensorflow as tf

    def with_channel(image):
        return image if len(feature.shape) == 3 else image[..., None]

    if image_size is None:
        if None in feature.shape:
            raise ValueError(
                f"The images {key!r} of dataset '{info.name}' have no fixed size. "
                f"Expected the same size for all. Received: shape={feature.shape}\n"
                "Pass `image_size=(height, width)` to resize them."
            )
        return with_channel
    dtype = tf.as_dtype(feature.np_dtype)

    def resize(image):
        image = with_channel(image)
        if dtype.is_bool:
            image = tf.cast(image, tf.float32)
        resized = tf.image.resize(image, image_size, antialias=True)
        if not dtype.is_integer:
            return resized
        return tf.cast(tf.round(tf.clip_by_value(resized, 0, dtype.max)), dtype)

    return resize


def _table_reader(info, features):
    """Returns the columns, and a function that joins them into a vector.

    The columns are sorted by feature name. Categories are one-hot encoded.
    """
    import tensorflow as tf

    flat = dict(sorted(_flatten(features)))
    categories = {}
    for name, feature in flat.items():
        if not _is_numeric(feature) or len(feature.shape) > 1:
            raise _unmapped(info, f"its column {name!r} is {_describe(feature)}")
        classes = getattr(feature, "names", None)
        if classes is None and feature.shape:
            parts = [f"{name}[{i}]" for i in range(feature.shape[0])]
            categories.update(dict.fromkeys(parts))
        else:
            categories[name] = classes
    columns = TableColumns.of_categories(categories)

    def function(example):
        parts = []
        for name, value in sorted(_flatten(example)):
            num_classes = getattr(flat[name], "num_classes", None)
            if num_classes is not None:
                value = tf.one_hot(value, num_classes)
            parts.append(tf.reshape(tf.cast(value, tf.float32), (-1,)))
        row = tf.concat(parts, axis=0)
        row.set_shape((len(columns.feature_names),))
        return row

    return columns, function


def _flatten(tree, prefix=""):
    """Yields `(name, leaf)` for each leaf of nested dicts.

    The name consists of the keys on the path to the leaf, joined with slashes.
    """
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if hasattr(value, "items"):
            yield from _flatten(value, f"{name}/")
        else:
            yield name, value


def _is_numeric(feature) -> bool:
    """Returns whether a feature is a real-valued or boolean tensor of known shape."""
    import tensorflow_datasets as tfds

    if not isinstance(feature, tfds.features.Tensor):
        return False
    is_number = np.dtype(feature.np_dtype).kind in "biuf"
    return is_number and None not in feature.shape


def _describe(feature) -> str:
    shape, dtype = getattr(feature, "shape", None), getattr(feature, "dtype", None)
    name = type(feature).__name__
    if isinstance(shape, tuple) and dtype is not None:
        return f"{name}(shape={shape}, dtype={getattr(dtype, '__name__', dtype)})"
    return name


def _unmapped(info, reason: str) -> ValueError:
    return ValueError(
        f"Cannot map the features of dataset '{info.name}': {reason}. {MAPPED} "
        f"Received: {info.features}\n{FIX}"
    )
