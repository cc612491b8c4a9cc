"""Validation of hypermodels and of the models that they build."""

import keras
import keras_tuner
from keras_tuner import errors

from zoo.utils.arguments import invalid_argument

INSTEAD_OF_A_MODEL = """\
Pass a function that returns a new compiled model for each trial, such as:

def build(hp):
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    model = ...  # the layers of your model
    model.compile(keras.optimizers.Adam(rate), loss=..., metrics=...)
    return model

search = RandomSearch(build, ...)"""


def check_hypermodel(hypermodel, *, is_required: bool) -> None:
    """Raises an error if `hypermodel` is neither a hypermodel nor a function.

    Args:
        hypermodel: Value to check.
        is_required: Whether `None` raises an error, too.
    """
    if hypermodel is None and not is_required:
        return
    is_function = callable(hypermodel) and not isinstance(
        hypermodel, type | keras.Layer
    )
    if not isinstance(hypermodel, keras_tuner.HyperModel) and not is_function:
        raise _no_hypermodel(hypermodel)


def _no_hypermodel(value) -> ValueError:
    fix = ""
    if isinstance(value, keras.Layer):  # a model is a layer
        fix = INSTEAD_OF_A_MODEL
    elif isinstance(value, type) and issubclass(value, keras_tuner.HyperModel):
        fix = f"Pass an instance, `{value.__name__}(...)`."
    expected = "a keras_tuner.HyperModel or a function that builds a model"
    return invalid_argument("hypermodel", expected, value, fix)


def returns_history(hypermodel) -> bool:
    """Returns whether the hypermodel's `fit` returns the result of `model.fit`."""
    if not isinstance(hypermodel, keras_tuner.HyperModel):
        return True
    fit = getattr(hypermodel.fit, "__func__", None)
    is_plain = fit is keras_tuner.HyperModel.fit
    return is_plain or getattr(hypermodel, "returns_history", False)


def build_model(
    hypermodel: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    max_model_size: int | None,
) -> keras.Model:
    """Builds the model of a trial.

    Args:
        hypermodel: Hypermodel that builds the model.
        hp: Hyperparameters of the trial.
        max_model_size: Maximum number of parameters; `None` for no limit. A model that
            is not built yet counts as having no parameters.

    Raises:
        FatalTypeError: If the hypermodel does not return a model.
        FailedTrialError: If the model is too large.
    """
    model = hypermodel.build(hp)
    if not isinstance(model, keras.Model):
        raise errors.FatalTypeError(
            f"Expected a keras.Model from the hypermodel's `build`. Received: {model!r}"
        )
    size = model.count_params() if model.built else 0
    if max_model_size is not None and size > max_model_size:
        raise errors.FailedTrialError(
            f"The model has {size} parameters, but max_model_size is {max_model_size}"
        )
    return model
