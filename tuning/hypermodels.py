"""Checks and properties of hypermodels."""

import keras_tuner

from zoo.utils.arguments import invalid_argument


def check_hypermodel(hypermodel, *, is_required: bool) -> None:
    """Raises if `hypermodel` is neither a hypermodel nor a function."""
    if hypermodel is None and not is_required:
        return
    is_function = callable(hypermodel) and not isinstance(hypermodel, type)
    if not isinstance(hypermodel, keras_tuner.HyperModel) and not is_function:
        expected = "a keras_tuner.HyperModel or a function that builds a model"
        raise invalid_argument("hypermodel", expected, hypermodel)


def returns_history(hypermodel) -> bool:
    """Returns whether the hypermodel's `fit` returns the result of `model.fit`."""
    if not isinstance(hypermodel, keras_tuner.HyperModel):
        return True
    fit = getattr(hypermodel.fit, "__func__", None)
    is_plain = fit is keras_tuner.HyperModel.fit
    return is_plain or getattr(hypermodel, "returns_history", False)
