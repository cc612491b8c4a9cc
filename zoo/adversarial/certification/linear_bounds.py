"""Linear lower bounds of a network, from its output back to its input.

Zhang et al., "Efficient Neural Network Robustness Certification with General
Activation Functions" (2018): CROWN.
"""

from dataclasses import dataclass

from keras import ops

from . import operations
from .ball import products
from .interval_bounds import SMALLEST, BoundPass, Bounds, interval_bounds
from .relaxations import Relaxation, relax

CHUNK = 2**24  # numbers in a matrix of coefficients: 128 MiB in float64


def crown_bounds(run: BoundPass) -> list[Bounds]:
    """Returns bounds of all operations, those before activations by linear bounds."""
    bounds, relaxations = [], {}
    for place, operation in enumerate(run.network.operations):
        if isinstance(operation, operations.ACTIVATIONS):
            (before,) = operation.inputs
            bounds[before] = _tighten(run, bounds, relaxations, before)
            relaxations[place] = relax(run, place, bounds[before])
        bounds.append(run.intervals(place, bounds))
    return bounds


def linear_intervals(run: BoundPass) -> list[Bounds]:
    """Returns intervals of all operations, in balls that are no boxes tight at first.

    Intervals hold for the box around a ball. What the first activations take is linear
    in the inputs, and so its bounds on the ball itself are known.
    """
    if run.ball.norm == "linf":
        return interval_bounds(run)
    bounds = []
    is_linear = []
    for place, operation in enumerate(run.network.operations):
        is_activation = isinstance(operation, operations.ACTIVATIONS)
        (before, *_) = (*operation.inputs, None)
        if is_activation and is_linear[before]:
            bounds[before] = _tighten(run, bounds, {}, before)
        is_linear.append(
            not is_activation and all(is_linear[some] for some in operation.inputs)
        )
        bounds.append(run.intervals(place, bounds))
    return bounds


def relax_all(run: BoundPass, bounds: list[Bounds]) -> dict[int, Relaxation]:
    """Returns the linear bounds of all activations, by their places."""
    return {
        place: relax(run, place, bounds[operation.inputs[0]])
        for place, operation in enumerate(run.network.operations)
        if isinstance(operation, operations.ACTIVATIONS)
    }


def lower_bounds(
    run: BoundPass,
    bounds: list[Bounds],
    relaxations: dict[int, Relaxation],
    place: int,
    rows,
):
    """Returns lower bounds of linear functions of what an operation computes.

    They are carried back as linear functions of the operations before. An activation
    is replaced by its linear bounds; one that has none is bounded by its interval,
    which makes the bounds those of interval arithmetic with the last layers merged.

    Args:
        run: The computation.
        bounds: Bounds of the operations, up to `place` at least.
        relaxations: Linear bounds of activations, by their places.
        place: Place of the operation.
        rows: Coefficients, of shape `(batch or 1, functions, size)`.

    Returns:
        A tensor of shape `(batch, functions)`.
    """
    return _Backward(run, {place: rows}).run_back(bounds, relaxations)


def margins(run: BoundPass, bounds, relaxations, rows):
    """Returns lower bounds of functions of the logits, and the errors of the model.

    Args:
        run: The computation.
        bounds: Bounds of all operations.
        relaxations: Linear bounds of activations; none for interval bounds.
        rows: Coefficients, of shape `(batch, functions, num_outputs)`.

    Returns:
        The lower bounds, and how far the model can be off by rounding, both of shape
        `(batch, functions)`.
    """
    last = len(run.network.operations) - 1
    lower = lower_bounds(run, bounds, relaxations, last, rows)
    # One rounding more for the subtraction of logits.
    error = bounds[-1].error * (1 + 1e-6)
    return lower, products(ops.abs(rows), error)


