"""Balls within the bounds of the inputs, and linear functions on them."""

import math

import numpy as np
from keras import ops

NORMS = ("linf", "l2", "l1")
ITERATIONS = 6  # of the multiplier of l2: each is sound, and the last ones agree
TINY = 1e-100


class Ball:
    """The inputs within `epsilon` of each example, and within the bounds.

    Args:
        x: Tensor of shape `(batch, size)`, within the bounds.
        epsilon: Scalar tensor >= 0, of the dtype of `x`.
        norm: "linf", "l2" or "l1".
        bounds: The lowest and the highest value of an input.
    """

    def __init__(self, x, epsilon, norm: str, bounds: tuple[float, float]):
        self.x, self.epsilon, self.norm = x, epsilon, norm
        self.below = ops.minimum(x - bounds[0], epsilon)
        self.above = ops.minimum(bounds[1] - x, epsilon)

    def box(self) -> tuple:
        """Returns the smallest box around the ball, both of the shape of `x`."""
        return self.x - self.below, self.x + self.above

    def minimum(self, rows):
        """Returns the minima of linear functions on the ball.

        For l2 and l1 it is the maximum over a multiplier of the Lagrangian dual, of
        which every value is a lower bound (weak duality).

        Args:
            rows: Coefficients, of shape `(batch or 1, functions, size)`.

        Returns:
            The minima and the sums of the absolute terms that they were made of, both
            of shape `(batch, functions)`.
        """
        sizes = ops.abs(rows)
        terms = products(sizes, ops.abs(self.x) + self.epsilon)
        lower, upper = self.box()
        within_box = products(rows, (lower + upper) / 2) - products(
            sizes, (upper - lower) / 2
        )
        if self.norm == "linf":
            return within_box, terms
        moves = ops.where(rows > 0, self.below[:, None], self.above[:, None])
        dual = self._change_l2 if self.norm == "l2" else self._change_l1
        change = products(rows, self.x) + dual(sizes, moves)
        return ops.maximum(within_box, change), terms

    def _change_l2(self, sizes, moves):
        """The dual with multiplier m: the sum of min_d (m d^2 - size d), minus m e^2.

        The multiplier starts at that of the ball without bounds; what hits a bound
        leaves more of epsilon to the rest, and so the multiplier falls.
        """
        rest = ops.ones_like(sizes[..., :1]) * ops.square(self.epsilon)
        free = sizes
        multiplier = TINY
        for _ in range(ITERATIONS):
            norm = ops.sqrt(ops.sum(ops.square(free), axis=-1, keepdims=True))
            multiplier = norm / (2 * ops.sqrt(ops.maximum(rest, TINY))) + TINY
            is_free = sizes < 2 * multiplier * moves
            free = ops.where(is_free, sizes, 0.0)
            fixed = ops.where(is_free, 0.0, moves)
            rest = ops.square(self.epsilon) - ops.sum(
                ops.square(fixed), axis=-1, keepdims=True
            )
        step = ops.minimum(sizes / (2 * multiplier), moves)
        change = ops.sum(step * (multiplier * step - sizes), axis=-1)
        return change - multiplier[..., 0] * ops.square(self.epsilon)

    def _change_l1(self, sizes, moves):
        """The dual with multiplier m: minus the sum of (size - m)_+ move, minus m e.

        The best multiplier is the coefficient at which epsilon is used up, when it is
        spent on the largest coefficients first.
        """
        order = ops.argsort(-sizes, axis=-1)
        sizes = ops.take_along_axis(sizes, order, axis=-1)
        order = ops.broadcast_to(order, ops.shape(moves))
        moves = ops.take_along_axis(moves, order, axis=-1)
        spent = ops.cumsum(moves, axis=-1)
        used_up = ops.where(spent >= self.epsilon, sizes, 0.0)
        multiplier = ops.max(used_up, axis=-1, keepdims=True)
        excess = ops.maximum(sizes - multiplier, 0.0)
        return -ops.sum(excess * moves, axis=-1) - multiplier[..., 0] * self.epsilon


def products(rows, vectors):
    """Returns the products of matrices and vectors.

    Args:
        rows: Tensor of shape `(batch or 1, functions, size)`.
        vectors: Tensor of shape `(batch, size)`.

    Returns:
        A tensor of shape `(batch, functions)`.
    """
    if rows.shape[0] == 1:
        return ops.matmul(vectors, ops.transpose(rows[0]))
    return ops.squeeze(ops.matmul(rows, vectors[:, :, None]), axis=-1)


def widest(norm: str, shape: tuple[int, ...], bounds: tuple[float, float]) -> float:
    """Returns the norm of the largest perturbation that the bounds admit."""
    size = math.prod(shape)
    powers = {"linf": 1.0, "l2": math.sqrt(size), "l1": float(size)}
    return (bounds[1] - bounds[0]) * powers[norm]


def outward(epsilon: float, norm: str, size: int, bounds: tuple[float, float]) -> float:
    """Returns the radius of a ball that has room for the rounding of float32.

    An attack adds a perturbation in float32, and every input that it makes is off by
    half a unit in the last place. A ball of radius 0 is the example itself.
    """
    if epsilon == 0:
        return 0.0
    unit = float(np.finfo("float32").eps)
    last_place = unit * max(abs(bounds[0]), abs(bounds[1]))
    return epsilon * (1 + 8 * unit) + last_place * widest(norm, (size,), (0.0, 1.0))
