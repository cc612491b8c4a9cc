"""Selection of the examples for the train, validation and test splits."""

import logging
from typing import NamedTuple

from .arrays import check_not_empty

logger = logging.getLogger(__name__)

TEST_FRACTION = 0.2  # of the train split, if a dataset has no test split

SHIPPED = ("digits", "diabetes")  # with kerascope

SPLITS = ("train", "validation", "test")


class StoredRange(NamedTuple):
    """Locates the examples of a split in the files of a dataset.

    Args:
        stored_split: Name of the stored split that contains the examples.
        start: Index of the first example in the stored split.
        stop: Index of the last example, plus 1.
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
    """Chooses the examples for the train, validation and test splits of a dataset.

    If the dataset has no "test" split, the last fifth of the train split becomes the
    test split. If the dataset has no "validation" split, examples from the end of the
    remaining train split are held out. Existing "test" and "validation" splits are used
    unchanged.

    Args:
        name: Name of the dataset in error messages.
        sizes: Dict that maps the name of each stored split to its number of examples.
        validation: Fraction of the remaining train split, in [0, 1), to hold out if
            the dataset has no validation split. If 0, no validation split is chosen,
            even if the dataset provides one.

    Returns:
        A dict that maps "train", "validation" (unless `validation` is 0) and "test" to
        the `StoredRange` of the examples.

    Raises:
        ValueError: If there is no train split, or a chosen split is empty.
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
        # For the datasets that ship with kerascope, this is part of their definition.
        log = logger.info if name.partition(":")[0] in SHIPPED else logger.warning
        log(
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
            f"It is taken from '{examples.stored_split}' of dataset '{name}' (sizes: "
            f"{sizes}) with validation={validation}.",
        )
    return {split: ranges[split] for split in SPLITS if split in ranges}
