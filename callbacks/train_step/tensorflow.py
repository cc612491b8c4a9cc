"""The step on TensorFlow."""

from .common import begin_step, patched


def make_function(model, callbacks: list):
    """Returns a train function of the model in which callbacks take part.

    Args:
        model: Compiled model.
        callbacks: List of callbacks, which may be filled until the first call.
    """
    own_step = model.train_step

    def train_step(data):
        begin_step(model, callbacks)
        return own_step(data)

    with patched(model, train_step=train_step):
        model.make_train_function(force=True)
    return model.train_function
