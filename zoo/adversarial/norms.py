"""Functions for perturbations in linf, l2 and l1 balls.

Tensors contain batches of examples, which are processed independently. Directions are
zero where `mask` is zero. Features that the mask excludes therefore stay unperturbed,
provided that the starting point does not perturb them.
"""

import math

import keras
import numpy as np
from keras import ops

NORMS = ("linf", "l2", "l1")
TINY = 1e-30  # avoids division by zero; a nonzero float32 l2 norm is larger
SPARSITY = 0.01  # fraction of the features that one l1 step changes
BISECTIONS = 40  # of the threshold of the projection onto an l1 ball


def norm_of(norm: str, delta):
    """Returns the norm of each perturbation, as a tensor of shape `(batch, 1, ...)`."""
    axes = _axes(delta)
    if norm == "linf":
        return ops.max(ops.abs(delta), axis=axes, keepdims=True)
    if norm == "l1":
        return ops.sum(ops.abs(delta), axis=axes, keepdims=True)
    return ops.sqrt(ops.sum(ops.square(delta), axis=axes, keepdims=True))


def direction(norm: str, gradient, mask=None):
    """Returns the direction of an ascent step as a perturbation of norm 1.

    For linf and l2, this is the direction of steepest ascent. For l1, the direction of
    steepest ascent changes a single feature. Instead, the one percent of the features
    with the largest gradients change by the same amount (Tramer & Boneh, "Adversarial
    Training and Robustness for Multiple Perturbations", 2019).

    Entries are zero where the gradient is zero or NaN, or where the mask is zero.
    """
    gradient = ops.where(ops.isnan(gradient), ops.zeros_like(gradient), gradient)
    if mask is not None:
        gradient = gradient * mask
    if norm == "linf":
        return ops.sign(gradient)
    if norm == "l1":
        return _sparse_direction(gradient)
    gradient = ops.clip(gradient, -1e30, 1e30)
    # First scale the largest entry to 1, because squares of small gradients underflow.
    gradient = gradient / ops.maximum(norm_of("linf", gradient), TINY)
    return gradient / ops.maximum(norm_of("l2", gradient), TINY)


def project(norm: str, x, center, epsilon, low, high):
    """Projects inputs onto the ball around `center`, and clips them to the bounds.

    Args:
        norm: "linf", "l2" or "l1".
        x: Tensor of shape `(batch, ...)`.
        center: Tensor of the same shape, within the bounds.
        epsilon: Radius: a scalar, or a tensor that broadcasts to the shape of `x`.
        low: Minimum allowed input value.
        high: Maximum allowed input value.
    """
    if norm == "linf":
        lowest = ops.maximum(center - epsilon, low)
        return ops.minimum(ops.maximum(x, lowest), ops.minimum(center + epsilon, high))
    delta = x - center
    if norm == "l1":
        return center + _project_l1(delta, epsilon, low - center, high - center)
    size = norm_of("l2", delta)
    delta = delta * ops.minimum(1.0, epsilon / ops.maximum(size, TINY))
    # Clipping moves every entry towards the center, so the point stays in the ball.
    return ops.clip(center + delta, low, high)


def noise_size(norm: str, shape: tuple[int, ...]) -> int:
    """Returns the number of random numbers needed to draw a point in the unit ball."""
    return math.prod(shape) + {"linf": 0, "l2": 2, "l1": 1}[norm]


def draw_for_examples(
    norm: str,
    shape: tuple[int, ...],
    seed: int,
    restarts: np.ndarray,
    examples: np.ndarray,
) -> np.ndarray:
    """Draws noise that depends only on the seed, the restart and the example.

    Args:
        norm: "linf", "l2" or "l1".
        shape: Shape of an example.
        seed: Integer >= 0.
        restarts: Integer array: the restart index of each example.
        examples: Integer array: the index of each example in the data.

    Returns:
        A float32 array of shape `(examples, noise_size)`, to be passed to `unit_ball`.
    """
    size = noise_size(norm, shape)
    noise = np.empty((len(examples), size), "float32")
    for row, restart, example in zip(noise, restarts, examples, strict=True):
        generator = np.random.default_rng((seed, int(restart), int(example)))
        if norm == "l2":
            row[:] = generator.standard_normal(size)
        else:
            row[:] = generator.uniform(-1, 1, size)
    return noise


def center(norm: str, shape: tuple[int, ...], size: int) -> np.ndarray:
    """Returns the noise that `unit_ball` maps to the center of the ball."""
    noise = np.zeros((size, noise_size(norm, shape)), "float32")
    noise[:, math.prod(shape) :] = 0.5
    return noise


