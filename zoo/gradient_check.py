"""Gradients against finite differences."""

import keras
import numpy as np

from .differentiation import (
    compile_function,
    float64_scope,
    loss_function,
    weight_gradients,
)
from .gradient_report import RIGHT, GradientReport
from .utils.arguments import check_integer, invalid_argument
from .utils.copy_model import copy_model

STEP = 1e-5
# Rounding of a loss, in units of its last place: sums over a batch and its features.
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
    """Compares a model's gradients with centred differences of its loss.

    Differences of step 1e-5 are taken in float64, on a copy of the model with the
    same weights; the model stays as it is. At some coordinates of every variable the
    analytic derivative a is compared with the numeric n by |a - n| / max(|a|, |n|).
    For small derivatives, what rounding of the loss can explain is taken off |a - n|:
    otherwise no derivative of zero would be right. With `training=True` batch
    statistics are differentiated through, and dropout draws the same at every
    evaluation.

    Where a kink, as of ReLU, lies within the step, the difference is no derivative.
    Such a coordinate is left out, and counted. It shows in the second difference
    f(w + h) + f(w - h) - 2 f(w): at half the step it is a quarter where f is smooth,
    and anything else at a kink.

    The method and the bands of the verdict are those of the CS231n course notes,
    "Gradient checks" (Neural Networks Part 3), section by section: centred formula,
    relative error, double precision, kinks, few data points, few dimensions. Peers
    are `torch.autograd.gradcheck` and `jax.test_util.check_grads`, which check a
    function against fixed tolerances, whatever the kinks.

    Args:
        model: Compiled and built model, of layers that can be made from their
            `get_config`; they need not be registered.
        x: Batch of inputs; a few examples do, and meet fewer kinks than many.
        y: Batch of targets. Defaults to `None`.
        sample_weight: Weights of the examples, of shape `(batch,)`. Defaults to
            `None`.
        training: Whether layers behave as in training. Defaults to `True`.
        samples: Integer >= 1: coordinates of each variable, one with the largest
            derivative and others at random; all of a variable that has no more.
            Defaults to `20`.
        seed: Integer >= 0, which the choice of coordinates follows. Defaults to `0`.

    Returns:
        A `GradientReport`, with `verdict`, `error`, `kinks` and `to_frame()`.

    Raises:
        ValueError: If an argument is invalid, the model has no trainable weights, or
            it cannot be copied in float64.

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
    # What does not fit is an error of Keras here, not one inside of compiled code.
    loss([variable.value for variable in model.trainable_variables])
    if not model.trainable_variables:
        raise invalid_argument("model", "one with trainable weights", model.name)
    generator = np.random.default_rng(seed)
    with float64_scope():
        copy = copy_model(model, change_config=_in_float64)
        _compile_like(model, copy)
        variables = copy.trainable_variables
        loss = loss_function(copy, x, y, **settings)
        evaluate = compile_function(
            lambda: loss([variable.value for variable in variables]), copy.variables
        )
        _check_float64(model, variables, evaluate())
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
    """Compares one variable's gradient at some of its coordinates."""
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
        if error >= RIGHT and _is_kink(
            losses, [loss_at(index, step) for step in (STEP / 2, -STEP / 2)]
        ):
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
    """Chooses coordinates, with one where the derivative is largest."""
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
    if rounding >= RIGHT * scale:  # where rounding alone could look like an error
        difference = max(difference - rounding, 0.0)
    return difference and difference / scale


def _is_kink(losses, halves) -> bool:
    """Whether the second difference is not that of a smooth function."""
    centre, plus, minus = losses
    bend = plus + minus - 2 * centre
    half_bend = sum(halves) - 2 * centre
    rounding = 20 * ROUNDING * np.abs([*losses, *halves]).max()
    return abs(bend - 4 * half_bend) > rounding


def _compile_like(model: keras.Model, copy: keras.Model) -> None:
    """Gives the copy new losses, which compute in float64, the default by now."""
    if model._compile_loss is None:  # all of the loss is from `add_loss`
        copy.compile("sgd")
        return
    loss = keras.tree.map_structure(_new_loss, model.loss)
    copy.compile("sgd", loss, loss_weights=model._compile_loss._user_loss_weights)


def _in_float64(config):
    """The config with float64 in the place of every float type."""
    if isinstance(config, dict):
        return {
            key: "float64"
            if key.endswith("dtype") and _is_float(value)
            else _in_float64(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(map(_in_float64, config))
    return config


def _is_float(dtype) -> bool:
    """Whether a dtype in a config, a name or that of a policy, is one of floats."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return "float" in str(dtype)


def _new_loss(loss):
    if isinstance(loss, keras.losses.Loss):
        return type(loss).from_config(loss.get_config())
    return loss


def _check_float64(model, variables, loss) -> None:
    for name, value in [("loss", loss), *((item.path, item) for item in variables)]:
        if keras.backend.standardize_dtype(value.dtype) != "float64":
            raise invalid_argument(
                "model",
                "a model that computes in the dtype of its config",
                model.name,
                f"In the float64 copy, {name} is of dtype {value.dtype}.",
            )


def _to_numpy(tensor) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(tensor))
