"""Restores the values that `trainable` had when a train function was traced."""

import contextlib

import keras
import tensorflow as tf

from ..keras_internals import (
    flatten_layers,
    own_trainable_variables,
    set_own_trainable,
    trained_variables,
)


@contextlib.contextmanager
def trainable_as_traced(model, own):
    """Temporarily restores the values of `trainable` with which `own` was traced.

    Keras keeps using a traced function until `compile` or
    `make_train_function(force=True)` is called, even if `trainable` has changed since
    the function was traced. A new train function must train the same variables, that
    is, the variables that the optimizer was built to update. A model with a custom
    `train_step` is not changed, because it may split the variables among several
    optimizers.

    Args:
        model: Compiled model.
        own: The model's own train function.
    """
    is_keras = type(model).train_step is keras.Model.train_step
    if not (is_keras and model.optimizer.built and _is_traced(own)):
        yield
        return
    trained = {id(variable) for variable in trained_variables(model.optimizer)}
    before = [
        (
            layer,
            layer.trainable,
            [(v, v.trainable) for v in own_trainable_variables(layer)],
        )
        for layer in flatten_layers(model)
    ]
    try:
        for layer, *_ in before:
            _set_trainable(layer, trained)
        yield
    finally:
        for layer, trainable, variables in before:
            set_own_trainable(layer, trainable)
            for variable, value in variables:
                variable.trainable = value


def _set_trainable(layer, trained: set) -> None:
    for variable in own_trainable_variables(layer):
        variable.trainable = id(variable) in trained
    weights = [
        id(variable)
        for inner in flatten_layers(layer)
        for variable in own_trainable_variables(inner)
    ]
    if weights:
        set_own_trainable(layer, not trained.isdisjoint(weights))


def _is_traced(own) -> bool:
    """Returns whether a train function that Keras created has been traced.

    The closure of the train function contains the compiled functions, or wrappers
    around them.
    """
    cells = [cell.cell_contents for cell in getattr(own, "__closure__", None) or ()]
    kind = tf.types.experimental.PolymorphicFunction
    functions = [
        one
        for cell in cells
        for one in (cell, getattr(cell, "__wrapped__", None))
        if isinstance(one, kind)
    ]
    return any(one.experimental_get_tracing_count() for one in functions)
