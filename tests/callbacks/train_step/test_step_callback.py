import keras
import numpy as np
import pytest

from callbacks.train_step import StepCallback, updating_optimizer

STEPS = 7  # in an epoch
BACKEND = keras.backend.backend()


class Count(StepCallback):
    """Counts steps inside the step."""

    def on_train_begin(self, logs=None):
        self.count = self.make_step_variable(0, "int")
        super().on_train_begin(logs)

    def step_variables(self):
        return [self.count]

    def begin_step(self, optimizer):
        self.count.assign_add(1)


class RateIsCount(Count):
    """Sets the learning rate to the count."""

    def begin_step(self, optimizer):
        super().begin_step(optimizer)
        self.rate = keras.ops.cast(self.count, "float32")

    def optimizer_attributes(self):
        return {"_get_current_learning_rate": lambda: self.rate}


def output(y, output):
    """A loss whose gradient is the input."""
    return output


def make_model(**compiled):
    model = keras.Sequential(
        [
            keras.Input((STEPS,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.5), output, **compiled)
    return model


def fit(model, callbacks, epochs=1):
    """Returns by how much weight i fell, which is the rate of step i."""
    before = np.array(model.get_weights()[0]).ravel()
    x, y = np.eye(STEPS), np.zeros(STEPS)
    model.fit(
        x,
        y,
        batch_size=1,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )
    return before - np.array(model.get_weights()[0]).ravel()


@pytest.mark.parametrize("steps_per_execution", [1, 3] if BACKEND != "torch" else [1])
def test_every_step_is_seen(steps_per_execution):
    count = RateIsCount()
    model = make_model(steps_per_execution=steps_per_execution)
    np.testing.assert_array_equal(fit(model, [count]), np.arange(1, STEPS + 1))
    assert int(count.count) == STEPS


def test_the_variables_can_be_set_between_steps():
    count = RateIsCount()

    def set_to_ten(batch, logs):
        count.count.assign(10)

    ten = keras.callbacks.LambdaCallback(on_train_batch_end=set_to_ten)
    rates = fit(make_model(), [count, ten])
    np.testing.assert_array_equal(rates, [1] + [11] * (STEPS - 1))


def test_several_callbacks_share_one_step():
    counts = [Count(), RateIsCount(), Count()]
    rates = fit(make_model(), counts, epochs=2)
    assert [int(count.count) for count in counts] == [2 * STEPS] * 3
    np.testing.assert_array_equal(rates, 2 * np.arange(1, STEPS + 1) + STEPS)


def test_two_that_set_the_same_are_an_error():
    with pytest.raises(
        ValueError, match="`callbacks`. Expected at most one RateIsCount. Received"
    ):
        fit(make_model(), [RateIsCount(), Count(), RateIsCount()])


def test_the_model_tracks_nothing_of_it():
    model = make_model()
    fit(model, [])
    weights, variables = len(model.weights), len(model.optimizer.variables)
    attributes = set(vars(model)), set(vars(model.optimizer))
    fit(model, [RateIsCount()])
    assert (len(model.weights), len(model.optimizer.variables)) == (weights, variables)
    assert (set(vars(model)), set(vars(model.optimizer))) == attributes


def test_a_step_of_ones_own_is_kept():
    class Doubling(keras.Sequential):
        def train_step(self, *arguments):
            self.called = True
            return super().train_step(*arguments)

    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = Doubling([keras.Input((STEPS,)), dense])
    model.compile(keras.optimizers.SGD(0.5), output)
    np.testing.assert_array_equal(fit(model, [RateIsCount()]), np.arange(1, STEPS + 1))
    assert model.called


def test_the_optimizer_that_updates():
    model = make_model()
    sgd = model.optimizer
    assert updating_optimizer(model) is sgd
    model.optimizer = keras.optimizers.LossScaleOptimizer(sgd)
    assert updating_optimizer(model) is sgd


DISTRIBUTED = """
import sys
import numpy as np
import keras
from callbacks import ScheduleLearningRate, ScheduleMomentum
from callbacks.schedules import Linear

def fit(momentum, callbacks):
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((4,)), dense])
    optimizer = keras.optimizers.SGD(0.5, momentum=momentum)
    model.compile(optimizer, lambda y, output: output)
    x = np.eye(4).repeat(2, axis=0)
    history = model.fit(x, np.zeros(8), batch_size=2, shuffle=False, verbose=0,
                        callbacks=callbacks)
    return -np.array(model.get_weights()[0]).ravel(), history.history

with scope():
    rates, history = fit(0.0, [ScheduleLearningRate(Linear(1))])
    np.testing.assert_allclose(rates, [0.5, 0.375, 0.25, 0.125], rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate"], [0.125], rtol=1e-6)
    # Weight i moves by 0.5 in step i, and by the momenta of the steps after it.
    moved, history = fit(0.9, [ScheduleMomentum(Linear(1), minimum=0.5)])
    _, m1, m2, m3 = 0.5, 0.6, 0.7, 0.8
    expected = [1 + m1 + m1 * m2 + m1 * m2 * m3, 1 + m2 + m2 * m3, 1 + m3, 1]
    np.testing.assert_allclose(moved, 0.5 * np.array(expected), rtol=1e-6)
    np.testing.assert_allclose(history["momentum"], [0.8], rtol=1e-6)
"""


@pytest.mark.heavy
def test_on_several_devices(run_on_two_devices):
    run_on_two_devices(DISTRIBUTED)
