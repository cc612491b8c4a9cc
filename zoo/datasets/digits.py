"""TFDS builder for the handwritten digits dataset from scikit-learn."""

import numpy as np
import tensorflow_datasets as tfds

from .shipped import ShippedBuilder


class Digits(ShippedBuilder):
    """Builds scikit-learn's dataset of 1,797 images (8x8 pixels) of handwritten digits.

    The digits are the test set of the UCI dataset "Optical Recognition of Handwritten
    Digits". Pixel values are rescaled from the original range of 0 to 16 to the range
    of 0 to 255. The only split, "train", contains all digits.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="1,797 handwritten digits of 8x8 pixels, in 10 classes.",
            homepage="https://doi.org/10.24432/C50P49",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            citation=(
                "E. Alpaydin and C. Kaynak. Optical Recognition of Handwritten Digits. "
                "UCI Machine Learning Repository, 1998."
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        images = np.rint(pixels * (255 / 16)).astype("uint8").reshape(-1, 8, 8, 1)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}
