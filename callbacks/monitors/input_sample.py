"""Checks and splits samples, which are model inputs with a batch dimension."""

import itertools
import operator

import keras
import numpy as np

from zoo.utils.arguments import invalid_argument


def check_sample(sample):
    """Returns the sample; raises an error if it is not a batch of inputs."""
    arrays = keras.tree.flatten(sample)
    sizes = {np.shape(array)[:1] for array in arrays if hasattr(array, "shape")}
    is_batch = len(arrays) and all(hasattr(array, "shape") for array in arrays)
    if not is_batch or len(sizes) != 1 or sizes & {(), (0,)}:
        raise invalid_argument(
            "sample",
            "inputs of the model with at least one example: an array, or a list or "
            "dict of arrays with the same number of examples",
            sample if not is_batch else [np.shape(a) for a in arrays],
            "Use a batch of a dataset, such as `x, y = next(iter(data.validation))`.",
        )
    return sample


def check_shapes(sample, model: keras.Model, name: str = "sample") -> None:
    """Raises an error if the sample does not match the inputs of a functional model.

    Args:
        sample: Inputs with a batch dimension.
        model: Model that takes them.
        name: Name of the argument. Defaults to `"sample"`.
    """
    inputs = getattr(model, "inputs", None)
    if not inputs or isinstance(sample, dict):
        return
    expected = [tuple(tensor.shape)[1:] for tensor in inputs]
    shapes = [tuple(np.shape(array))[1:] for array in keras.tree.flatten(sample)]
    if len(shapes) == len(expected) and all(map(_fits, shapes, expected)):
        return
    is_pair = isinstance(sample, tuple) and len(shapes) == len(expected) + 1
    raise invalid_argument(
        name,
        f"examples of shape {expected}, which the model takes",
        shapes,
        "Pass only the inputs, without the targets: `x` instead of `(x, y)`."
        if is_pair
        else "",
    )


def size_of(sample) -> int:
    """Returns the number of examples."""
    return keras.tree.flatten(sample)[0].shape[0]


def examples(sample, start: int, stop: int):
    """Returns a sample of only the examples at the indices `start` to `stop - 1`."""
    return keras.tree.map_structure(operator.itemgetter(slice(start, stop)), sample)


def split(sample, batch_size: int | None) -> list:
    """Splits a sample into batches of equal or nearly equal size.

    Equal sizes are preferred, because the model is compiled separately for each size.

    Args:
        sample: Sample to split.
        batch_size: Maximum number of examples in a batch, or `None` for no maximum.
    """
    size = size_of(sample)
    if batch_size is None or batch_size >= size:
        return [sample]
    number = -(-size // batch_size)
    number = next((n for n in range(number, 2 * number) if size % n == 0), number)
    bounds = np.linspace(0, size, number + 1).round().astype(int)
    return [examples(sample, start, stop) for start, stop in itertools.pairwise(bounds)]


def _fits(shape: tuple, expected: tuple) -> bool:
    # Keras adds or removes a last axis of size 1 to match the input.
    shape, expected = (s[:-1] if s[-1:] == (1,) else s for s in (shape, expected))
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )
