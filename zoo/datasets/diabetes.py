"""TFDS builder for the diabetes dataset from scikit-learn."""

import numpy as np
import tensorflow_datasets as tfds

from .shipped import ShippedBuilder


class Diabetes(ShippedBuilder):
    """Builds scikit-learn's regression dataset of 442 diabetes patients.

    The ten columns are age, sex, body mass index, blood pressure and six blood serum
    measurements, in their original units. The target measures disease progression one
    year after baseline. The only split, "train", contains all patients.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}

    def _info(self) -> tfds.core.DatasetInfo:
        columns = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
        return tfds.core.DatasetInfo(
            builder=self,
            description="442 diabetes patients: ten columns, disease progression.",
            homepage="https://doi.org/10.1214/009053604000000067",
            features=tfds.features.FeaturesDict(
                {
                    "features": dict.fromkeys(columns, np.float32),
                    "progression": np.float32,
                }
            ),
            supervised_keys=("features", "progression"),
            citation=(
                "B. Efron, T. Hastie, I. Johnstone and R. Tibshirani. Least Angle "
                "Regression. The Annals of Statistics 32(2), 2004."
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        from sklearn.datasets import load_diabetes

        data = load_diabetes(scaled=False)
        for index, (row, target) in enumerate(zip(data.data, data.target, strict=True)):
            features = dict(zip(data.feature_names, row.tolist(), strict=True))
            yield index, {"features": features, "progression": float(target)}
