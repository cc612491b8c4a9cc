"""How the learning rate goes with the batch size."""

from zoo.utils.arguments import check_integer, check_positive


def scale_learning_rate(
    learning_rate: float, *, batch_size: int, reference_batch_size: int
) -> float:
    """Returns the rate for another batch size: k times the batch, k times the rate.

    This is the linear scaling rule of Goyal et al. 2017, section 2.1, for SGD. It
    breaks down early in training, which is what a warm-up is for, and for very large
    batches.

    Args:
        learning_rate: Number > 0, a rate that is good at `reference_batch_size`.
        batch_size: Integer >= 1, size of the batches to train with.
        reference_batch_size: Integer >= 1.

    Returns:
        The rate for `batch_size`, a float.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> scale_learning_rate(0.1, batch_size=8192, reference_batch_size=256)
    3.2
    """
    learning_rate = check_positive("learning_rate", learning_rate)
    batch_size = check_integer("batch_size", batch_size, minimum=1)
    reference = check_integer("reference_batch_size", reference_batch_size, minimum=1)
    return learning_rate * batch_size / reference
