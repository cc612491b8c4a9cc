"""The loss of a model in random directions of its weights."""

import itertools
from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from .differentiation import compile_function, loss_function
from .filter_directions import filter_directions
from .loss_grid import LossGrid
from .utils.arguments import (
    check_choice,
    check_integer,
    check_positive,
    invalid_argument,
)

BATCH_SIZE = 512  # examples of arrays that are evaluated at the same time


def loss_surface(
    model: keras.Model,
    data,
    *,
    dimensions: int = 2,
    points: int = 25,
    span: float = 1.0,
    seed: int = 0,
    verbose: int = 1,
) -> LossGrid:
    """Evaluates the loss of a model around its weights, in random directions.

    With the weights w and one or two random directions d and e, the surface is
    f(a, b) = loss(w + a d + b e) (Li et al., 2018, "Visualizing the Loss Landscape of
    Neural Nets", equation 1). The directions are filter-normalized (section 4): each
    filter, that is, the weights of one unit or channel, is as long as that of the
    model. A step of 1 therefore is as large as the weights themselves, and surfaces of
    different models can be compared. Biases, and the scales and offsets of
    normalization layers, do not move. Nor do frozen layers.

    The loss is that of `model.evaluate`, including regularization terms. The layers run
    in inference mode: dropout is off, and batch normalization uses the moving
    statistics of the model, which stay those at w, as in the paper's code. The model is
    not changed at any time: the moved weights exist only inside the compiled function.

    Args:
        model: Compiled and built model.
        data: Tuple of arrays `(x, y)` or `(x, y, sample_weight)`, or an iterable of
            batches of this form, such as `data.train`, which is read once. A few
            thousand examples suffice.
        dimensions: 1 or 2, the number of directions. Defaults to `2`.
        points: Odd integer >= 3, the number of steps in each direction. The loss is
            evaluated at `points ** dimensions` points. Defaults to `25`.
        span: Number > 0. The steps are evenly spaced from `-span` to `span`. Defaults
            to `1.0`.
        seed: Integer >= 0 that seeds the directions. They are the same on every
            backend. Defaults to `0`.
        verbose: 0 for no output, 1 for a progress bar. Defaults to `1`.

    Returns:
        A `LossGrid`, with `steps`, `losses`, `to_frame()` and `plot()`.

    Raises:
        ValueError: If an argument is invalid, the data are empty, or all kernels of the
            model are zero.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> model.set_weights([np.array([[2.0]]), np.array([0.0])])
    >>> x = np.ones((4, 1))
    >>> grid = loss_surface(model, (x, 2 * x), dimensions=1, points=5, verbose=0)
    >>> grid.steps.tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    >>> grid.losses.tolist()  # (2 * step)²: the only filter has a norm of 2
    [4.0, 1.0, 0.0, 1.0, 4.0]
    """
    check_choice("dimensions", dimensions, (1, 2))
    if check_integer("points", points, minimum=3) % 2 == 0:
        fix = "With an even number, no point is at the weights of the model."
        raise invalid_argument("points", "an odd integer", points, fix)
    check_positive("span", span)
    check_integer("seed", seed, minimum=0)
    check_choice("verbose", verbose, (0, 1))
    batches = _batches(data)

    steps = np.linspace(-span, span, points)
    steps[points // 2] = 0.0  # exactly, whatever `span` is
    grid = list(itertools.product(steps, repeat=dimensions))
    bar = keras.utils.Progbar(_number_of(batches, len(grid)), verbose=verbose)
    losses, examples, directions = np.zeros(len(grid)), 0, None
    for batch in batches:
        batch = keras.tree.map_structure(ops.convert_to_tensor, _parts(batch))
        if directions is None:
            loss_at = _compiled_loss(model, batch)
            directions = [
                ops.convert_to_tensor(one)
                for one in filter_directions(model, dimensions, seed)
            ]
        size = keras.tree.flatten(batch)[0].shape[0]
        for index, point in enumerate(grid):
            loss = loss_at(np.array(point, "float32"), directions, batch)
            losses[index] += size * float(ops.convert_to_numpy(loss))
            bar.add(1)
        examples += size
    if not examples:
        raise invalid_argument("data", "at least one example", data)
    return LossGrid(steps, (losses / examples).reshape((points,) * dimensions))


def _compiled_loss(model: keras.Model, batch: tuple):
    """Compiles the loss of a batch as a function of the steps in the directions.

    Args:
        model: Compiled and built model.
        batch: First batch. If it does not fit the model, Keras raises a clearer error
            here than in compiled code.
    """

    def loss_of(batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        return loss_function(model, x, y, sample_weight=sample_weight, training=False)

    def loss_at(point, directions, batch):
        moved = [
            variable.value
            + ops.cast(ops.tensordot(point, direction, axes=1), variable.dtype)
            for variable, direction in zip(
                model.trainable_variables, directions, strict=True
            )
        ]
        return loss_of(batch)(moved)

    loss_of(batch)([variable.value for variable in model.trainable_variables])
    return compile_function(loss_at, model.variables)


def _batches(data) -> Iterable:
    """Returns an iterable of batches; arrays are cut into batches."""
    if isinstance(data, tuple) and len(data) in (2, 3):
        sizes = sorted({len(array) for array in keras.tree.flatten(_parts(data))})
        if len(sizes) != 1:
            raise invalid_argument("data", "arrays of the same length", sizes)
        return [_rows(data, start) for start in range(0, sizes[0], BATCH_SIZE)]
    is_array = isinstance(data, dict) or hasattr(data, "shape")
    if is_array or not hasattr(data, "__iter__"):
        raise invalid_argument(
            "data",
            "arrays (x, y), or an iterable of batches (x, y), such as `data.train`",
            data,
        )
    return data


def _rows(arrays: tuple, start: int) -> tuple:
    return keras.tree.map_structure(
        lambda array: array[start : start + BATCH_SIZE], _parts(arrays)
    )


def _parts(batch) -> tuple:
    """Returns the inputs, targets and weights of a batch that are not `None`."""
    parts = keras.utils.unpack_x_y_sample_weight(batch)
    return tuple(part for part in parts if part is not None)


def _number_of(batches, points: int) -> int | None:
    """Returns the number of losses to evaluate, or `None` if it is not known."""
    try:
        return points * len(batches)
    except TypeError:  # for example, a generator
        return None
