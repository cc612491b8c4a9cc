"""What the steps of all backends have in common."""

import contextlib

import keras


@contextlib.contextmanager
def patched(target, **attributes):
    """Gives one object other attributes while the context lasts.

    They go past `__setattr__`, with which Keras would track and save them.

    Args:
        target: Object, such as a model or an optimizer.
        **attributes: Attributes by name.
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
    """Returns the optimizer of a model without the loss scaling around it."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def updating_optimizers(optimizer) -> list:
    """Returns the optimizers that update weights when this one is called.

    A `LossScaleOptimizer` and a `MultiOptimizer` leave the updates to others.

    Args:
        optimizer: Optimizer, or `None`, which has none.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None:
        return []
    return list(getattr(optimizer, "optimizers", [optimizer]))


def begin_step(model, callbacks: list):
    """Lets all callbacks begin their part of the step."""
    for callback in callbacks:
        callback.begin_step(updating_optimizer(model))


def begin_clock(clock) -> list:
    """Returns the clock at the beginning of a step, from that of the step before.

    A clock is four integers, or tensors: the number of the step, the number of steps
    before it that updated weights, the number of rows, and whether this step has
    updated weights so far.
    """
    step, number, row, updated = clock
    return [step + 1, number + updated, row, 0 * updated]


def make_variable(model, value, dtype: str) -> keras.Variable:
    """Returns a new variable for the step, which neither is trained nor saved."""
    # TensorFlow's strategies want variables that are made in their scope.
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
    """Calls one of two functions; inside the step a tensor can decide."""
    if isinstance(predicate, bool):
        return true_function() if predicate else false_function()
    return keras.ops.cond(predicate, true_function, false_function)
