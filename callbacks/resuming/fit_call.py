"""What Keras tells no callback: the arguments of `fit`, and its iterator of epochs."""

import sys
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class FitCall:
    """One call of `fit`.

    Attributes:
        epoch_iterator: Keras' iterator over the steps of an epoch.
        arguments: Arguments of `fit` by name.
        callbacks: All callbacks of it, with those that Keras adds.
    """

    epoch_iterator: object
    arguments: dict
    callbacks: list

    @property
    def dataset(self):
        """The `tf.data` pipeline that is iterated, or `None` if there is none."""
        x = self.arguments["x"]
        distributed = getattr(self.epoch_iterator, "_distributed_dataset", None)
        return x if hasattr(x, "element_spec") else distributed


def current_fit_call(model) -> FitCall:
    """Returns the call of `fit` that trains a model, from within one of its callbacks.

    A callback is given the numbers of epochs and steps, but neither the data nor the
    batch size, and has no way to begin an epoch in its middle. They are local
    variables of Keras' `fit`, here read from its frame.

    Raises:
        RuntimeError: If `fit` does not have them: Keras has changed.
    """
    frame = fit_frame(model, sys._getframe())
    wanted = (*ARGUMENTS, "epoch_iterator", "callbacks")
    missing = [name for name in wanted if frame is None or name not in frame.f_locals]
    if missing:
        import keras

        raise RuntimeError(
            f"Keras {keras.__version__} is not supported by ResumeTraining: its `fit` "
            f"has no {', '.join(missing)}. Expected Keras 3.12 to 3.15."
        )
    found = {name: frame.f_locals[name] for name in wanted}
    iterator, callbacks = found.pop("epoch_iterator"), found.pop("callbacks")
    return FitCall(iterator, found, callbacks.callbacks)


def fit_frame(model, frame):
    """Returns the frame of Keras' `fit` of a model, or `None` if it does not run.

    Args:
        model: The model.
        frame: Innermost frame to search from.
    """
    while frame is not None:
        is_fit = frame.f_code.co_name == "fit" and "epoch_iterator" in frame.f_locals
        if is_fit and frame.f_locals.get("self") is model:
            return frame
        frame = frame.f_back
    return None
