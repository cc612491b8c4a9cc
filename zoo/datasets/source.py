"""Reads the splits of a prepared TFDS dataset."""

from .features import Mapping
from .splits import StoredRange, choose_splits
from .text import naming_bad_texts


class Source:
    """Reads the splits of a prepared TFDS dataset.

    If the train split for a language model is a single text, characters of the text are
    held out instead of examples. In this case, the sizes of the splits are measured in
    characters.

    Args:
        name: Name of the dataset in error messages.
        builder: The `tfds.core.DatasetBuilder` of the prepared dataset.
        mapping: `Mapping` that describes how examples are converted to `(x, y)`.
        validation: Fraction of the train split, in [0, 1), to hold out if the dataset
            has no validation split.

    Attributes:
        sizes: Dict that maps the name of each split to its number of examples.
        held_out: Names of the splits that are cut off the end of the stored train
            split, the last one first.

    Raises:
        ValueError: If there is no train split, a split would be empty, or the single
            text of a language model is not encoded in UTF-8.
    """

    def __init__(self, name: str, builder, mapping: Mapping, validation: float):
        stored = {
            split: info.num_examples for split, info in builder.info.splits.items()
        }
        self.name, self.builder, self.mapping = name, builder, mapping
        self._train_text = None
        if mapping.kind == "language_model" and stored.get("train") == 1:
            self._train_text = self._join(StoredRange("train", 0, 1))
            stored["train"] = len(self._train_text)
        self._ranges = choose_splits(name, stored, validation)
        self.sizes = {split: each.size for split, each in self._ranges.items()}
        self.held_out = [
            split
            for split in ("test", "validation")
            if split in self._ranges and self._ranges[split].stored_split == "train"
        ]

    def read(self) -> dict:
        """Returns a `tf.data.Dataset` of unbatched examples `(x, y)` for each split.

        The examples are in their stored order.
        """
        return {split: self._read(each) for split, each in self._ranges.items()}

    def read_texts(self) -> dict[str, str]:
        """Returns the texts of each split as a single string, joined with newlines.

        Raises:
            ValueError: If a text is not encoded in UTF-8.
        """
        return {split: self._text(each) for split, each in self._ranges.items()}

    def _text(self, stored: StoredRange) -> str:
        if stored.stored_split == "train" and self._train_text is not None:
            return self._train_text[stored.start : stored.stop]
        return self._join(stored)

    def _join(self, stored: StoredRange) -> str:
        with naming_bad_texts(self.name):
            texts = [text for text, _ in self._read(stored).as_numpy_iterator()]
        return "\n".join(text.decode() for text in texts)

    def _read(self, stored: StoredRange):
        import tensorflow as tf
        import tensorflow_datasets as tfds

        examples = self.builder.as_dataset(
            split=tfds.core.ReadInstruction(*stored, unit="abs"),
            shuffle_files=False,
            read_config=tfds.ReadConfig(try_autocache=False),
        )
        return examples.map(self.mapping.function, num_parallel_calls=tf.data.AUTOTUNE)
