"""Functions that use local variables and private APIs of Keras' `fit`.

The functions follow the same conventions as those in `keras_internals`. Keras gives
callbacks neither the data of the call to `fit` nor a way to begin within an epoch.
"""

import functools
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import keras

from .keras_internals import attribute, is_keras_fit, missing

ARGUMENTS = (
    "x",
    "y",
    "sample_weight",
    "batch_size",
    "epochs",
    "validation_data",
    "shuffle",
    "class_weight",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
    "validation_batch_size",
    "validation_freq",
)


def fit_frame(model, frame: FrameType | None) -> FrameType | None:
    """Returns the frame of the call to Keras' `fit` that trains a model.

    Args:
        model: Model that is trained.
        frame: Innermost frame to search from.

    Returns:
        The frame, or `None` if no such call is in the call stack.
    """
    while frame is not None:
        if is_keras_fit(frame) and frame.f_locals.get("self") is model:
            return frame
        frame = frame.f_back
    return None


def fit_variables(frame: FrameType) -> dict[str, Any]:
    """Returns local variables of a call to Keras' `fit`.

    They are the arguments of the call, "epoch_iterator", which iterates over the steps
    of an epoch, and "callbacks", the `CallbackList`. A callback can get them from no
    public API.
    """
    names = (*ARGUMENTS, "epoch_iterator", "callbacks")
    for name in names:
        if name not in frame.f_locals:
            raise missing(f"the local variable `{name}` of keras.Model.fit")
    return {name: frame.f_locals[name] for name in names}


def last_logs(frame: FrameType) -> dict[str, Any]:
    """Returns the logs of the last step of a call to Keras' `fit`.

    The result is empty before the first step. Keras passes these logs to
    `on_train_batch_end`, but waits for every step if a callback defines this hook.
    """
    return frame.f_locals.get("logs") or {}


def is_iterated(epoch_iterator, frame: FrameType | None) -> bool:
    """Returns whether a call to Keras' `fit` with this iterator is in a call stack.

    Args:
        epoch_iterator: Iterator of a call to `fit`.
        frame: Innermost frame of the call stack.
    """
    while frame is not None:
        own = frame.f_locals.get("epoch_iterator") if is_keras_fit(frame) else None
        if own is epoch_iterator:
            return True
        frame = frame.f_back
    return False


def set_first_epoch(model: keras.Model, epoch: int | None) -> None:
    """Sets the epoch at which the current call to `fit` begins.

    `BackupAndRestore` sets the same attribute. The argument `initial_epoch` cannot be
    changed by a callback. `None` restores the default.
    """
    attribute(model, "_initial_epoch")
    model._initial_epoch = epoch


def build_for_fit(model: keras.Model, epoch_iterator, specification) -> None:
    """Creates all variables of the model, its metrics and its optimizer.

    The other backends do this before `on_train_begin`. On TensorFlow, the first step
    creates the variables, and no public method builds the metrics.

    Args:
        model: Compiled model.
        epoch_iterator: Iterator of the current call to `fit`.
        specification: Structure that specifies the shape and dtype of a batch, or
            `None` to draw a batch.
    """
    build = attribute(model, "_symbolic_build")
    build(iterator=epoch_iterator, data_batch=specification)


def distributed_dataset(epoch_iterator):
    """Returns the `tf.data` pipeline that `fit` reads on TensorFlow, or `None`.

    Keras creates this pipeline, also from arrays and generators.
    """
    return getattr(epoch_iterator, "_distributed_dataset", None)


def batch_size_of(epoch_iterator) -> int | None:
    """Returns the batch size of the data that `fit` reads, or `None` if it is unknown.

    The argument `batch_size` of `fit` is `None` by default.
    """
    return attribute(attribute(epoch_iterator, "data_adapter"), "batch_size")


def replace_steps_once(epoch_iterator, replace: Callable[[Iterator], Iterator]) -> None:
    """Replaces the steps of the next epoch.

    Keras has no API to begin an epoch with any step but the first.

    Args:
        epoch_iterator: Iterator of the current call to `fit`.
        replace: Function that maps the iterator over the steps of the epoch to the
            iterator to use instead.
    """
    name = "_enumerate_iterator"
    all_steps = attribute(epoch_iterator, name)

    def replaced() -> Iterator:
        delattr(epoch_iterator, name)
        return replace(all_steps())

    setattr(epoch_iterator, name, replaced)


def replace_batch_distribution(distribute: Callable) -> None:
    """Replaces the function that distributes a batch to several devices on JAX.

    A `Distribution` determines a single layout for all batches of a dataset, so no
    subclass of it can distribute the last batch in a different way.

    Args:
        distribute: Function that is called with Keras' own function, followed by the
            arguments of that function: a tensor, its layout, and the name of the axis
            of the device mesh that shares batches.
    """
    try:
        from keras.src.backend import distribution_lib
    except ImportError:
        raise missing("keras.src.backend.distribution_lib") from None
    own = attribute(distribution_lib, "distribute_data_input")

    @functools.wraps(own)
    def replaced(batch, layout, batch_dim_name):
        return distribute(own, batch, layout, batch_dim_name)

    distribution_lib.distribute_data_input = replaced


def global_seed() -> Any:
    """Returns the state of Keras' global seed generator, or `None` if it has none.

    `keras.utils.set_random_seed` can set this state only to that of a new generator.
    """
    state, generators = _global_seed_modules()
    # Keras 3.12 has no constant for this name.
    name = getattr(generators, "GLOBAL_SEED_GENERATOR", "global_seed_generator")
    generator = attribute(state, "get_global_attribute")(name)
    return None if generator is None else generator.state


def set_global_seed(value) -> None:
    """Sets the state of Keras' global seed generator, which is created if missing."""
    _, generators = _global_seed_modules()
    attribute(generators, "global_seed_generator")().state.assign(value)


def _global_seed_modules() -> tuple:
    try:
        from keras.src.backend.common import global_state
        from keras.src.random import seed_generator
    except ImportError:
        raise missing("keras.src.random.seed_generator") from None
    return global_state, seed_generator


def progress_of(callback: keras.callbacks.Callback) -> dict[str, Any] | None:
    """Returns the attributes that change while a callback of Keras runs.

    All other attributes are settings, or belong to one call to `fit`, such as open
    files. Keras' callbacks have no API that returns their state.

    Args:
        callback: Any callback.

    Returns:
        A dict of attributes, or `None` for other callbacks than `ModelCheckpoint`,
        `TensorBoard` and `LearningRateScheduler`.
    """
    for kind, (always, sometimes) in _PROGRESS.items():
        if isinstance(callback, kind):
            progress = {name: attribute(callback, name) for name in always}
            return progress | {
                name: getattr(callback, name, None) for name in sometimes
            }
    return None


# For each class, the attributes that always exist, and those that a hook creates.
_PROGRESS: dict[type, tuple[tuple, tuple]] = {
    keras.callbacks.LearningRateScheduler: ((), ()),
    keras.callbacks.ModelCheckpoint: (
        ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
        ("_current_epoch",),
    ),
    keras.callbacks.TensorBoard: (
        ("_global_train_batch", "_global_test_batch", "_previous_epoch_iterations"),
        ("_epoch_start_time",),
    ),
}
