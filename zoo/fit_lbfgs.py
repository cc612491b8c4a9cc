"""Training with L-BFGS."""

import keras
import numpy as np
from scipy.optimize import OptimizeResult, minimize

from . import backend
from .differentiation import compile_function, loss_function
from .float64_copy import float64_copy, loss_in_float64
from .utils.arguments import check_integer, check_positive, invalid_argument

PRECISION = 10 * np.finfo("float64").eps  # relative decrease of the loss


def fit_lbfgs(
    model: keras.Model,
    x,
    y=None,
    *,
    sample_weight=None,
    max_iterations: int = 1000,
    tolerance: float = 1e-6,
    memory: int = 10,
) -> OptimizeResult:
    """Trains a model on a single batch with L-BFGS.

    L-BFGS estimates the curvature of the loss from the latest steps, and needs no
    learning rate. It suits losses that are computed on all examples, of small models
    and small datasets. For losses that change from batch to batch, use `model.fit`.

    The loss is that of the compiled model, including regularization terms, in inference
    mode: without dropout, and with the stored statistics of batch normalization, which
    do not change. `scipy.optimize.minimize(method="L-BFGS-B")` minimizes it in float64,
    on a copy of the model, because its line search fails if the loss is rounded to
    float32. At the end, the weights are rounded to the dtype of the model. If the
    training is interrupted, the model remains unchanged. The optimizer of the model is
    not used. Weights that are not trainable keep their values.

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale
    optimization" (1989), algorithm 2.1; Zhu et al., "Algorithm 778: L-BFGS-B" (1997).

    Args:
        model: Compiled and built model whose layers can be recreated from their
            `get_config`.
        x: All inputs, as a single batch. Their activations must fit into memory.
        y: All targets, in the form that the loss accepts. Defaults to `None`.
        sample_weight: Weights of the examples, of shape `(batch,)`. Defaults to
            `None`.
        max_iterations: Integer >= 1, the maximum number of iterations. Each iteration
            evaluates the loss and its gradient once or a few times. Defaults to
            `1000`.
        tolerance: Number > 0. Training ends if no component of the gradient is larger.
            It also ends if an iteration decreases the loss by less than about 2e-15 of
            its value. Defaults to `1e-6`.
        memory: Integer >= 1, the number of earlier steps from which the curvature is
            estimated. Defaults to `10`.

    Returns:
        A `scipy.optimize.OptimizeResult` with these attributes:

        - `losses`: array of the loss at the start and after each iteration;
        - `evaluations`: array of the number of evaluations of loss and gradient so
          far, one for each value of `losses`;
        - `fun`: final loss;
        - `nit` and `nfev`: number of iterations and evaluations;
        - `success`: whether training ended before `max_iterations`, without an error;
        - `message`: reason for the end.

    Raises:
        ValueError: If an argument is invalid, if the model cannot be copied in float64,
            if its weights have constraints, or if a loss or gradient is not finite.

    Example:

    >>> from zoo import fit_lbfgs
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> result = fit_lbfgs(model, x, 3 * x + 1)
    >>> result.success
    True
    >>> kernel, bias = model.get_weights()
    >>> round(float(kernel[0, 0]), 4), round(float(bias[0]), 4)
    (3.0, 1.0)
    """
    max_iterations = check_integer("max_iterations", max_iterations, minimum=1)
    tolerance = check_positive("tolerance", tolerance)
    memory = check_integer("memory", memory, minimum=1)
    settings = {"sample_weight": sample_weight, "training": False}
    loss_function(model, x, y, **settings)  # checks the arguments
    _check_constraints(model)
    with float64_copy(model) as copy:
        variables = copy.trainable_variables
        loss = loss_in_float64(model, copy, x, y, **settings)
        evaluate = compile_function(
            lambda *values: backend.differentiate(
                lambda moved: (loss(moved), None), list(values)
            )[:2],
            copy.variables,
        )
        start = [keras.ops.convert_to_numpy(variable) for variable in variables]
        options = {
            "maxiter": max_iterations,
            "maxcor": memory,
            "gtol": tolerance,
            "ftol": PRECISION,
            "maxfun": np.inf,
        }
        values, result = _minimize(evaluate, start, options)
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    return result


def _minimize(evaluate, start: list[np.ndarray], options: dict):
    """Minimizes a function of several arrays.

    Args:
        evaluate: Function that maps the arrays to a value and its gradients.
        start: Arrays to start from.
        options: Options of SciPy.

    Returns:
        A tuple of the arrays at the minimum, and the result.
    """
    ends = np.cumsum([value.size for value in start])[:-1]
    losses: list[float] = []
    evaluations: list[int] = []
    count = 0

    def arrays_of(vector):
        parts = np.split(vector, ends)
        return [
            part.reshape(value.shape) for part, value in zip(parts, start, strict=True)
        ]

    def loss_and_gradient(vector):
        nonlocal count
        count += 1
        loss, gradients = evaluate(*arrays_of(vector))
        loss = float(keras.ops.convert_to_numpy(loss))
        flat = [np.ravel(keras.ops.convert_to_numpy(each)) for each in gradients]
        gradient = np.concatenate(flat)
        _check_finite(loss, gradient, count)
        if count == 1:
            losses.append(loss)
            evaluations.append(count)
        return loss, gradient

    def after_iteration(intermediate_result):
        losses.append(float(intermediate_result.fun))
        evaluations.append(count)

    found = minimize(
        loss_and_gradient,
        np.concatenate([np.ravel(value) for value in start]),
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options=options,
    )
    result = OptimizeResult(
        losses=np.array(losses),
        evaluations=np.array(evaluations),
        fun=float(found.fun),
        nit=int(found.nit),
        nfev=int(found.nfev),
        success=bool(found.success),
        message=str(found.message),
    )
    return arrays_of(found.x), result


def _check_constraints(model: keras.Model) -> None:
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            raise invalid_argument(
                "model",
                "one whose weights have no constraints",
                model.name,
                f"L-BFGS cannot keep the constraint of {variable.path}.",
            )


def _check_finite(loss: float, gradient: np.ndarray, count: int) -> None:
    """Raises an error for NaN and infinity, with which the line search goes astray."""
    if not np.isfinite(loss) or not np.isfinite(gradient).all():
        raise ValueError(
            "Cannot minimize a loss that is not finite. Expected a finite loss and "
            "gradient of the model on `x` and `y`, for the initial weights and for all "
            f"weights that L-BFGS tries. Received: loss {loss} in evaluation {count}\n"
            "The model is unchanged. Check the data for NaN and infinity, and the loss "
            "for operations such as `log` that are not defined everywhere."
        )
