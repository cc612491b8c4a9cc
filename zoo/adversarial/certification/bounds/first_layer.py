"""Linear bounds on the first layer of a network, with products in float32."""

import numpy as np
from keras import ops

from ....backend import accelerators
from . import operations
from .ball import products
from .interval_bounds import SMALLEST, BoundPass, Bounds, gamma

FAST = "float32"


def is_exact(listed: tuple[operations.Operation, ...], index: int) -> bool:
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


def is_supported(run: BoundPass, index: int) -> bool:
    """Returns whether `minimum` applies to an operation.

    If the layer itself computes in float32, the allowance for the errors of `minimum`
    is smaller than that for the errors of the layer.
    """
    operation = run.network.operations[index]
    return (
        run.float32_products
        and run.with_rounding
        and run.ball.norm == "linf"
        and isinstance(operation, operations.Dense)
        and operation.dtype == FAST
        and is_exact(run.network.operations, index)
    )


def minimum(run: BoundPass, bounds: list[Bounds], index: int, rows) -> tuple:
    """Returns lower bounds for linear functions of the outputs of a first dense layer.

    For coefficients R, kernel K, and inputs with center c and radius r, the least value
    is R (K c + bias) - |R K| r. The interval bounds of the layer contain its first part
    in float64, and |K| r. So only R K, which takes most of the time of a certificate,
    is computed in float32. Its error is at most gamma |R| |K|, which changes the result
    by at most gamma |R| |K| r (Higham, "Accuracy and Stability of Numerical
    Algorithms", 2002, section 3.5).

    Args:
        run: The computation.
        bounds: Bounds of the operations up to `index`.
        index: Index of the layer.
        rows: Coefficients, of shape `(batch or 1, functions, size)`.

    Returns:
        A tuple of two tensors of shape `(batch, functions)`: the lower bounds, and the
        sums of the absolute values of the terms that are computed in float64.
    """
    operation = run.network.operations[index]
    before, after = bounds[operation.inputs[0]], bounds[index]
    kernel, _ = operation.read(FAST)  # only cast: nothing is computed in float32
    middle, spread = (after.lower + after.upper) / 2, (after.upper - after.lower) / 2
    # Radii that underflow would be too small.
    radius = (before.upper - before.lower) / 2 + SMALLEST
    reach = ops.sum(radius, axis=1, keepdims=True)
    # The sum over the inputs is in float32, too. Other products may underflow.
    error = gamma(sum(kernel.shape), FAST) * spread + SMALLEST * reach
    underflow = SMALLEST * (reach + ops.sum(spread, axis=1, keepdims=True))

    changes = ops.matmul(ops.cast(rows, FAST), ops.transpose(kernel))
    change = products(ops.abs(changes), ops.cast(radius, FAST))
    sizes = ops.abs(rows)
    value = products(rows, middle) - products(sizes, error) - underflow
    return value - ops.cast(change, run.dtype), products(sizes, after.terms)


def has_exact_products() -> bool:
    """Returns whether the backend computes float32 products as float32.

    Accelerators often do not, and are fast in float64. CPUs do, unless a user allows
    other products, for example with `torch.set_float32_matmul_precision("medium")`.
    """
    if accelerators():
        return False
    left, right = np.random.default_rng(0).uniform(1, 2, (2, 64)).astype(FAST)
    found = ops.convert_to_numpy(ops.matmul(np.diag(left), np.diag(right)))
    return np.array_equal(found, np.diag(left * right))
