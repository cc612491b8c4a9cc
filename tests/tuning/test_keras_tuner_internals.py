"""Names of KerasTuner that are gone are named, instead of ignored."""

import keras_tuner
import pytest

from tuning import keras_tuner_internals
from tuning.hyperparameters.drawn_hyperparameters import DrawnHyperParameters


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (cls, name)
        for cls, names in keras_tuner_internals.OVERRIDDEN.items()
        for name in names
    ],
)
def test_an_override_of_a_method_that_is_gone_is_refused(cls, name, monkeypatch):
    owner = next(each for each in cls.__mro__ if name in vars(each))
    monkeypatch.delattr(owner, name)
    with pytest.raises(ImportError, match=f"`{cls.__name__}.{name}`.*keras_tuner"):
        keras_tuner_internals.check_overridden()


def test_every_override_of_a_private_method_is_listed():
    from tuning import CoarseToFineSearch
    from tuning.oracles.coarse_to_fine_oracle import CoarseToFineOracle

    stock = {
        DrawnHyperParameters: keras_tuner.HyperParameters,
        CoarseToFineSearch: keras_tuner.Tuner,
        CoarseToFineOracle: keras_tuner.Oracle,
    }
    for own, base in stock.items():
        overridden = {
            name
            for cls in own.__mro__
            if cls.__module__.startswith("tuning.")
            for name in vars(cls)
            if name.startswith("_") and not name.startswith("__")
            if hasattr(base, name)
        }
        assert overridden == set(keras_tuner_internals.OVERRIDDEN.get(base, ()))


def test_an_attribute_that_is_gone_is_named():
    hyperparameters = DrawnHyperParameters()
    del hyperparameters._hps
    with pytest.raises(ImportError, match="`DrawnHyperParameters._hps`.*keras_tuner"):
        keras_tuner_internals.hyperparameters_named(hyperparameters, "x")
