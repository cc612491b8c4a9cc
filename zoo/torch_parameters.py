"""What PyTorch knows of the variables of a Keras model."""

from collections import Counter

import keras


def register_all_variables() -> None:
    """Makes Keras register all variables of a layer with PyTorch.

    On the PyTorch backend Keras (3.15) registers variables by their path. Layers of
    one name in two models, or in two copies of one, give their variables one path: in
    a model of both, PyTorch knows of the last one only. `zero_grad` then leaves the
    gradients of the others, which add up from step to step, `parameters()` and
    `state_dict()` lack them, and ONNX export fails. Two variables of one path are
    told apart here by a number: "hidden_1/kernel" and "hidden_1/kernel_2". Nothing
    changes where paths differ, on other backends, or where Keras tells them apart
    itself.

    Raises:
        ImportError: If Keras loses variables in another way than this one.
    """
    if keras.backend.backend() != "torch" or _registers_equal_paths():
        return
    # The names are private; there is no public way to say what PyTorch is told.
    classes = [cls for cls in keras.Layer.__mro__ if "_track_variables" in vars(cls)]
    if len(classes) != 1:
        raise ImportError(
            f"Keras {keras.__version__} does not register all variables with PyTorch "
            "where two have one path, and kerascope knows the cure for Keras 3.15 only."
            "\nInstall another version of Keras, or take another backend."
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

    values, seen = {}, Counter()
    for variable in layer.variables:
        name = variable.path
        while name in values:
            seen[variable.path] += 1
            name = f"{variable.path}_{seen[variable.path] + 1}"
        values[name] = variable.value
    layer._torch_params = torch.nn.ParameterDict(values)


def _track_again(layer: keras.Layer, variable: keras.Variable) -> None:
    """Follows a variable that came or went after the others were registered."""
    if hasattr(layer, "_torch_params"):
        _track_variables(layer)
