import sys
from types import FunctionType

import keras
import pytest

from zoo.backend import keras_fit_internals

pytestmark = pytest.mark.one_backend


def test_a_fit_without_its_variables_is_an_error():
    def fit(self):
        return sys._getframe()

    model = object()
    scope = {"__name__": "keras.trainer", "sys": sys}
    frame = FunctionType(fit.__code__, scope)(model)
    assert keras_fit_internals.fit_frame(model, frame) is frame
    assert keras_fit_internals.fit_frame(object(), frame) is None
    with pytest.raises(ImportError, match="local variable `x` of keras.Model.fit"):
        keras_fit_internals.fit_variables(frame)


class Steps:
    def _enumerate_iterator(self):
        yield from range(3)


def test_steps_are_replaced_in_one_epoch():
    steps = Steps()
    keras_fit_internals.replace_steps_once(steps, lambda all_steps: list(all_steps)[1:])
    assert steps._enumerate_iterator() == [1, 2]
    assert list(steps._enumerate_iterator()) == [0, 1, 2]
    with pytest.raises(ImportError, match="`object._enumerate_iterator`"):
        keras_fit_internals.replace_steps_once(object(), list)


def test_progress_of_callbacks():
    checkpoint = keras.callbacks.ModelCheckpoint("best.keras")
    assert keras_fit_internals.progress_of(checkpoint)["best"] is None
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    assert keras_fit_internals.progress_of(schedule) == {}
    assert keras_fit_internals.progress_of(keras.callbacks.TerminateOnNaN()) is None
    del checkpoint._last_batch_seen
    with pytest.raises(ImportError, match="`ModelCheckpoint._last_batch_seen`"):
        keras_fit_internals.progress_of(checkpoint)


def test_the_global_seed_is_set():
    keras.utils.set_random_seed(3)
    keras.random.uniform(())
    before = keras.ops.convert_to_numpy(keras_fit_internals.global_seed())
    drawn = float(keras.random.uniform(()))
    keras_fit_internals.set_global_seed(before)
    assert float(keras.random.uniform(())) == drawn
