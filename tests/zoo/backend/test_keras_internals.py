import sys
from types import FunctionType

import keras
import pytest

from zoo.backend.keras_internals import callback_list_of, patched


def test_attributes_are_replaced_within_the_context():
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    attributes = dict(vars(optimizer))
    with patched(optimizer, momentum=0.5, apply=lambda: "replaced"):
        assert optimizer.momentum == 0.5
        assert optimizer.apply() == "replaced"
    assert vars(optimizer) == attributes


def test_an_attribute_that_does_not_exist_cannot_be_replaced():
    optimizer = keras.optimizers.SGD(0.1)
    attributes = dict(vars(optimizer))
    with (
        pytest.raises(ImportError, match="uses `SGD._gone`, which the installed"),
        patched(optimizer, momentum=0.5, _gone=None),
    ):
        raise AssertionError("nothing is replaced")
    assert vars(optimizer) == attributes


def test_a_fit_without_its_callbacks_is_an_error():
    def fit():
        return sys._getframe()

    assert callback_list_of(fit()) is None
    keras_fit = FunctionType(fit.__code__, {"__name__": "keras.trainer", "sys": sys})
    with pytest.raises(ImportError, match="variable `callbacks` of keras.Model.fit"):
        callback_list_of(keras_fit())
