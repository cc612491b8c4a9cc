"""Gradient checks with finite differences."""

import keras
import numpy as np

from .differentiation import compile_function, loss_function, weight_gradients
from .float64_copy import float64_copy, loss_in_float64
from .gradient_report import RIGHT, GradientReport
from .utils.arguments import check_integer

STEP = 1e-5
# Relative rounding error of a loss: a few times the machine epsilon, because a loss is
# a sum over the batch and the features.
ROUNDING = 4 * np.finfo("float64").eps


def check_gradients(
    model: keras.Model,
    x,
    y=None,
    *,
    sample_weight=None,
    training: bool = True,
    samples: int = 20,
    seed: int = 0,
) -> GradientReport:
    """Compares the gradients of a model with central differences of its loss.

    The differences are computed in float64 with a step of 1e-5, on a copy of the model
    with the same weights; the model itself stays unchanged. At sampled coordinates of
    every variable, the analytic derivative a is compared with the numeric derivative n
    using the relative error |a - n| / max(|a|, |n|). If the derivatives are small, the
    part of |a - n| that can be explained by rounding of the loss is subtracted first;
    without this correction, a derivative of zero would never pass the check. With
    `training=True`, the check differentiates through batch statistics, and dropout
    draws the same mask in every evaluation.

    If the step crosses a kink, such as that of ReLU, the central difference does not
    approximate the derivative. Such coordinates are excluded from the comparison and
    counted separately. To detect a kink, the check computes the second difference
    f(w + h) + f(w - h) - 2 f(w) with the step h and again with half the step. If f is
    smooth, halving the step divides the second difference by four; at a kink, it does
    not.

    The method and the thresholds follow the section "Gradient checks" of the CS231n
    course notes (Neural Networks Part 3): the centered formula, the relative error,
    double precision, the treatment of kinks, and the use of few data points and few
    dimensions. By contrast, `torch.autograd.gradcheck` and `jax.test_util.check_grads`
    use fixed tolerances and do not detect kinks.

    Args:
        model: Compiled and built model whose layers can be recreated from their
            `get_config`; the layers need not be registered with Keras.
        x: Batch of inputs. A few examples suffice; with more examples, the check
            encounters more kinks.
        y: Batch of targets. Defaults to `None`.
        sample_weight: Weights of the examples, of shape `(batch,)`. Defaults to
            `None`.
        training: Whether the layers run in training mode. Defaults to `True`.
        samples: Integer >= 1, number of coordinates to check per variable: the
            coordinate with the largest absolute derivative, and others that are chosen
            at random. If a variable has at most `samples` coordinates, all of them are
            checked. Defaults to `20`.
        seed: Integer >= 0 that seeds the random choice of coordinates. Defaults to
            `0`.

    Returns:
        A `GradientReport` with the attributes `verdict`, `error` and `kinks` and the
        method `to_frame()`.

    Raises:
        ValueError: If an argument is invalid, or if the model has no trainable weights
            or cannot be copied in float64.

    Example:

    >>> from zoo import mlp
    >>> model = mlp((3,), 2, units=(4,), activation="tanh")
    >>> model.compile("sgd", loss="mse")
    >>> report = check_gradients(model, np.ones((5, 3)), np.zeros((5, 2)))
    >>> report.verdict
    'right'
    """
    check_integer("samples", samples, minimum=1)
    check_integer("seed", seed, minimum=0)
    settings = {"sample_weight": sample_weight, "training": training}
    loss = loss_function(model, x, y, **settings)
    # If the data are incompatible, Keras raises a clearer error here than in compiled
    # code.
    loss([variable.value for variable in model.trainable_variables])
    generator = np.random.default_rng(seed)
    with float64_copy(model) as copy:
        variables = copy.trainable_variables
        loss = loss_in_float64(model, copy, x, y, **settings)
        evaluate = compile_function(
            lambda: loss([variable.value for variable in variables]), copy.variables
        )
        gradients = weight_gradients(copy, x, y, **settings)
        rows = [
            {
                "variable": original.path,
                **_check_variable(
                    variable, _to_numpy(gradient), evaluate, samples, generator
                ),
            }
            for original, variable, gradient in zip(
                model.trainable_variables, variables, gradients, strict=True
            )
        ]
    return GradientReport(tuple(rows))


def _check_variable(variable, gradient, evaluate, samples, generator) -> dict:
    """Compares the gradient of one variable with central differences of the loss."""
    value = _to_numpy(variable)

    def loss_at(index, step):
        moved = value.copy()
        moved.flat[index] += step
        variable.assign(moved)
        return float(_to_numpy(evaluate()))

    compared, kinks = [], 0
    for index in _choose(gradient, samples, generator):
        analytic = float(gradient.flat[index])
        losses = [loss_at(index, step) for step in (0.0, STEP, -STEP)]
        numeric = (losses[1] - losses[2]) / (2 * STEP)
        error = _relative_error(analytic, numeric, losses)
        halves = [STEP / 2, -STEP / 2] if RIGHT <= error < np.inf else []
        if halves and _is_kink(losses, [loss_at(index, step) for step in halves]):
            kinks += 1
        else:
            compared.append((error, analytic, numeric))
    variable.assign(value)
    error, analytic, numeric = max(compared, default=(np.nan, np.nan, np.nan))
    return {
        "size": value.size,
        "checked": len(compared),
        "kinks": kinks,
        "error": error,
        "analytic": analytic,
        "numeric": numeric,
    }


def _choose(gradient, samples: int, generator) -> np.ndarray:
    """Chooses the coordinates of one variable to check.

    The coordinate with the largest absolute derivative is always included.
    """
    if gradient.size <= samples:
        return np.arange(gradient.size)
    largest = int(np.argmax(np.abs(gradient)))
    others = generator.choice(gradient.size - 1, samples - 1, replace=False)
    return np.append(largest, others + (others >= largest))


def _relative_error(analytic: float, numeric: float, losses) -> float:
    if not np.isfinite([analytic, numeric]).all():
        return np.inf
    difference, scale = abs(analytic - numeric), max(abs(analytic), abs(numeric))
    rounding = ROUNDING * np.abs(losses).max() / STEP
    if rounding >= RIGHT * scale:  # rounding could be mistaken for an error
        difference = max(difference - rounding, 0.0)
    return difference and difference / scale


def _is_kink(losses, halves) -> bool:
    """Returns whether the second differences of the loss indicate a kink.

    Args:
        losses: Losses at the sampled point and one step above and below it.
        halves: Losses half a step above and below the sampled point.
    """
    centre, plus, minus = losses
    bend = plus + minus - 2 * centre
    half_bend = sum(halves) - 2 * centre
    rounding = 20 * ROUNDING * np.abs([*losses, *halves]).max()
    return abs(bend - 4 * half_bend) > rounding


def _to_numpy(tensor) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(tensor))
