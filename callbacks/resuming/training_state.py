"""What a training has in memory: variables, History and random generators."""

import random
import sys
from collections.abc import Iterable

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator


def state_variables(model) -> list[keras.Variable]:
    """Returns all that a step reads and assigns, each variable once.

    These are the weights, the states of layers (seeds are among them), the optimizer
    with its averages, accumulated gradients and loss scale, and the metrics.

    Args:
        model: Compiled model, whose variables exist.
    """
    variables = [
        *model.variables,
        *model.optimizer.variables,
        *model.metrics_variables,
    ]
    return list({id(variable): variable for variable in variables}.values())


def build(model, call) -> None:
    """Makes all variables of the model, the optimizer and the metrics.

    Args:
        model: Compiled model.
        call: `FitCall` that trains it.
    """
    # Keras' other backends have done this before any callback runs; on TensorFlow it
    # happens in the first step. There is no public way to build the metrics.
    spec = getattr(call.dataset, "element_spec", None)
    model._symbolic_build(iterator=call.epoch_iterator, data_batch=spec)


def specs(variables: list[keras.Variable]) -> list:
    """Returns shape and dtype of every variable, as NumPy has it."""
    found = []
    for variable in variables:
        part = variable[:0] if len(variable.shape) else variable  # of the same dtype
        found.append([list(variable.shape), _to_numpy(part).dtype.name])
    return found


def values(variables: list[keras.Variable]) -> Iterable[np.ndarray]:
    """Yields the values one by one: a copy of all would take the memory twice."""
    return map(_to_numpy, variables)


def assign(variables: list[keras.Variable], arrays: Iterable[np.ndarray]) -> None:
    """Gives every variable its value."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def metrics_result(model) -> dict[str, float]:
    """Returns the values of the metrics, as callbacks get them."""
    results = model.get_metrics_result()
    return {name: float(_to_numpy(value)) for name, value in results.items()}


def history_state(history) -> dict:
    """Returns what a `History` has recorded."""
    return {"epoch": list(history.epoch), "history": _copied(history.history)}


def set_history(history, state: dict) -> None:
    """Makes a `History` what it was, in place."""
    history.epoch[:] = state["epoch"]
    history.history.clear()
    history.history.update(_copied(state["history"]))


def random_state() -> dict:
    """Returns the states of the global random generators of this process.

    They are Python's, NumPy's, Keras' and, where PyTorch is in use, its own.
    """
    state = {"python": random.getstate(), "numpy": np.random.get_state()}
    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    state["keras"] = None if generator is None else _to_numpy(generator.state)
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = torch.get_rng_state().numpy().copy()
        if torch.cuda.is_available():
            state["cuda"] = [s.numpy().copy() for s in torch.cuda.get_rng_state_all()]
    return state


def set_random_state(state: dict) -> None:
    """Makes the global random generators of this process what they were."""
    if state["keras"] is not None:
        # Before Python's, from which a new one draws its seed.
        seed_generator.global_seed_generator().state.assign(state["keras"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in state:
        torch.set_rng_state(torch.from_numpy(state["torch"].copy()))
        if "cuda" in state:
            torch.cuda.set_rng_state_all([torch.from_numpy(s) for s in state["cuda"]])


def _to_numpy(value) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


def _copied(history: dict) -> dict:
    return {name: list(values) for name, values in history.items()}
