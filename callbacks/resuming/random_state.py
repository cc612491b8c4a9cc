"""The state of the global random generators of the process."""

import random

import keras
import numpy as np

from zoo.backend import generator_state, set_generator_state
from zoo.backend.keras_fit_internals import global_seed, set_global_seed


def random_state() -> dict:
    """Returns the states of the generators of Python, NumPy, Keras and the backend."""
    seed = global_seed()
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "keras": None if seed is None else keras.ops.convert_to_numpy(seed),
        "backend": generator_state(),
    }


def set_random_state(state: dict) -> None:
    """Restores a result of `random_state()`."""
    if state["keras"] is not None:
        # Creating Keras' generator draws from that of Python, so Keras comes first.
        set_global_seed(state["keras"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    if state["backend"] is not None:
        set_generator_state(state["backend"])