def draw_for_batch(norm: str, x, seed):
    """Draws noise for a batch inside a compiled training step."""
    shape = (ops.shape(x)[0], noise_size(norm, x.shape[1:]))
    if norm == "l2":
        return keras.random.normal(shape, dtype="float32", seed=seed)
    return keras.random.uniform(shape, -1, 1, dtype="float32", seed=seed)


def unit_ball(norm: str, noise, like, mask=None):
    """Maps noise to points that are uniformly distributed in the unit ball.

    Features that the mask excludes are set to zero. The points are then uniformly
    distributed in the unit ball of the remaining features.

    If a point is uniform on the sphere in n + 2 dimensions, its first n entries are
    uniform in the ball in n dimensions (Voelker, Gosmann & Stewart, "Efficiently
    sampling vectors and coordinates from the n-sphere and n-ball", 2017). For l1, the
    same holds with Laplace instead of normal variables, and with n + 1 dimensions
    (Barthe, Guedon, Mendelson & Naor, "A probabilistic approach to the geometry of the
    l_p^n-ball", 2005).
    """
    if norm == "l1":
        noise = _laplace(noise)
    rest = noise[:, math.prod(like.shape[1:]) :]
    point = ops.reshape(noise[:, : math.prod(like.shape[1:])], ops.shape(like))
    if mask is not None:
        point = point * mask
    if norm == "linf":
        return point
    if norm == "l1":
        outside = expand(ops.sum(ops.abs(rest), axis=1), like)
        return point / (norm_of("l1", point) + outside)
    outside = expand(ops.sum(ops.square(rest), axis=1), like)
    return point / ops.sqrt(ops.square(norm_of("l2", point)) + outside)


def sizes(norm: str, points: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns the norms of perturbations of NumPy arrays, computed in float64."""
    moves = (points.astype("float64") - x).reshape(len(x), -1)
    return np.linalg.norm(moves, {"linf": np.inf, "l2": 2, "l1": 1}[norm], axis=1)


def widest(norm: str, shape: tuple[int, ...], bounds: tuple[float, float]) -> float:
    """Returns the norm of the largest perturbation within the bounds.

    Args:
        norm: "linf", "l2" or "l1".
        shape: Shape of an example.
        bounds: Minimum and maximum allowed input values.
    """
    size = math.prod(shape)
    factors = {"linf": 1.0, "l2": math.sqrt(size), "l1": float(size)}
    return (bounds[1] - bounds[0]) * factors[norm]


def expand(values, like):
    """Reshapes one value per example so that it broadcasts to the shape of `like`.

    Args:
        values: Tensor of shape `(batch,)`.
        like: Tensor of shape `(batch, ...)`.
    """
    return ops.reshape(values, (-1,) + (1,) * (len(like.shape) - 1))


def _sparse_direction(gradient):
    sizes = ops.reshape(ops.abs(gradient), (-1, math.prod(gradient.shape[1:])))
    count = max(1, round(SPARSITY * sizes.shape[1]))
    smallest = expand(ops.top_k(sizes, count)[0][:, -1], gradient)
    moved = ops.where(ops.abs(gradient) >= smallest, ops.sign(gradient), 0.0)
    return moved / ops.maximum(norm_of("l1", moved), TINY)


def _project_l1(delta, epsilon, lowest, highest):
    """Projects onto the intersection of an l1 ball and a box that contains zero.

    The projection moves each entry toward zero by the same threshold, and then clips it
    to the box. The threshold is found by bisection.
    """

    def shrink(threshold):
        moved = ops.sign(delta) * ops.maximum(ops.abs(delta) - threshold, 0.0)
        return ops.clip(moved, lowest, highest)

    def bisect(_, ends):
        low, high = ends
        middle = (low + high) / 2
        is_inside = norm_of("l1", shrink(middle)) <= epsilon
        return ops.where(is_inside, low, middle), ops.where(is_inside, middle, high)

    largest = norm_of("linf", delta)
    ends = ops.fori_loop(0, BISECTIONS, bisect, (ops.zeros_like(largest), largest))
    is_inside = norm_of("l1", shrink(0.0)) <= epsilon
    return shrink(ops.where(is_inside, 0.0, ends[1]))


def _laplace(noise):
    """Converts uniform noise in [-1, 1] to Laplace noise."""
    return -ops.sign(noise) * ops.log1p(-ops.minimum(ops.abs(noise), 1 - 1e-7))


def _axes(x) -> tuple[int, ...]:
    return tuple(range(1, len(x.shape)))
