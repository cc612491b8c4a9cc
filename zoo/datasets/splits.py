"""Selection of the examples of the train, validation and test splits."""

import logging
from typing import NamedTuple

from .arrays import check_not_empty

logger = logging.getLogger(__name__)

TEST_FRACTION = 0.2  # of train, if a dataset has no test split

SPLITS = ("train", "validation", "test")


class StoredRange(NamedTuple):
    """Locates the examples of a split in the files of a dataset.

    Args:
        stored_split: Split that the dataset has.
        start: Index of the first example in that split.
        stop: Index after the last example.
    """

    stored_split: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of examples."""
        return self.stop - self.start


def choose_splits(
    name: str, sizes: dict[str, int], validation: float
) -> dict[str, StoredRange]:
    """Chooses the train, validation and test splits from their sizes.

    Existing splits are used unchanged. If "test" is missing, it is the last fifth of
    train. If "validation" is missing, it is cut off the end of the remaining train
    split.

    Args:
        name: Name of the dataset, for messages.
        sizes: Number of examples of each split that the dataset has.
        validation: Fraction of the remaining train split to hold out, in [0, 1). With
            0 there is no validation split, even if the dataset has one.

    Returns:
        A dict that maps "train", "validation" (unless `validation` is 0) and "test" to
        their examples.

    Raises:
        ValueError: If there is no train split, or one of the three is empty.
    """
    if "train" not in sizes:
        raise ValueError(
            f"Dataset '{name}' has no split 'train'. Expected a split to train on. "
            f"Received: splits {sorted(sizes)}"
        )
    stop = sizes["train"]
    ranges = {}
    if "test" in sizes:
        ranges["test"] = StoredRange("test", 0, sizes["test"])
    else:
        size = round(stop * TEST_FRACTION)
        ranges["test"] = StoredRange("train", stop - size, stop)
        stop -= size
        logger.warning(
            "Dataset '%s' has no test split: the last %d %% of train (%d examples) "
            "become the test split.",
            name,
            100 * TEST_FRACTION,
            size,
        )
    if validation and "validation" in sizes:
        ranges["validation"] = StoredRange("validation", 0, sizes["validation"])
    elif validation:
        size = round(stop * validation)
        ranges["validation"] = StoredRange("train", stop - size, stop)
        stop -= size
    ranges["train"] = StoredRange("train", 0, stop)
    for split, examples in ranges.items():
        check_not_empty(
            examples.size,
            split,
            f"It is cut from '{examples.stored_split}' of dataset '{name}' (sizes: "
            f"{sizes}) with validation={validation}.",
        )
    return {split: ranges[split] for split in SPLITS if split in ranges}
