"""Linear bounds of a network, computed backwards from its outputs to its inputs.

This is CROWN: Zhang et al., "Efficient Neural Network Robustness Certification with
General Activation Functions" (2018).
"""

from dataclasses import dataclass
from typing import Any

from keras import ops

from . import operations
from .ball import products
from .interval_bounds import SMALLEST, BoundPass, Bounds, interval_bounds
from .relaxations import Relaxation, relax

CHUNK = 2**24  # maximum number of coefficients in a matrix: 128 MiB in float64


def crown_bounds(run: BoundPass) -> tuple[list[Bounds], dict[int, Relaxation]]:
    """Returns bounds of all operations, and relaxations of all activations.

    The inputs of activations have linear bounds. The keys of the relaxations are the
    indices of the activations.
    """
    bounds: list[Bounds] = []
    relaxations: dict[int, Relaxation] = {}
    for index, operation in enumerate(run.network.operations):
        if isinstance(operation, operations.ACTIVATIONS):
            (before,) = operation.inputs
            bounds[before] = _tighten(run, bounds, relaxations, before)
            relaxations[index] = relax(run, index, bounds[before])
        bounds.append(run.intervals(index, bounds))
    return bounds, relaxations


def ball_intervals(run: BoundPass) -> list[Bounds]:
    """Returns interval bounds of all operations, which start from the ball itself.

    Interval bounds hold for the box around a ball, which is much larger than an l2 or
    l1 ball. The inputs of the first activations are linear functions of the inputs of
    the network, so they can be bounded on the ball itself.

    For training, `BoundPass.intervals` has a faster and looser version of this for the
    first layer, which ignores the bounds of the inputs.
    """
    if run.ball.norm == "linf":
        return interval_bounds(run)
    bounds: list[Bounds] = []
    is_linear: list[bool] = []
    for index, operation in enumerate(run.network.operations):
        is_activation = isinstance(operation, operations.ACTIVATIONS)
        if is_activation and is_linear[operation.inputs[0]]:
            before = operation.inputs[0]
            bounds[before] = _tighten(run, bounds, {}, before)
        is_linear.append(
            not is_activation and all(is_linear[some] for some in operation.inputs)
        )
        bounds.append(run.intervals(index, bounds))
    return bounds


def lower_bounds(
    run: BoundPass,
    bounds: list[Bounds],
    relaxations: dict[int, Relaxation],
    index: int,
    rows,
):
    """Returns lower bounds for linear functions of the outputs of an operation.

    The functions are rewritten, one operation at a time, as linear functions of the
    outputs of earlier operations. An activation is replaced by its relaxation. If an
    activation has no relaxation, its interval is used. Without any relaxation, the
    result is thus the interval bound with the last linear layers merged.

    Args:
        run: The computation.
        bounds: Bounds of the operations, at least up to `index`.
        relaxations: Relaxations of activations, with their indices as keys.
        index: Index of the operation.
        rows: Coefficients, of shape `(batch or 1, functions, size)`.

    Returns:
        A tensor of shape `(batch, functions)`.
    """
    return _Backward(run, {index: rows}).run_back(bounds, relaxations)


def margins(run: BoundPass, bounds, relaxations, rows):
    """Returns lower bounds for functions of the logits, and the errors of the model.

    Args:
        run: The computation.
        bounds: Bounds of all operations.
        relaxations: Relaxations of activations; empty for interval bounds.
        rows: Coefficients, of shape `(batch, functions, num_outputs)`.

    Returns:
        A tuple of two tensors of shape `(batch, functions)`: the lower bounds, and
        upper bounds for the rounding errors of the model.
    """
    last = len(run.network.operations) - 1
    lower = lower_bounds(run, bounds, relaxations, last, rows)
    # The subtraction of logits is rounded, too.
    error = bounds[-1].error * (1 + 1e-6)
    return lower, products(ops.abs(rows), error)


