"""What callbacks read as the rate of the optimizer while a schedule runs."""

import keras
import numpy as np
import pytest

from callbacks import ScheduleLearningRate
from callbacks.schedules import Linear

X = np.ones((4, 1), "float32")


class Reads(keras.callbacks.Callback):
    """Keeps the rate that the optimizer says at the end of the epochs."""

    def on_train_begin(self, logs=None):
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        rate = self.model.optimizer.learning_rate
        self.rates.append(float(keras.ops.convert_to_numpy(rate)))


def fit(callbacks, model=None):
    if model is None:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.5), "mse")
    fitted = model.fit(X, X, batch_size=1, epochs=4, verbose=0, callbacks=callbacks)
    return model, fitted.history["learning_rate"]


def shown(folder):
    """The scalars that TensorBoard shows as the rate."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    from tensorboard.util.tensor_util import make_ndarray

    events = accumulator.EventAccumulator(str(folder / "train"))
    events.Reload()
    points = events.Tensors("epoch_learning_rate")
    return [float(make_ndarray(point.tensor_proto)) for point in points]


@pytest.mark.parametrize("comes_first", [True, False])
def test_tensorboard_shows_the_rate_that_was_used(tmp_path, comes_first):
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    callbacks = [board, ScheduleLearningRate(Linear(4))]
    _, history = fit(callbacks if comes_first else callbacks[::-1])
    np.testing.assert_allclose(history, [0.40625, 0.28125, 0.15625, 0.03125])
    np.testing.assert_allclose(shown(tmp_path), history)


@pytest.mark.parametrize("comes_first", [True, False])
def test_so_does_what_wandb_reads(comes_first):
    reader = type("WandbMetricsLogger", (Reads,), {"__module__": "wandb.keras"})()
    callbacks = [reader, ScheduleLearningRate(Linear(4))]
    _, history = fit(callbacks if comes_first else callbacks[::-1])
    np.testing.assert_allclose(reader.rates, history)


def test_all_others_read_the_float_that_they_may_set():
    reader = Reads()
    plateau = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=1e9
    )
    _, history = fit([plateau, reader, ScheduleLearningRate(Linear(4))])
    assert reader.rates == [0.5, 0.25, 0.125, 0.0625]
    factors = np.array([0.8125, 0.5625, 0.3125, 0.0625])
    np.testing.assert_allclose(history, factors * [0.5, 0.5, 0.25, 0.125])


def test_without_a_schedule_it_shows_the_float_again(tmp_path):
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    model, _ = fit([board, ScheduleLearningRate(Linear(4))])
    model.fit(X, X, epochs=6, initial_epoch=4, verbose=0, callbacks=[board])
    assert shown(tmp_path)[-2:] == [0.5, 0.5]
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == 0.5


def test_a_hook_that_fails_leaves_the_float(tmp_path):
    class Fails(keras.callbacks.TensorBoard):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    callbacks = [ScheduleLearningRate(Linear(4)), Fails(tmp_path, write_graph=False)]
    with pytest.raises(KeyboardInterrupt):
        fit(callbacks, model)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == 0.5


def test_a_callback_may_have_any_attribute():
    class Called(keras.callbacks.Callback):
        called = True

    _, history = fit([Called(), ScheduleLearningRate(Linear(4))])
    assert len(history) == 4
