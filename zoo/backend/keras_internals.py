"""Names that Keras, KerasTuner and TensorFlow do not promise to keep.

Each function uses one such name and says why there is no public way. If the name is
gone, it raises an `ImportError` that names it.
"""

import contextlib
from collections.abc import Iterator

import keras


def attribute(owner, name: str, library=keras):
    """Returns an attribute that is private to another library.

    Raises:
        ImportError: If it does not exist.
    """
    if not hasattr(owner, name):
        owner_name = getattr(owner, "__name__", type(owner).__name__)
        raise missing(f"{owner_name}.{name}", library)
    return getattr(owner, name)


def missing(name: str, library=keras) -> ImportError:
    """Returns the error for a private name that a library does not have."""
    return ImportError(
        f"kerascope uses `{name}`, which the installed versions do not have: "
        f"{library.__name__} {library.__version__}.\nInstall a version of "
        f"{library.__name__} that kerascope was tested with (see its README)."
    )


@contextlib.contextmanager
def float64_operations() -> Iterator[None]:
    """Stops Keras operations from casting float64 to float32 on JAX and PyTorch.

    `keras.config.set_floatx("float64")` changes the dtype of new variables only.
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

    `keras.Model.layers` lacks layers inside of layers.

    Args:
        model: A layer or model.
        **options: `recursive` and `include_self`, both `True` by default.
    """
    return list(attribute(model, "_flatten_layers")(**options))


def compiled_loss(model: keras.Model):
    """Returns the object that computes the compiled loss, `None` without a loss.

    `model.loss` is the argument of `compile`, without its weights.
    """
    return attribute(model, "_compile_loss")


def loss_weights(model: keras.Model):
    """Returns the `loss_weights` that a model was compiled with."""
    return attribute(compiled_loss(model), "_user_loss_weights")


def tensorflow_gradient_registry() -> dict:
    """Returns the registry in which TensorFlow keeps custom gradients.

    There is no public way to remove entries.
    """
    try:
        from tensorflow.python.framework import ops
    except ImportError:
        raise missing("tensorflow.python.framework.ops") from None
    registry = attribute(ops, "gradient_registry")
    return attribute(registry, "_registry")
