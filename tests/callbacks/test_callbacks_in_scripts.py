"""What scripts do with callbacks: copies, lists of their own, other float types."""

import copy
import pickle

import keras
import numpy as np
import pytest

from callbacks import (
    ActivationHistograms,
    EarlyStopping,
    GradientHistograms,
    ScheduleLearningRate,
    ScheduleMomentum,
    Snapshots,
    UpdateRatio,
)
from callbacks.schedules import Linear

X = np.random.default_rng(0).standard_normal((16, 4)).astype("float32")
NAMES = [
    *("early_stopping", "snapshots", "activations", "rate", "momentum"),
    *("ratio", "gradients"),
]


def make(name, folder):
    return {
        "early_stopping": lambda: EarlyStopping("loss", restore_best_weights=True),
        "snapshots": lambda: Snapshots(folder, every=1),
        "activations": lambda: ActivationHistograms(X),
        "rate": lambda: ScheduleLearningRate(Linear(3)),
        "momentum": lambda: ScheduleMomentum(Linear(3), minimum=0.5),
        "ratio": lambda: UpdateRatio(every=1),
        "gradients": lambda: GradientHistograms(every=1),
    }[name]()


def make_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="dense")])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def recorded(callback):
    if hasattr(callback, "to_frame"):
        return callback.to_frame().to_csv()
    names = ("best", "best_epoch", "paths")
    return [getattr(callback, name, None) for name in names]


def pickled(callback):
    return pickle.loads(pickle.dumps(callback))


@pytest.mark.heavy
@pytest.mark.parametrize("duplicate", [pickled, copy.deepcopy])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras' own saving
def test_a_copy_has_what_was_recorded_and_can_be_used(name, duplicate, tmp_path):
    duplicate(make(name, tmp_path))
    callback = make(name, tmp_path)
    make_model().fit(X, X[:, :1], verbose=0, callbacks=[callback])
    other = duplicate(callback)
    assert recorded(other) == recorded(callback)
    make_model().fit(X, X[:, :1], verbose=0, callbacks=[other])


def test_a_copy_restores_the_best_weights_itself():
    model, stopping = make_model(), EarlyStopping("loss", restore_best_weights=True)
    model.fit(X, X[:, :1], verbose=0, callbacks=[stopping])
    best = model.get_weights()
    other = copy.deepcopy(stopping)
    del stopping
    other.set_model(model)
    model.set_weights([np.zeros_like(weight) for weight in best])
    other.restore_best()
    np.testing.assert_array_equal(model.get_weights()[0], best[0])


def test_a_history_of_the_users_own():
    history = keras.callbacks.History()
    callbacks = [history, ScheduleLearningRate(Linear(4)), UpdateRatio(every=1)]
    make_model().fit(X, X[:, :1], epochs=3, verbose=0, callbacks=callbacks)
    assert len(history.history["loss"]) == 3


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_a_callback_list(name, tmp_path):
    model = make_model()
    callbacks = keras.callbacks.CallbackList(
        [make(name, tmp_path)] if name not in ("rate", "momentum") else
        [ScheduleLearningRate(Linear(4), steps_per_epoch=1)],
        add_history=True,
        model=model,
    )  # fmt: skip
    history = model.fit(X, X[:, :1], epochs=2, verbose=0, callbacks=callbacks).history
    assert len(history["loss"]) in (1, 2)
    if name == "rate":
        np.testing.assert_allclose(history["learning_rate"], [0.1, 0.075], rtol=1e-6)


def test_a_loop_of_the_users_own():
    model = make_model()
    schedule = ScheduleLearningRate(Linear(4), steps_per_epoch=1)
    callbacks = keras.callbacks.CallbackList([schedule], add_history=True, model=model)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_train_batch_begin(0)
        model.train_on_batch(X, X[:, :1])
        callbacks.on_train_batch_end(0)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()
    rates = model.history.history["learning_rate"]
    np.testing.assert_allclose(rates, [0.1, 0.075], rtol=1e-6)


FLOAT64 = """
import keras
import numpy as np
from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio

keras.config.set_floatx("float64")
# On PyTorch Keras 3.15 multiplies float64 tensors in float32.
large = 1e15 if keras.backend.backend() == "torch" else 1e300
x = np.array([[large, 2.0], [3.0, 4.0]])
for monitor in (UpdateRatio(1), GradientHistograms(1), ActivationHistograms(x)):
    layer = keras.layers.Dense(2, name="dense", kernel_initializer="identity")
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, x, verbose=0, callbacks=[monitor])
    assert len(monitor.to_frame())
info = monitor.activation_info()
assert info["non_finite"].max() == 0, info["non_finite"]
assert info["counts"].sum() == 2 * 4
np.testing.assert_allclose(info["edges"].max(), large, rtol=1e-6)
"""


@pytest.mark.heavy
def test_float64(run_python, root):
    run_python(
        "-c", FLOAT64, PYTHONPATH=str(root), JAX_ENABLE_X64="1", MPLBACKEND="Agg"
    )
