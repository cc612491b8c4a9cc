"""Registers the variables of Keras layers with PyTorch."""

from collections import Counter

import keras

from .keras_internals import replace_torch_registration


def register_all_variables() -> None:
    """Makes Keras register all variables of a layer with PyTorch.

    On the PyTorch backend, Keras (3.15) registers variables under their paths. If two
    models, or two copies of one model, have layers with the same names, their variables
    have the same paths. When both models are part of a larger model, PyTorch registers
    only the last variable with each path. The other variables then cause three
    problems:

    - `zero_grad` skips them, so their gradients accumulate from step to step.
    - `parameters()` and `state_dict()` do not contain them.
    - ONNX export fails.

    This function makes repeated paths unique by appending a number: "hidden_1/kernel"
    and "hidden_1/kernel_2". It has no effect if all paths are different, if Keras
    itself makes them unique, or if the backend is not PyTorch.

    Raises:
        ImportError: If the private methods of Keras that this function replaces do not
            exist.
    """
    if keras.backend.backend() != "torch" or _registers_equal_paths():
        return
    replace_torch_registration(_variables_by_path)


def _registers_equal_paths() -> bool:
    layer = keras.layers.Layer(name="probe")
    for _ in range(2):
        layer.add_weight(shape=(), initializer="zeros", name="weight")
    return len(list(layer.parameters())) == 2


def _variables_by_path(layer: keras.Layer) -> dict[str, keras.Variable]:
    """Returns a dict of a layer's variables, with unique paths as keys.

    A number is appended to repeated paths.
    """
    found: dict[str, keras.Variable] = {}
    seen: Counter[str] = Counter()
    for variable in layer.variables:
        name = variable.path
        while name in found:
            seen[variable.path] += 1
            name = f"{variable.path}_{seen[variable.path] + 1}"
        found[name] = variable
    return found
