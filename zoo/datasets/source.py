"""Reads the splits of a prepared TFDS dataset."""

from .features import Mapping
from .splits import Part, choose_splits
from .text import naming_bad_texts


class Source:
    """Reads the splits of a prepared TFDS dataset.

    If the train split of a language model is a single text, it is split by characters,
    and the sizes of its parts are numbers of characters, not of examples.

    Args:
        name: Name of the dataset, for messages.
        builder: The `tfds.core.DatasetBuilder` of the prepared dataset.
        mapping: The `Mapping` of its examples to `(x, y)`.
        validation: Fraction of train to hold out, in [0, 1).

    Raises:
        ValueError: If there is no train split, or a split would be empty.
    """

    def __init__(self, name: str, builder, mapping: Mapping, validation: float):
        sizes = {
            split: info.num_examples for split, info in builder.info.splits.items()
        }
        self.name, self.builder, self.mapping = name, builder, mapping
        self.text = None
        if mapping.kind == "language_model" and sizes.get("train") == 1:
            self.text = self._join("train", 0, 1)
            sizes["train"] = len(self.text)
        self.parts = choose_splits(name, sizes, validation)

    def size(self, part: str) -> int:
        """Returns the number of examples in a part, or of characters in its text."""
        _, first, last = self.parts[part]
        return last - first

    def read(self, part: str):
        """Returns a `tf.data.Dataset` of single `(x, y)` of a part, in fixed order."""
        return self._read(self.parts[part])

    def read_text(self, part: str) -> str:
        """Returns all texts of a part as one string, joined by newlines."""
        split, first, last = self.parts[part]
        if split == "train" and self.text is not None:
            return self.text[first:last]
        return self._join(split, first, last)

    def _join(self, *part) -> str:
        with naming_bad_texts(self.name):
            texts = [text for text, _ in self._read(part).as_numpy_iterator()]
        return "\n".join(text.decode() for text in texts)

    def _read(self, part: Part):
        import tensorflow as tf
        import tensorflow_datasets as tfds

        split, first, last = part
        examples = self.builder.as_dataset(
            split=tfds.core.ReadInstruction(split, first, last, unit="abs"),
            shuffle_files=False,
            read_config=tfds.ReadConfig(try_autocache=False),
        )
        return examples.map(self.mapping.function, num_parallel_calls=tf.data.AUTOTUNE)
