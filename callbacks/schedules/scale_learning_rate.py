"""The linear scaling rule for the learning rate."""

from zoo.utils.arguments import check_integer, check_positive


def scale_learning_rate(
    learning_rate: float, *, batch_size: int, reference_batch_size: int
) -> float:
    """Scales the learning rate in proportion to the batch size.

    This is the linear scaling rule for SGD (Goyal et al. 2017, section 2.1). The rule
    breaks down for very large batches. It also breaks down early in training, so use a
    warm-up.

    Args:
        learning_rate: Number > 0, a learning rate that works well with a batch size of
            `reference_batch_size`.
        batch_size: Integer >= 1, the batch size used for training.
        reference_batch_size: Integer >= 1, the batch size for which `learning_rate`
            works well.

    Returns:
        The learning rate for `batch_size`, a float.

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
