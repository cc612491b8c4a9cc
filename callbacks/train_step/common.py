"""Helpers shared by the training steps of all backends."""

import contextlib

import keras


@contextlib.contextmanager
def patched(target, **attributes):
    """Replaces attributes of one object within a context.

    The attributes bypass `__setattr__`, since Keras would track and save them.

    Args:
        target: Object to patch, such as a model or an optimizer.
        **attributes: New attributes by name.
    """
    own = vars(target)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del own[name]
        own.update(before)


def updating_optimizer(model):
    """Returns the optimizer of a model without a `LossScaleOptimizer` around it."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def updating_optimizers(optimizer) -> list:
    """Returns the optimizers that update the weights when `optimizer` is called.

    A `LossScaleOptimizer` and a `MultiOptimizer` delegate the updates to others.

    Args:
        optimizer: Optimizer, or `None`, for which the list is empty.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None:
        return []
    return list(getattr(optimizer, "optimizers", [optimizer]))


def begin_step(model, callbacks: list):
    """Calls `begin_step` of all callbacks."""
    for callback in callbacks:
        callback.begin_step(updating_optimizer(model))


def begin_clock(clock) -> list:
    """Advances the clock to the next step.

    A clock consists of four integers or tensors: the step number, the number of
    earlier steps that updated the weights, the number of rows written, and 1 if this
    step has updated the weights so far, else 0.
    """
    step, number, row, updated = clock
    return [step + 1, number + updated, row, 0 * updated]


def make_variable(model, value, dtype: str) -> keras.Variable:
    """Creates a variable for the step that is neither trained nor saved."""
    # TensorFlow strategies require variables to be created in their scope.
    strategy = getattr(model, "distribute_strategy", None)
    with strategy.scope() if strategy else contextlib.nullcontext():
        return keras.Variable(
            value,
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )


def choose(predicate, true_function, false_function):
    """Calls one of two functions, depending on a bool or on a tensor of the step."""
    if isinstance(predicate, bool):
        return true_function() if predicate else false_function()
    return keras.ops.cond(predicate, true_function, false_function)
