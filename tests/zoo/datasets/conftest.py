"""Small TFDS datasets of features made up for the tests."""

import pytest


@pytest.fixture
def make_builder(tmp_path):
    """Returns a function that prepares a dataset of given features and examples."""
    tfds = pytest.importorskip("tensorflow_datasets")

    def make(features, splits, supervised_keys=None, name="made_up"):
        class MadeUp(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=supervised_keys,
                    # Keeps the order of the examples, so that tests can tell rows.
                    disable_shuffling=True,
                )

            def _split_generators(self, dl_manager):
                return {
                    split: list(enumerate(examples))
                    for split, examples in splits.items()
                }

            def _generate_examples(self):
                raise NotImplementedError

        MadeUp.name = name
        MadeUp(data_dir=tmp_path).download_and_prepare()
        return tmp_path  # TFDS reads a prepared dataset without its builder

    return make
