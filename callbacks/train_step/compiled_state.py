"""What a train function of TensorFlow trains, whatever was said since it was traced."""

import contextlib

import keras
import tensorflow as tf


@contextlib.contextmanager
def trainable_as_compiled(model, own):
    """Gives layers the `trainable` that they had when a train function was traced.

    Keras goes on with a function that it has traced, until `compile` or
    `make_train_function(force=True)` is called. Another function must train the same
    variables: those for which the optimizer was built. (A `train_step` of the user's
    own can share the variables among optimizers, and is left as it is.)

    Args:
        model: Compiled model.
        own: The model's own train function.
    """
    is_keras = type(model).train_step is keras.Model.train_step
    if not (is_keras and model.optimizer.built and _is_traced(own)):
        yield
        return
    trained = {id(variable) for variable in model.optimizer._trainable_variables}
    before = [
        (
            layer,
            layer._trainable,
            [(v, v.trainable) for v in layer._trainable_variables],
        )
        for layer in model._flatten_layers()
    ]
    try:
        for layer, *_ in before:
            _set_trainable(layer, trained)
        yield
    finally:
        for layer, trainable, variables in before:
            vars(layer)["_trainable"] = trainable
            for variable, value in variables:
                variable.trainable = value


def _set_trainable(layer, trained: set) -> None:
    for variable in layer._trainable_variables:
        variable.trainable = id(variable) in trained
    weights = [
        id(variable)
        for inner in layer._flatten_layers()
        for variable in inner._trainable_variables
    ]
    if weights:
        vars(layer)["_trainable"] = not trained.isdisjoint(weights)


def _is_traced(own) -> bool:
    """Whether a train function that Keras made has been traced.

    Keras keeps the compiled functions, or what wraps them, in the closure of what it
    returns.
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
