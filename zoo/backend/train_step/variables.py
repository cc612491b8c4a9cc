"""Creates variables for the training step."""

import contextlib

import keras


def make_variable(model, value, dtype: str) -> keras.Variable:
    """Creates a variable for use in the training step.

    The variable is neither trained nor saved with the model.
    """
    # TensorFlow strategies require variables to be created in their scope.
    strategy = getattr(model, "distribute_strategy", None)
    with strategy.scope() if strategy else contextlib.nullcontext():
        return keras.Variable(
            value,
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
