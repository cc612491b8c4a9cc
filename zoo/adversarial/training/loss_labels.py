"""A function that checks whether labels have the shape that a loss expects."""

from ...utils.arguments import invalid_argument
from ..classifier.expected_outputs import matching_loss
from ..classifier.head import Head


def check_labels_of_loss(shape: tuple, head: Head) -> None:
    """Raises an error if the loss does not support labels of this shape.

    Otherwise, the loss would broadcast the labels, or fail without naming them.

    Args:
        shape: Shape of a batch of labels, whose first dimension may be `None`.
        head: The head of the model.
    """
    shape, outputs = tuple(shape), head.num_outputs
    if head.one_hot in (None, len(shape) == 2 and shape[1] == outputs):
        return
    if head.one_hot:
        line = matching_loss(None, outputs, from_logits=not head.activation)
        raise invalid_argument(
            "y",
            f"one-hot rows of shape (batch, {outputs}), since the loss needs them",
            shape,
            f"Pass `keras.utils.to_categorical(y, {outputs})`, or use a loss for "
            f"integer labels. {line}",
        )
    raise invalid_argument(
        "y",
        "integers of shape (batch,), since the loss needs them",
        shape,
        "Pass `y.argmax(axis=1)`, or use `keras.losses.CategoricalCrossentropy`.",
    )