@dataclass
class _Backward:
    """Linear functions on their way back, and the constants they have gathered."""

    run: BoundPass
    rows: dict
    constant: object = 0.0
    terms: object = 0.0

    def run_back(self, bounds: list[Bounds], relaxations: dict[int, Relaxation]):
        """Carries all functions back to the inputs, and returns lower bounds."""
        for place in range(max(self.rows), -1, -1):
            if place in self.rows:
                self._step(place, bounds, relaxations.get(place))
        if not self.run.with_rounding:
            return self.constant
        listed = self.run.network.operations
        count = max(some.size for some in listed) + len(listed)
        return self.constant - self.run.rounding(count) * self.terms - SMALLEST

    def _step(self, place: int, bounds: list[Bounds], relaxation: Relaxation | None):
        operation = self.run.network.operations[place]
        rows = self.rows.pop(place)
        if isinstance(operation, operations.Source):
            value, terms = self.run.ball.minimum(rows)
            self._gather(value, terms)
            return
        if isinstance(operation, operations.ACTIVATIONS):
            if relaxation is None:
                self._stop(rows, bounds[place])
            else:
                self._through_activation(rows, operation, relaxation, bounds)
            return
        self._gather_terms(rows, bounds[place])
        weights = self.run.weights[place]
        if isinstance(operation, operations.Dense):
            kernel, bias = weights
            self._gather(ops.matmul(rows, bias))
            self._add(operation.inputs[0], ops.matmul(rows, ops.transpose(kernel)))
        elif isinstance(operation, operations.Scale):
            scale, shift, _ = weights
            self._gather(ops.matmul(rows, shift))
            self._add(operation.inputs[0], rows * scale)
        else:  # a sum
            for before in operation.inputs:
                self._add(before, rows)

    def _through_activation(self, rows, operation, relaxation, bounds):
        positive, negative = ops.maximum(rows, 0.0), ops.minimum(rows, 0.0)
        value = ops.sum(
            positive * relaxation.lower_shift + negative * relaxation.upper_shift,
            axis=-1,
        )
        self._gather(value)
        if self.run.with_rounding:
            self._gather(0.0, products(positive - negative, relaxation.terms))
        rows = positive * relaxation.lower_slope + negative * relaxation.upper_slope
        self._add(operation.inputs[0], rows)

    def _stop(self, rows, bounds: Bounds):
        center = (bounds.lower + bounds.upper) / 2
        radius = (bounds.upper - bounds.lower) / 2
        self._gather(products(rows, center) - products(ops.abs(rows), radius))
        if self.run.with_rounding:
            self._gather(0.0, products(ops.abs(rows), bounds.magnitude))

    def _gather_terms(self, rows, bounds: Bounds):
        if self.run.with_rounding:
            self._gather(0.0, products(ops.abs(rows), bounds.terms))

    def _gather(self, value, terms=0.0):
        self.constant = self.constant + value
        self.terms = self.terms + terms

    def _add(self, place: int, rows):
        if place in self.rows:
            rows = self.rows[place] + rows
        self.rows[place] = rows


def _tighten(run, bounds, relaxations, place) -> Bounds:
    """Returns bounds of an operation that are as tight as both ways make them."""
    listed = run.network.operations
    if run.ball.norm == "linf" and _is_exact(listed, place):
        return bounds[place]
    size = listed[place].size
    largest = max(some.size for some in listed[: place + 1])
    chunk = max(1, CHUNK // (2 * run.ball.x.shape[0] * largest))
    sides = []
    for start in range(0, size, chunk):
        state = _begin(run, bounds, place, slice(start, start + chunk))
        sides.append(ops.split(state.run_back(bounds, relaxations), 2, axis=1))
    lower, upper = (ops.concatenate(side, axis=1) for side in zip(*sides, strict=True))
    return bounds[place].intersect(lower, -upper)


def _begin(run, bounds, place, part: slice) -> _Backward:
    """Returns some outputs of an operation, and their negatives, to carry back."""
    operation = run.network.operations[place]
    if not isinstance(operation, operations.Dense):
        rows = ops.eye(operation.size, dtype=run.dtype)[None, part]
        return _Backward(run, {place: _with_negatives(rows)})
    # The first step back is known: it is the kernel.
    kernel, bias = run.weights[place]
    rows = _with_negatives(ops.transpose(kernel)[None, part])
    terms = 0.0
    if run.with_rounding:
        terms = ops.tile(bounds[place].terms[:, part], (1, 2))
    bias = _with_negatives(bias[None, part])
    return _Backward(run, {operation.inputs[0]: rows}, bias, terms)


def _with_negatives(functions):
    return ops.concatenate([functions, -functions], axis=1)


def _is_exact(listed, place: int) -> bool:
    """Whether the interval of an operation is exact on a box of inputs.

    It is after one dense layer: a second would add intervals that move together.
    """
    is_first = True
    while not isinstance(listed[place], operations.Source):
        is_dense = isinstance(listed[place], operations.Dense)
        if not isinstance(listed[place], operations.Dense | operations.Scale):
            return False
        if is_dense and not is_first:
            return False
        is_first = is_first and not is_dense
        (place,) = listed[place].inputs
    return True
