"""Functions that use private APIs of Keras.

Private names may change without notice. Each function documents why no public API can
be used instead. If a private name no longer exists, the function raises an
`ImportError` whose message contains the name.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import keras


def attribute(owner, name: str, library=keras):
    """Returns a private attribute of an object that belongs to another library.

    Raises:
        ImportError: If the attribute does not exist.
    """
    if not hasattr(owner, name):
        owner_name = getattr(owner, "__name__", type(owner).__name__)
        raise missing(f"{owner_name}.{name}", library)
    return getattr(owner, name)


def missing(name: str, library=keras) -> ImportError:
    """Creates the error for a private name that does not exist in a library."""
    return ImportError(
        f"kerascope uses `{name}`, which the installed version does not have: "
        f"{library.__name__} {library.__version__}.\nInstall a version of "
        f"{library.__name__} that kerascope was tested with (see kerascope's README)."
    )


@contextlib.contextmanager
def patched(target, **attributes) -> Iterator[None]:
    """Replaces attributes of an object, and restores them on exit.

    The function bypasses `__setattr__`, because Keras would otherwise track and save
    the new attributes.

    Args:
        target: Object to patch, such as a model or an optimizer.
        **attributes: New attributes by name.

    Raises:
        ImportError: If one of the attributes does not exist. In this case, setting
            the attribute would have no effect.
    """
    for name in attributes:
        attribute(target, name)
    own = vars(target)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del own[name]
        own.update(before)


@contextlib.contextmanager
def float64_operations() -> Iterator[None]:
    """Prevents Keras operations from casting float64 to float32 on JAX and PyTorch.

    `keras.config.set_floatx("float64")` is not sufficient, because it changes only
    the dtype of new variables.
    """
    try:
        from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE
    except ImportError:
        raise missing("keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE") from None
    narrowed = dict(BIT64_TO_BIT32_DTYPE)
    BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    try:
        yield
    finally:
        BIT64_TO_BIT32_DTYPE.update(narrowed)


def flatten_layers(model: keras.Layer, **options) -> list[keras.Layer]:
    """Returns a layer and all layers inside it.

    `keras.Model.layers` does not include layers that are nested in other layers.

    Args:
        model: A layer or model.
        **options: `recursive` and `include_self`, which have the same meaning as in
            Keras. Both options are `True` by default.
    """
    return list(attribute(model, "_flatten_layers")(**options))


def mask_of(tensor):
    """Returns the mask that a layer attached to its output, or `None` if there is none.

    Keras passes masks to layers, but not to code that calls a model.
    """
    try:
        from keras.src.backend import get_keras_mask
    except ImportError:
        raise missing("keras.src.backend.get_keras_mask") from None
    return get_keras_mask(tensor)


def saves_as_keras(layer: keras.Layer) -> bool:
    """Returns whether a layer inherits `save_own_variables` from a built-in layer.

    The built-in layers of Keras save nothing but their variables. They can be
    recognized only by the modules in which they are defined, and the names of these
    modules are private.
    """
    defining = next(
        cls for cls in type(layer).__mro__ if "save_own_variables" in vars(cls)
    )
    return defining.__module__.startswith(("keras.src.layers", "keras.src.models"))


def compiled_learning_rate(optimizer: keras.optimizers.Optimizer):
    """Returns the learning rate with which an optimizer was configured.

    The result is a variable if the learning rate is a float; otherwise, it is a
    schedule or a function. The public `learning_rate` property evaluates schedules, and
    reflects any replacement through `learning_rate_attributes`.
    """
    return attribute(optimizer, "_learning_rate")


def learning_rate_attributes(read: Callable | None) -> dict:
    """Returns the attributes to patch so that an optimizer uses a new learning rate.

    `learning_rate` is a property, so an instance attribute cannot override it.

    Args:
        read: Function that returns the learning rate, or `None` if only the names of
            the attributes are needed.
    """
    attribute(keras.optimizers.Optimizer, "_get_current_learning_rate")
    return {"_get_current_learning_rate": read}


def set_monitor_operation(callback: keras.callbacks.EarlyStopping) -> None:
    """Sets `monitor_op` and the sign of `min_delta` according to a callback's mode.

    If the mode is "auto", Keras infers from the monitored metric whether lower or
    higher values are better. There is no public API for this.
    """
    attribute(callback, "_set_monitor_op")()


def compiled_loss(model: keras.Model):
    """Returns the object that computes the loss of a compiled model.

    The result is `None` if the model has no loss. The public `model.loss` attribute
    contains only the argument that was passed to `compile`, without the loss weights.
    """
    return attribute(model, "_compile_loss")


def loss_weights(model: keras.Model):
    """Returns the `loss_weights` that a model was compiled with.

    The only public alternative is `get_compile_config`, which serializes all arguments
    of `compile`.
    """
    return attribute(compiled_loss(model), "_user_loss_weights")


def loss_options(loss: keras.losses.Loss) -> dict:
    """Returns the keyword arguments that a built-in loss passes to its function.

    `get_config` omits some of them, such as the `axis` of
    `SparseCategoricalCrossentropy`. Classes that wrap no function have none.
    """
    return dict(attribute(loss, "_fn_kwargs")) if hasattr(loss, "fn") else {}


def replace_torch_registration(variables_of: Callable[[keras.Layer], dict]) -> None:
    """Changes which variables Keras registers with PyTorch, and under which names.

    Keras has no public API for choosing these names.

    Args:
        variables_of: Function that maps a layer to a dict of the variables to register,
            with the new names as keys.

    Raises:
        ImportError: If the private methods that register variables do not exist.
    """
    classes = [cls for cls in keras.Layer.__mro__ if "_track_variables" in vars(cls)]
    if len(classes) != 1:
        raise missing("keras.Layer._track_variables")

    def register(layer: keras.Layer) -> None:
        import torch

        values = {name: one.value for name, one in variables_of(layer).items()}
        layer._torch_params = torch.nn.ParameterDict(values)

    def update(layer: keras.Layer, variable: keras.Variable) -> None:
        """Updates the registration after a variable has been added or removed."""
        if hasattr(layer, "_torch_params"):
            register(layer)

    for name, method in (
        ("_track_variables", register),
        ("_post_track_variable", update),
        ("_post_untrack_variable", update),
    ):
        attribute(classes[0], name)
        setattr(classes[0], name, method)


def compiled_metrics(model: keras.Model):
    """Returns the metric that combines all metrics that were passed to `compile`.

    The result is `None` if there are no such metrics. In the public list
    `model.metrics`, the combined metric looks like any other metric.
    """
    return attribute(model, "_compile_metrics")


def user_metrics(model: keras.Model) -> list:
    """Returns the metrics and weighted metrics that were passed to `compile`.

    `model.metrics` contains only a single metric that combines all of these metrics.
    """
    compiled = compiled_metrics(model)
    if compiled is None:
        return []
    names = "_user_metrics", "_user_weighted_metrics"
    metrics = keras.tree.flatten([attribute(compiled, name) for name in names])
    return [metric for metric in metrics if metric is not None]


def prefixed_metrics(metrics, weighted_metrics, prefix: str) -> keras.metrics.Metric:
    """Returns a metric that combines several metrics, as `keras.Model.compile` does.

    Names such as "accuracy" stand for different metrics, depending on the shape of the
    labels. Only a private class of Keras can resolve such names.

    Args:
        metrics: Same as in `keras.Model.compile`.
        weighted_metrics: Same as in `keras.Model.compile`.
        prefix: String that is prepended to all names in the result.
    """
    try:
        from keras.src.trainers.compile_utils import CompileMetrics
    except ImportError:
        raise missing("keras.src.trainers.compile_utils.CompileMetrics") from None

    class PrefixedMetrics(CompileMetrics):
        def result(self):
            return {f"{prefix}{key}": value for key, value in super().result().items()}

    return PrefixedMetrics(metrics, weighted_metrics)


def unscale_loss(loss):
    """Undoes the scaling of a loss by the number of replicas.

    With a distribution strategy on TensorFlow, Keras divides losses by the number of
    replicas, and undoes the division when it reports losses as metrics. The Keras
    functions that scale and unscale losses are both private.
    """
    try:
        from keras.src.losses.loss import unscale_loss_for_distribution
    except ImportError:
        raise missing("keras.src.losses.loss.unscale_loss_for_distribution") from None
    return unscale_loss_for_distribution(loss)


def operation_of(tensor: keras.KerasTensor) -> tuple:
    """Returns the operation that computes a tensor, and the inputs of this operation.

    If the symbolic tensor is an input of the graph, the result is `None` and an empty
    list. The public attributes of a model list its layers, but not their connections.
    """
    history = attribute(tensor, "_keras_history")
    operation = attribute(history, "operation")
    if operation is None:
        return None, []
    node = attribute(operation, "_inbound_nodes")[attribute(history, "node_index")]
    return operation, attribute(node, "input_tensors")


def output_index_of(tensor: keras.KerasTensor) -> int:
    """Returns the position of a symbolic tensor among the outputs of its operation.

    See `operation_of` for the reason why a private name is used.
    """
    return attribute(attribute(tensor, "_keras_history"), "tensor_index")


@contextlib.contextmanager
def symbolic_call(model: keras.Model, inputs) -> Iterator[Any]:
    """Runs the `call` method of a model on symbolic inputs, and yields the outputs.

    Calling a subclassed model on symbolic inputs yields a graph with a single node, but
    running its `call` method directly yields one node per layer. Keras adds these nodes
    to the layers and counts the names of new operations. Both are undone on exit, and
    there is no public API for that.

    Args:
        model: Built model.
        inputs: Symbolic inputs, in the form that `call` accepts.
    """
    try:
        from keras.src.backend.common.global_state import get_global_attribute
    except ImportError:
        raise missing("keras.src.backend.common.global_state") from None
    counts = get_global_attribute("object_name_uids")
    counts_before = dict(counts or {})
    lists = [
        attribute(layer, name)
        for layer in flatten_layers(model)
        for name in ("_inbound_nodes", "_outbound_nodes")
    ]
    sizes = [len(one) for one in lists]
    try:
        yield model.call(inputs)
    finally:
        for one, size in zip(lists, sizes, strict=True):
            del one[size:]
        if counts is not None:
            counts.clear()
            counts.update(counts_before)


def own_trainable_variables(layer: keras.Layer) -> list[keras.Variable]:
    """Returns the weights that the layer itself created as trainable weights.

    The result includes weights that have been frozen. By contrast,
    `layer.trainable_variables` omits frozen weights, and includes the weights of nested
    layers.
    """
    return list(attribute(layer, "_trainable_variables"))


def set_own_trainable(layer: keras.Layer, value: bool) -> None:
    """Sets a layer's own `trainable`, but not that of its variables or nested layers.

    The public setter of `layer.trainable` also changes the variables and nested layers.
    """
    attribute(layer, "_trainable")
    vars(layer)["_trainable"] = value


def trained_variables(optimizer) -> list[keras.Variable]:
    """Returns the variables that an optimizer was built to update.

    `optimizer.variables` contains the state of the optimizer instead.
    """
    return list(attribute(optimizer, "_trainable_variables"))


def accumulated_gradient(optimizer, variable: keras.Variable) -> keras.Variable:
    """Returns the sum of gradients that an optimizer has accumulated for a variable.

    The sum is also one of the public `optimizer.variables`, but can be identified there
    only by its name.
    """
    index = attribute(optimizer, "_get_variable_index")(variable)
    return attribute(optimizer, "_accumulated_gradients")[index]


def count_of_calls(optimizer) -> keras.Variable:
    """Returns the variable that counts the calls to an optimizer.

    With gradient accumulation, the public `optimizer.iterations` counts updates
    instead.
    """
    return attribute(optimizer, "_iterations")


def patched_state_shardings(model: keras.Model, shardings: tuple):
    """Returns a context manager that sets the output shardings of a JAX train function.

    Keras has no public API for adding elements to the state of a training step.
    """
    return patched(model, _get_state_sharding_spec=lambda: shardings)


def callback_list_of(frame: FrameType) -> Any:
    """Returns the value of the variable `callbacks` in the frame of a call to `fit`.

    No public API tells a train function which callbacks were passed to `fit`. In any
    other frame, the variable may have any value; if it does not exist, the result is
    `None`.
    """
    if "callbacks" not in frame.f_locals and is_keras_fit(frame):
        raise missing("the local variable `callbacks` of keras.Model.fit")
    return frame.f_locals.get("callbacks")


def is_keras_fit(frame: FrameType) -> bool:
    """Returns whether a frame belongs to a call to Keras' own `fit`."""
    module = frame.f_globals.get("__name__", "")
    return frame.f_code.co_name == "fit" and module.startswith("keras.")


def is_inside_fit(frame: FrameType | None) -> bool:
    """Returns whether Keras' own `fit` is in the call stack of a frame."""
    while frame is not None:
        if is_keras_fit(frame):
            return True
        frame = frame.f_back
    return False
