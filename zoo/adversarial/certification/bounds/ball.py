"""Balls of inputs, and the minima of linear functions on these balls."""

import numpy as np
from keras import ops

from ... import norms

ITERATIONS = 6  # for the l2 multiplier; the bound is valid after any of them
TINY = 1e-30  # also in float32


class Ball:
    """The inputs within `epsilon` of each example and within the bounds.

    Args:
        x: Float tensor of shape `(batch, size)`, within the bounds.
        epsilon: Scalar tensor >= 0 with the dtype of `x`.
        norm: "linf", "l2" or "l1".
        bounds: Minimum and maximum allowed input values.
        mask: Bool array of shape `(size,)`: the features that may change. Defaults to
            `None`: all features.
    """

    def __init__(
        self,
        x,
        epsilon,
        norm: str,
        bounds: tuple[float, float],
        mask: np.ndarray | None = None,
    ):
        self.x, self.epsilon, self.norm = x, epsilon, norm
        reach = epsilon if mask is None else ops.where(mask, epsilon, 0.0)
        self.below = ops.minimum(x - bounds[0], reach)
        self.above = ops.minimum(bounds[1] - x, reach)

    def box(self) -> tuple:
        """Returns the lower and upper limits of the smallest box around the ball."""
        return self.x - self.below, self.x + self.above

    def largest_change(self, kernel):
        """Returns upper bounds for the changes of linear functions on an l2 or l1 ball.

        The bounds of the inputs and the mask are ignored, so the result is the same for
        all examples.

        Args:
            kernel: Coefficients, of shape `(size, functions)`.

        Returns:
            A tensor of shape `(functions,)`: epsilon times the dual norms.
        """
        if self.norm == "l1":
            return self.epsilon * ops.max(ops.abs(kernel), axis=0)
        squares = ops.sum(ops.square(kernel), axis=0)
        return self.epsilon * ops.sqrt(ops.maximum(squares, TINY))

    def minimum(self, rows):
        """Returns lower bounds for linear functions on the ball.

        For linf, the bounds are exact. For l2 and l1, each bound is the value of the
        Lagrangian dual at a nearly optimal multiplier. By weak duality, the value at
        any multiplier is a lower bound.

        Args:
            rows: Coefficients, of shape `(batch or 1, functions, size)`.

        Returns:
            A tuple of two tensors of shape `(batch, functions)`: the lower bounds, and
            the sums of the absolute values of the terms that they consist of.
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
        """Returns the dual value: sum of min_d (m d^2 - size d), minus m epsilon^2.

        The multiplier m starts at the value for a ball without bounds. A feature that
        reaches its bound leaves more of epsilon to the other features, which reduces
        the multiplier.
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
        # The derivative with respect to an optimal multiplier is zero.
        multiplier = ops.stop_gradient(multiplier)
        step = ops.minimum(sizes / (2 * multiplier), moves)
        change = ops.sum(step * (multiplier * step - sizes), axis=-1)
        return change - multiplier[..., 0] * ops.square(self.epsilon)

    def _change_l1(self, sizes, moves):
        """Returns the dual value: minus the sum of (size - m)_+ move, minus m epsilon.

        The optimal multiplier m is the coefficient at which epsilon is used up if it is
        spent on the largest coefficients first.
        """
        order = ops.argsort(-sizes, axis=-1)
        sizes = ops.take_along_axis(sizes, order, axis=-1)
        order = ops.broadcast_to(order, ops.shape(moves))
        moves = ops.take_along_axis(moves, order, axis=-1)
        spent = ops.cumsum(moves, axis=-1)
        used_up = ops.where(spent >= self.epsilon, sizes, 0.0)
        multiplier = ops.stop_gradient(ops.max(used_up, axis=-1, keepdims=True))
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
    # With the vectors on the left, PyTorch is several times faster.
    rows = ops.transpose(rows, (0, 2, 1))
    return ops.squeeze(ops.matmul(vectors[:, None], rows), axis=1)


def outward(epsilon: float, norm: str, size: int, bounds: tuple[float, float]) -> float:
    """Returns a slightly larger radius, to allow for float32 rounding of the inputs.

    An attack adds its perturbation in float32, so each feature of the result can be
    off by half a unit in the last place. For an epsilon of 0, the result is 0.
    """
    if epsilon == 0:
        return 0.0
    unit = float(np.finfo("float32").eps)
    last_place = unit * max(abs(bounds[0]), abs(bounds[1]))
    return epsilon * (1 + 8 * unit) + last_place * norms.widest(norm, (size,), (0, 1))