@dataclass
class _Backward:
    """Linear functions during the backward pass.

    Args:
        run: The computation.
        rows: Coefficients, with the index of the operation that they refer to as key.
        constant: Tensor of shape `(batch, functions)`: the constant terms so far.
        terms: Sums of the absolute values of all terms so far, for rounding errors.
    """

    run: BoundPass
    rows: dict
    constant: Any = 0.0
    terms: Any = 0.0

    def run_back(self, bounds: list[Bounds], relaxations: dict[int, Relaxation]):
        """Runs the backward pass to the inputs, and returns the lower bounds."""
        for index in range(max(self.rows), -1, -1):
            if index in self.rows:
                self._step(index, bounds, relaxations.get(index))
        if not self.run.with_rounding:
            return self.constant
        listed = self.run.network.operations
        count = max(some.size for some in listed) + len(listed)
        return self.constant - self.run.rounding(count) * self.terms - SMALLEST

    def _step(self, index: int, bounds: list[Bounds], relaxation: Relaxation | None):
        operation = self.run.network.operations[index]
        rows = self.rows.pop(index)
        if isinstance(operation, operations.Source):
            self._add_constant(*self.run.ball.minimum(rows))
            return
        if isinstance(operation, operations.ACTIVATIONS):
            if relaxation is None:
                self._stop(rows, bounds[index])
            else:
                self._pass_activation(rows, operation, relaxation)
            return
        if self.run.with_rounding:
            self._add_constant(0.0, products(ops.abs(rows), bounds[index].terms))
        weights = self.run.weights[index]
        if isinstance(operation, operations.Dense):
            kernel, bias = weights
            self._add_constant(ops.matmul(rows, bias))
            self._add_rows(operation.inputs[0], ops.matmul(rows, ops.transpose(kernel)))
        elif isinstance(operation, operations.Scale):
            scale, shift, _ = weights
            self._add_constant(ops.matmul(rows, shift))
            self._add_rows(operation.inputs[0], rows * scale)
        else:  # a sum
            for before in operation.inputs:
                self._add_rows(before, rows)

    def _pass_activation(self, rows, operation, relaxation):
        sizes = ops.abs(rows)
        self._add_intervals(
            rows,
            sizes,
            relaxation.lower_shift,
            relaxation.upper_shift,
            relaxation.terms,
        )
        # The lower slope where a coefficient is positive, otherwise the upper slope.
        lower, upper = relaxation.lower_slope, relaxation.upper_slope
        rows = rows * ((lower + upper) / 2) + sizes * ((lower - upper) / 2)
        self._add_rows(operation.inputs[0], rows)

    def _stop(self, rows, bounds: Bounds):
        """Replaces the outputs of an operation by their intervals."""
        sizes = ops.abs(rows)
        self._add_intervals(rows, sizes, bounds.lower, bounds.upper, bounds.magnitude)

    def _add_intervals(self, rows, sizes, lower, upper, terms):
        """Adds the least values of the functions of numbers in intervals."""
        value = products(rows, (lower + upper) / 2)
        self._add_constant(value - products(sizes, (upper - lower) / 2))
        if self.run.with_rounding:
            self._add_constant(0.0, products(sizes, terms))

    def _add_constant(self, value, terms=0.0):
        self.constant = self.constant + value
        self.terms = self.terms + terms

    def _add_rows(self, index: int, rows):
        if index in self.rows:
            rows = self.rows[index] + rows
        self.rows[index] = rows


def _tighten(run, bounds, relaxations, index) -> Bounds:
    """Returns the intersection of the interval bounds and the linear bounds."""
    listed = run.network.operations
    if run.ball.norm == "linf" and _is_exact(listed, index):
        return bounds[index]
    size = listed[index].size
    largest = max(some.size for some in listed[: index + 1])
    chunk = max(1, CHUNK // (2 * run.ball.x.shape[0] * largest))
    sides = []
    for start in range(0, size, chunk):
        state = _begin(run, bounds, index, slice(start, start + chunk))
        sides.append(ops.split(state.run_back(bounds, relaxations), 2, axis=1))
    lower, upper = (ops.concatenate(side, axis=1) for side in zip(*sides, strict=True))
    return bounds[index].intersect(lower, -upper)


def _begin(run, bounds, index, part: slice) -> _Backward:
    """Starts a backward pass for some outputs of an operation and their negatives."""
    operation = run.network.operations[index]
    if not isinstance(operation, operations.Dense):
        rows = ops.eye(operation.size, dtype=run.dtype)[None, part]
        return _Backward(run, {index: _with_negatives(rows)})
    # The first step is known: its result is the kernel.
    kernel, bias = run.weights[index]
    rows = _with_negatives(ops.transpose(kernel)[None, part])
    terms = 0.0
    if run.with_rounding:
        terms = ops.tile(bounds[index].terms[:, part], (1, 2))
    bias = _with_negatives(bias[None, part])
    return _Backward(run, {operation.inputs[0]: rows}, bias, terms)


def _with_negatives(functions):
    return ops.concatenate([functions, -functions], axis=1)


def _is_exact(listed, index: int) -> bool:
    """Returns whether the interval bounds of an operation are exact on a box of inputs.

    They are exact after a single dense layer. A second layer would add intervals of
    values that depend on the same inputs.
    """
    is_first = True
    while not isinstance(listed[index], operations.Source):
        is_dense = isinstance(listed[index], operations.Dense)
        if not isinstance(listed[index], operations.Dense | operations.Scale):
            return False
        if is_dense and not is_first:
            return False
        is_first = is_first and not is_dense
        (index,) = listed[index].inputs
    return True
