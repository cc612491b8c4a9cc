"""What the steps of all backends have in common."""

import contextlib

import keras


@contextlib.contextmanager
def patched(target, **attributes):
    """Gives one object other attributes while the context lasts.

    They go past `__setattr__`, with which Keras would track and save them.

    Args:
        target: Object, as a model or an optimizer.
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
    """Returns the optimizer that updates the weights of a model."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def begin_step(model, callbacks: list):
    """Lets all callbacks begin their part of the step."""
    for callback in callbacks:
        callback.begin_step(updating_optimizer(model))


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
    """Calls one of two functions: inside of the step, where a tensor decides."""
    if isinstance(predicate, bool):
        return true_function() if predicate else false_function()
    return keras.ops.cond(predicate, true_function, false_function)
