"""Random directions in the space of the weights, filter by filter."""

import keras
import numpy as np

from .backend.keras_internals import flatten_layers, own_trainable_variables
from .utils.arguments import invalid_argument

DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def filter_directions(model: keras.Model, count: int, seed: int) -> list[np.ndarray]:
    """Draws random directions in which every filter is as long as that of the model.

    The entries are drawn from a normal distribution, and each filter d of a direction
    is then scaled to |d| = |w|, the norm of the same filter of the model (Li et al.,
    2018, "Visualizing the Loss Landscape of Neural Nets", section 4). A filter is the
    set of weights that produce one channel or one unit. In an embedding, it is the
    vector of one token.

    The directions are zero for variables with fewer than two axes, that is, for biases
    and for the scales and offsets of normalization layers. The paper's code also keeps
    these fixed (`--xignore biasbn`).

    Args:
        model: Built model.
        count: Number of directions.
        seed: Integer >= 0.

    Returns:
        A list of float32 arrays in the order of `model.trainable_variables`, each of
        shape `(count, *variable.shape)`.

    Raises:
        ValueError: If there is no direction, because no trainable variable with two or
            more axes contains a weight other than zero.
    """
    axes = {
        id(variable): _filter_axes(layer, variable)
        for layer in flatten_layers(model)
        for variable in own_trainable_variables(layer)
    }
    generator = np.random.default_rng(seed)
    directions = []
    for variable in model.trainable_variables:
        shape = (count, *variable.shape)
        if len(variable.shape) < 2:
            directions.append(np.zeros(shape, "float32"))
            continue
        weights = keras.ops.convert_to_numpy(keras.ops.cast(variable.value, "float32"))
        drawn = generator.standard_normal(shape)
        kept = axes.get(id(variable), (weights.ndim - 1,))
        summed = tuple(axis for axis in range(weights.ndim) if axis not in kept)
        lengths = _norms(weights[None], summed) / _norms(drawn, summed)
        directions.append((drawn * lengths).astype("float32"))
    if not any(one.any() for one in directions):
        raise invalid_argument(
            "model",
            "trainable kernels that are not all zero, which give each filter of a "
            "random direction its length",
            model.name,
        )
    return directions


def _norms(arrays: np.ndarray, summed: tuple[int, ...]) -> np.ndarray:
    """Returns the norms of the filters of several arrays, with the axes kept.

    Args:
        arrays: Array of shape `(count, ...)`.
        summed: Axes inside a filter, where 0 is the first axis after that of `count`.
    """
    axes = tuple(axis + 1 for axis in summed)
    return np.sqrt((arrays.astype("float64") ** 2).sum(axis=axes, keepdims=True))


def _filter_axes(layer: keras.Layer, variable: keras.Variable) -> tuple[int, ...]:
    """Returns the axes of a variable that number its filters."""
    last = len(variable.shape) - 1
    if isinstance(layer, keras.layers.Embedding):
        return (0,)
    if isinstance(layer, DEPTHWISE) or variable.name == "depthwise_kernel":
        return (last - 1, last)
    if isinstance(layer, TRANSPOSED):
        return (last - 1,)
    if isinstance(layer, keras.layers.EinsumDense):
        operands, outputs = layer.equation.split("->")
        kernel = operands.split(",")[1]
        return tuple(axis for axis, name in enumerate(kernel) if name in outputs)
    return (last,)
