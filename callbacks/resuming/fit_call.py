"""The current call to `fit`, as seen from one of its callbacks."""

import sys
from dataclasses import dataclass
from typing import Any

import keras

from zoo.backend.keras_fit_internals import (
    batch_size_of,
    build_for_fit,
    distributed_dataset,
    fit_frame,
    fit_variables,
    is_iterated,
    last_logs,
)
from zoo.backend.keras_internals import flatten_layers

from .errors import ResumeError


@dataclass(frozen=True, eq=False)
class FitCall:
    """A call to `fit`.

    Attributes:
        model: Model that is trained.
        epoch_iterator: Keras' iterator over the steps of an epoch.
        arguments: Dict of the arguments of `fit`.
        callbacks: List of all callbacks, including those that Keras adds.
    """

    model: Any
    epoch_iterator: Any
    arguments: dict
    callbacks: list

    @property
    def dataset(self):
        """The `tf.data` pipeline that is read, or `None` if there is none."""
        x = self.arguments["x"]
        if hasattr(x, "element_spec"):
            return x
        return distributed_dataset(self.epoch_iterator)

    @property
    def batch_size(self) -> int | None:
        """Batch size of the data, or `None` if it is unknown."""
        return batch_size_of(self.epoch_iterator)

    def build(self) -> None:
        """Creates all variables of the model, its metrics and its optimizer.

        Raises:
            ResumeError: If the model has no `call`, and one of its layers is not built.
        """
        model = self.model
        if type(model).call is keras.Model.call:  # it only defines `train_step`
            layers = flatten_layers(model, include_self=False)
            unbuilt = [layer.name for layer in layers if not layer.built]
            if unbuilt:
                raise ResumeError(
                    f"Layers of the model are not built: {', '.join(unbuilt)}. "
                    "Expected a model with `call`, or layers that are built before "
                    "`fit`, for example by calling them on a batch."
                )
            if model.optimizer is not None and not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
            return
        specification = keras.tree.map_structure(
            # A missing part of the batch has a specification without a shape.
            lambda part: part if hasattr(part, "shape") else None,
            getattr(self.dataset, "element_spec", None),
        )
        build_for_fit(model, self.epoch_iterator, specification)


def current_fit_call(model) -> FitCall:
    """Returns the call to `fit` that trains a model.

    Must be called by a callback. Raises an `ImportError` if the installed version of
    Keras is not supported.

    Raises:
        RuntimeError: If Keras' `fit` is not in the call stack.
    """
    frame = fit_frame(model, sys._getframe())
    if frame is None:
        raise RuntimeError(
            "ResumeTraining works only in `model.fit`. Expected Keras' own `fit` in "
            "the call stack. Received: a custom training loop, or a `fit` that does "
            "not call that of keras.Model."
        )
    variables = fit_variables(frame)
    iterator = variables.pop("epoch_iterator")
    callbacks = variables.pop("callbacks").callbacks
    return FitCall(model, iterator, variables, callbacks)


def current_logs(model) -> dict:
    """Returns the logs of the last step of the current call to `fit`, if there is one.

    Must be called by a callback.
    """
    frame = fit_frame(model, sys._getframe())
    return {} if frame is None else last_logs(frame)


def is_in_fit(epoch_iterator, frame) -> bool:
    """Returns whether a certain call to `fit` is running in a call stack.

    Args:
        epoch_iterator: The `epoch_iterator` of the `FitCall`, or `None` if it no longer
            exists.
        frame: Innermost frame of the call stack.
    """
    return epoch_iterator is not None and is_iterated(epoch_iterator, frame)
