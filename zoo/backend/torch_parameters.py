"""Registration of the variables of Keras layers with PyTorch."""

from collections import Counter

import keras


def register_all_variables() -> None:
    """Makes Keras register all variables of a layer with PyTorch.

    On the PyTorch backend, Keras (3.15) registers variables by their path. If two
    models, or two copies of one model, have layers with equal names, the paths of
    their variables are equal, too. In a model that contains both, PyTorch registers
    only the last variable of each path. `zero_grad` then skips the others, so their
    gradients accumulate from step to step; `parameters()` and `state_dict()` lack
    them; and ONNX export fails.

    This function adds a number to equal paths: "hidden_1/kernel" and
    "hidden_1/kernel_2". It has no effect if all paths differ, on other backends, or
    if Keras distinguishes equal paths itself.

    Raises:
        ImportError: If Keras loses variables in a different way.
    """
    if keras.backend.backend() != "torch" or _registers_equal_paths():
        return
    # These names are private; Keras has no public way to register variables.
    classes = [cls for cls in keras.Layer.__mro__ if "_track_variables" in vars(cls)]
    if len(classes) != 1:
        raise ImportError(
            f"Keras {keras.__version__} does not register all variables with PyTorch "
            "if their paths are equal, and kerascope can fix this for Keras 3.15 only."
            "\nInstall another version of Keras, or use another backend."
        )
    classes[0]._track_variables = _track_variables
    classes[0]._post_track_variable = _track_again
    classes[0]._post_untrack_variable = _track_again


def _registers_equal_paths() -> bool:
    layer = keras.layers.Layer(name="probe")
    for _ in range(2):
        layer.add_weight(shape=(), initializer="zeros", name="weight")
    return len(list(layer.parameters())) == 2


def _track_variables(layer: keras.Layer) -> None:
    import torch

    values: dict = {}
    seen: Counter[str] = Counter()
    for variable in layer.variables:
        name = variable.path
        while name in values:
            seen[variable.path] += 1
            name = f"{variable.path}_{seen[variable.path] + 1}"
        values[name] = variable.value
    layer._torch_params = torch.nn.ParameterDict(values)


def _track_again(layer: keras.Layer, variable: keras.Variable) -> None:
    """Updates the registration after a variable was added or removed."""
    if hasattr(layer, "_torch_params"):
        _track_variables(layer)
