"""Selection of the examples of the train, validation and test splits."""

import logging

from .arrays import check_not_empty

logger = logging.getLogger(__name__)

TEST_FRACTION = 0.2  # of train, if a dataset has no test split

PARTS = ("train", "validation", "test")
Part = tuple[str, int, int]  # a split of the dataset, and the range of its examples


def choose_splits(
    name: str, sizes: dict[str, int], validation: float
) -> dict[str, Part]:
    """Chooses the train, validation and test splits from their sizes.

    Existing splits are used unchanged. If "test" is missing, it is the last fifth of
    train. If "validation" is missing, it is the last part of the remaining train
    split.

    Args:
        name: Name of the dataset, for messages.
        sizes: Number of examples of each split that the dataset has.
        validation: Fraction of the remaining train split to hold out, in [0, 1). With
            0 there is no validation split, even if the dataset has one.

    Returns:
        A dict with an entry for "train", "validation" (unless `validation` is 0) and
        "test": the split to read, its first example, and one past its last example.

    Raises:
        ValueError: If there is no train split, or one of the three is empty.
    """
    if "train" not in sizes:
        raise ValueError(
            f"Dataset '{name}' has no split 'train'. Expected a split to train on. "
            f"Received: splits {sorted(sizes)}"
        )
    stop = sizes["train"]
    parts = {}
    if "test" in sizes:
        parts["test"] = ("test", 0, sizes["test"])
    else:
        size = round(stop * TEST_FRACTION)
        parts["test"] = ("train", stop - size, stop)
        stop -= size
        logger.warning(
            "Dataset '%s' has no test split: the last %d %% of train (%d examples) "
            "become the test split.",
            name,
            100 * TEST_FRACTION,
            size,
        )
    if validation and "validation" in sizes:
        parts["validation"] = ("validation", 0, sizes["validation"])
    elif validation:
        size = round(stop * validation)
        parts["validation"] = ("train", stop - size, stop)
        stop -= size
    parts["train"] = ("train", 0, stop)
    for part, (split, first, last) in parts.items():
        check_not_empty(
            last - first,
            part,
            f"It is cut from '{split}' of dataset '{name}' (sizes: {sizes}) with "
            f"validation={validation}.",
        )
    return {part: parts[part] for part in PARTS if part in parts}
