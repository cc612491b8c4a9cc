"""Attributes that stand for a while, and then do not."""

import contextlib


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


def begin_step(optimizer, callbacks: list):
    """Begins the step of all callbacks.

    Args:
        optimizer: The model's optimizer.
        callbacks: The callbacks that take part.

    Returns:
        A context manager for the rest of the step, in which the optimizer has what
        the callbacks gave it.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    attributes = {}
    for callback in callbacks:
        attributes |= callback.begin_step(inner)
    return patched(inner, **attributes)
