"""Finds the optimizers that update the weights."""

from zoo.backend.keras_internals import trained_variables


def updating_optimizer(model):
    """Returns the optimizer of a model, unwrapped from any `LossScaleOptimizer`."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def updating_optimizers(optimizer) -> list:
    """Returns the optimizers that update the weights when `optimizer` is called.

    A `LossScaleOptimizer` and a `MultiOptimizer` delegate the updates to other
    optimizers.

    Args:
        optimizer: Optimizer, or `None`. If `None`, an empty list is returned.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None:
        return []
    return list(getattr(optimizer, "optimizers", [optimizer]))


def optimizers_of(optimizer, variables: list) -> list:
    """Returns the optimizers that update the given variables, one per variable."""
    optimizers = updating_optimizers(optimizer)
    if len(optimizers) == 1:
        return optimizers * len(variables)
    owners = {
        id(variable): one for one in optimizers for variable in trained_variables(one)
    }
    return [owners[id(variable)] for variable in variables]
