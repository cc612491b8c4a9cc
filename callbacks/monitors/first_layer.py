"""Extracts and plots the weights of the first layer as images."""

import keras
import numpy as np

from zoo.backend.keras_internals import flatten_layers
from zoo.utils.arguments import check_integer, invalid_argument


def first_layer_images(model: keras.Model) -> np.ndarray:
    """Returns the weights of each unit of the first layer as an image.

    The first layer is the first dense or 2D convolutional layer of the model. The
    input of a dense layer must be the flattened image, as in `zoo.mlp`. For a
    convolutional layer, the images are its filters.

    Args:
        model: Built model whose inputs are images of shape `(height, width)` or
            `(height, width, channels)`.

    Returns:
        Float array of shape `(units, height, width, channels)` with the weights of all
        units.

    Raises:
        ValueError: If the model is not built or has no dense or 2D convolutional layer.
            Also raised if the first such layer is dense and its input is not a
            flattened image.

    Example:

    >>> from zoo import mlp
    >>> first_layer_images(mlp((28, 28, 1), 10, units=(64,))).shape
    (64, 28, 28, 1)
    """
    kernel = _first_kernel(model)
    shape = kernel.shape
    if len(shape) == 2:
        image = _image_shape(model)
        if np.prod(image) != shape[0]:
            raise invalid_argument(
                "model",
                "a first layer that sees the flattened image",
                f"images of shape {image} and a kernel of shape {shape}",
            )
        shape = (*image, shape[1])
    return np.moveaxis(kernel.reshape(shape), -1, 0)


def plot_first_layer(model: keras.Model, *, max_units: int = 64, ax=None):
    """Plots the weights of the first layer, one image per unit.

    Well-trained weights are smooth and show strokes and edges. Noise indicates that the
    layer has learned little, or that regularization is missing. Identical images
    indicate that the units were initialized identically. All images use the same
    scale, which is symmetric around zero. With three channels, the weights are drawn as
    colors around gray. Otherwise, the mean of the weights over the channels is drawn,
    in red for positive and in blue for negative values.

    Args:
        model: Built model whose inputs are images, as in `first_layer_images`.
        max_units: Integer >= 1: maximum number of units to draw, starting with the
            first. Defaults to `64`.
        ax: Matplotlib axes to draw on. Defaults to `None`, which creates new axes.

    Returns:
        The Matplotlib figure.

    Raises:
        ValueError: If an argument is invalid.
    """
    import matplotlib.pyplot as plt

    check_integer("max_units", max_units, minimum=1)
    images = first_layer_images(model)[:max_units]
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 6), layout="constrained")
    limit = np.quantile(np.abs(images), 0.995) or 1.0
    mosaic = _mosaic(np.clip(images / limit, -1, 1))
    if mosaic.shape[-1] == 3:
        ax.imshow(np.nan_to_num(mosaic / 2 + 0.5, nan=1.0))
    else:
        ax.imshow(mosaic.mean(axis=-1), cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set_axis_off()
    return ax.figure


def _mosaic(images) -> np.ndarray:
    """Arranges images in a grid, separated by lines of NaN."""
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    canvas = np.full((rows * (height + 1), columns * (width + 1), channels), np.nan)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + 1), column * (width + 1)
        canvas[top : top + height, left : left + width] = image
    return canvas


def _first_kernel(model) -> np.ndarray:
    if not isinstance(model, keras.Model) or not model.built:
        raise invalid_argument("model", "a built keras.Model", model)
    kinds = keras.layers.Dense | keras.layers.Conv2D
    for layer in flatten_layers(model, include_self=False):
        if isinstance(layer, kinds):
            return np.array(keras.ops.convert_to_numpy(layer.kernel))
    raise invalid_argument("model", "a dense or convolutional layer", model.name)


def _image_shape(model) -> tuple:
    shape = tuple(model.input_shape[1:])
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3 or None in shape:
        raise invalid_argument(
            "model",
            "inputs of shape (height, width) or (height, width, channels)",
            model.input_shape,
        )
    return shape
