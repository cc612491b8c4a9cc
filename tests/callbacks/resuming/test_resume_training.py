"""Trainings that are interrupted, beside those that are not: equal bit for bit."""

import contextlib
import random

import keras
import numpy as np
import pytest

from callbacks import EarlyStopping, ResumeTraining, UpdateRatio
from zoo.adversarial import FGSM, AdversarialTrainer


def test_training_is_the_same_with_it_and_ends_once(
    run, uninterrupted, tmp_path, capsys
):
    run.assert_same(run.train(tmp_path), uninterrupted)
    capsys.readouterr()
    model = run.train(tmp_path, beside=[run.interrupt_at(0)])
    assert "has already ended, after epoch 3" in capsys.readouterr().out
    run.assert_same(model, uninterrupted)


@pytest.mark.parametrize(
    "stop",
    [
        7,
        *(pytest.param(step, marks=pytest.mark.heavy) for step in (0, 1, 3, 10, 14)),
    ],
)
def test_it_ends_as_if_it_had_not_been_interrupted(stop, run, uninterrupted, tmp_path):
    run.train(tmp_path, stop=stop)
    run.assert_same(run.train(tmp_path), uninterrupted)


@pytest.mark.heavy
def test_it_can_be_interrupted_again_and_again(run, uninterrupted, tmp_path):
    for _ in range(3):
        run.train(tmp_path, stop=4)
    run.assert_same(run.train(tmp_path), uninterrupted)


@pytest.mark.heavy
def test_the_end_of_an_epoch_is_a_place_to_resume(run, uninterrupted, tmp_path):
    run.train(tmp_path, every="epoch", stop=12)
    counted = run.interrupt_at(100)
    model = run.train(tmp_path, every="epoch", beside=[counted])
    run.assert_same(model, uninterrupted)
    assert 100 - counted.steps_left == run.steps


@pytest.mark.heavy
def test_steps_before_the_save_are_not_trained_again(run, uninterrupted, tmp_path):
    run.train(tmp_path, stop=9)
    counted = run.interrupt_at(100)
    run.assert_same(run.train(tmp_path, beside=[counted]), uninterrupted)
    assert 100 - counted.steps_left == run.epochs * run.steps - 8


@pytest.mark.heavy
def test_more_epochs_follow_after_the_end(run, uninterrupted, tmp_path):
    run.train(tmp_path, epochs=run.epochs - 1)
    run.assert_same(run.train(tmp_path), uninterrupted)


@pytest.mark.heavy
def test_overwrite_starts_again(run, uninterrupted, tmp_path):
    run.train(tmp_path, epochs=4, stop=9)
    run.assert_same(run.train(tmp_path, overwrite=True), uninterrupted)


@pytest.mark.heavy
def test_a_later_fit_begins_at_its_first_epoch(run, tmp_path):
    run.train(tmp_path, stop=7)
    model = run.train(tmp_path)
    history = model.fit(epochs=2, verbose=0, **run.data())
    assert history.epoch == [0, 1]


@pytest.mark.heavy
def test_a_training_that_stopped_early_has_ended(run, tmp_path):
    def stopping():
        return [EarlyStopping("loss", patience=1, min_delta=9.0)]

    model = run.train(tmp_path, stopping(), epochs=5)
    assert model.history.epoch == [0, 1]
    assert run.train(tmp_path, stopping(), epochs=9).history.epoch == [0, 1]


@pytest.mark.heavy
def test_seconds_replace_steps(run, tmp_path):
    run.train(tmp_path, every=None, seconds=1e-9, stop=4)
    assert len(run.saves(tmp_path)) == 2
    run.train(tmp_path / "never", every=None, seconds=1e9, stop=14)
    assert not run.saves(tmp_path / "never")


OPTIMIZERS = {
    "ema": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5),
    "accumulation": lambda: keras.optimizers.SGD(
        0.1, momentum=0.9, gradient_accumulation_steps=3
    ),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01), initial_scale=4.0, dynamic_growth_steps=3
    ),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_all_of_an_optimizer_is_resumed(name, run, tmp_path):
    def make():
        return run.build(OPTIMIZERS[name]())

    run.train(tmp_path, make=make, stop=8)
    run.assert_same(run.train(tmp_path, make=make), run.train(make=make))


class Ending(keras.callbacks.Callback):
    """Raises an error between the last two saves, or records the last logs."""

    fails = False
    seen = None

    @classmethod
    def kept(cls, fails):
        callback = cls()
        callback.get_state, callback.set_state = (lambda: None), (lambda state: None)
        callback.fails = fails
        return [callback]

    def on_train_end(self, logs=None):
        if self.fails:
            raise ZeroDivisionError
        self.seen = logs


def test_callbacks_get_the_last_logs_after_a_kill_at_the_end(run, tmp_path):
    with pytest.raises(ZeroDivisionError):
        run.train(tmp_path, Ending.kept(True), epochs=1)
    (callback,) = Ending.kept(False)
    model = run.train(tmp_path, [callback], epochs=1)
    history = {name: values[-1] for name, values in model.history.history.items()}
    assert callback.seen == history


@pytest.mark.heavy
def test_the_end_leaves_the_random_state_of_training(run, tmp_path):
    def unseeded():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
        return model

    def train(folder, **options):
        data = run.data()
        run.train(folder / "first", epochs=1, **data)
        drawn = random.random(), np.random.rand(), float(keras.random.uniform(()))
        return drawn, run.train(folder / "second", make=unseeded, **data, **options)

    straight, expected = train(tmp_path / "straight")
    train(tmp_path / "killed", every=1000, stop=2)
    again, model = train(tmp_path / "killed")
    assert again == straight
    run.assert_same(model, expected)


@pytest.mark.heavy
@pytest.mark.parametrize("is_killed", [False, True])
def test_averaged_weights_cannot_be_trained_further(is_killed, run, tmp_path):
    def make():
        return run.build(OPTIMIZERS["ema"]())

    with contextlib.suppress(ZeroDivisionError):
        run.train(tmp_path, Ending.kept(is_killed), make=make, epochs=1)
    with pytest.raises(ValueError, match=r"cannot be extended.*`use_ema`"):
        run.train(tmp_path, Ending.kept(False), make=make, epochs=2)


@pytest.mark.heavy
@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras takes one step in a call there"
)
def test_several_steps_in_one_call(run, tmp_path):
    def make():
        return run.build(steps_per_execution=2)

    run.train(tmp_path, make=make, stop=4)
    run.assert_same(run.train(tmp_path, make=make), run.train(make=make))


class Freezing(keras.callbacks.Callback):
    """Changes which layers are trainable, from some epoch on."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.get_layer("hidden_1").trainable = False


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX refuses them during `fit`"
)
@pytest.mark.heavy
@pytest.mark.parametrize("epoch", [0, 1])
def test_trainable_flags_that_a_callback_changed(epoch, run, tmp_path):
    expected = run.train(tmp_path / "straight", [Freezing(epoch)])
    run.train(tmp_path, [Freezing(epoch)], stop=9)
    model = run.train(tmp_path, [Freezing(epoch)])
    run.assert_same(model, expected)
    flags = [weight.trainable for weight in expected.weights]
    assert [weight.trainable for weight in model.weights] == flags
    assert not model.get_layer("hidden_1").trainable


class Recompiling(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.model.compile("sgd", loss, metrics=["accuracy"])
            self.model.optimizer.build(self.model.trainable_variables)
            self.model.make_train_function()


def test_a_model_that_is_compiled_in_between_is_an_error(run, tmp_path):
    with pytest.raises(ValueError, match="The model was compiled during `fit`"):
        run.train(tmp_path, [Recompiling()])


@pytest.mark.heavy
def test_adversarial_training_is_resumed(run, tmp_path):
    def make():
        trainer = AdversarialTrainer(
            run.build(),
            FGSM(0.1, bounds=(-9.0, 9.0), random_start=True),
            warmup_epochs=2,
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        trainer.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
        return trainer

    def kept():
        stopping = EarlyStopping("val_robust_accuracy", mode="max", patience=9)
        return [stopping, UpdateRatio(every=2)]

    straight, resumed = kept(), kept()
    expected = run.train(kept=straight, make=make)
    run.train(tmp_path, kept(), make=make, stop=8)
    run.assert_same(run.train(tmp_path, resumed, make=make), expected)
    assert resumed[1].to_frame().equals(straight[1].to_frame())


class TwoOptimizers(keras.Sequential):
    """Trains with an optimizer of its own, as models with several parts do."""

    def train_step(self, data):
        tf = pytest.importorskip("tensorflow")
        x, y = data
        with tf.GradientTape() as tape:
            errors = self(x) - tf.cast(y, "float32")[:, None]
            loss = tf.reduce_mean(tf.square(errors))
        weights = self.trainable_variables
        self.second.apply_gradients(
            zip(tape.gradient(loss, weights), weights, strict=True)
        )
        return {"loss": loss}


def two_optimizers(is_built=True):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((6,)), keras.layers.Dense(3, name="only")]
    model = TwoOptimizers(layers, name="model")
    model.second = keras.optimizers.Adam(0.1)
    if is_built:
        model.second.build(model.trainable_variables)
    model.compile()
    return model


@pytest.mark.tensorflow_only(reason="the step differs by backend")
def test_all_optimizers_of_a_model_are_resumed(run, tmp_path):
    how = {"make": two_optimizers, "validation_data": None}
    expected = run.train(tmp_path / "straight", **how)
    run.train(tmp_path, stop=7, **how)
    resumed = run.train(tmp_path, **how)
    run.assert_same(resumed, expected)
    assert int(resumed.second.iterations) == run.epochs * run.steps


@pytest.mark.tensorflow_only(reason="the step differs by backend")
def test_an_optimizer_that_is_not_built_is_an_error(run, tmp_path):
    with pytest.raises(ValueError, match="`second` of model is an optimizer without"):
        run.train(tmp_path, make=lambda: two_optimizers(False), stop=0)


class NoCall(keras.Model):
    """Trains a part of itself, and cannot be called."""

    def __init__(self, is_built=True):
        super().__init__()
        keras.utils.set_random_seed(1)
        inputs = [keras.Input((6,))] if is_built else []
        layers = [*inputs, keras.layers.Dense(3, name="only")]
        self.part = keras.Sequential(layers, name="part")
        self.part.compile(keras.optimizers.Adam(0.1))
        self.compile(keras.optimizers.Adam(0.1))
        self.owner = lambda: self

    def train_step(self, data):
        tf = pytest.importorskip("tensorflow")
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.part(data[0])))
        weights = self.part.trainable_variables
        self.owner().optimizer.apply_gradients(
            zip(tape.gradient(loss, weights), weights, strict=True)
        )
        return {"loss": loss}


@pytest.mark.tensorflow_only(reason="other backends refuse such a model")
def test_a_model_that_cannot_be_called_is_resumed(run, tmp_path):
    how = {"make": NoCall, "validation_data": None}
    run.train(tmp_path, stop=7, **how)
    run.assert_same(run.train(tmp_path, **how), run.train(**how))


@pytest.mark.tensorflow_only(reason="other backends refuse such a model")
def test_layers_that_are_not_built_are_an_error(run, tmp_path):
    how = {"make": lambda: NoCall(is_built=False), "validation_data": None}
    with pytest.raises(ValueError, match="Layers .* are not built: part, only"):
        run.train(tmp_path, **how)


@pytest.mark.tensorflow_only(reason="other backends refuse such a model")
def test_variables_of_the_first_step_are_an_error(run, tmp_path):
    def make():
        model = NoCall()
        model.owner = lambda: model.part
        return model

    with pytest.raises(ValueError, match="created variables in the first step.*only"):
        run.train(tmp_path, make=make, validation_data=None)


@pytest.mark.heavy
def test_vector_metrics_are_resumed(run, tmp_path):
    def make():
        model = run.build()
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=[keras.metrics.F1Score()])
        return model

    x, y = run.arrays()
    how = {"make": make, "x": x, "y": np.eye(3)[y], "validation_data": None}
    run.train(tmp_path, stop=9, kind="arrays", **how)
    resumed, expected = (
        run.train(path, kind="arrays", **how) for path in (tmp_path, None)
    )
    assert np.shape(resumed.history.history["f1_score"]) == (run.epochs, 3)
    run.assert_same(resumed, expected)


class Stopping(keras.callbacks.Callback):
    """Asks at the beginning of an epoch that training stops after the first step."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.stop_training = True


@pytest.mark.heavy
def test_a_request_to_stop_is_resumed(run, tmp_path):
    run.train(tmp_path, [Stopping()], every=1, stop=5)
    model = run.train(tmp_path, [Stopping()], every=1)
    run.assert_same(model, run.train(kept=[Stopping()]))


@pytest.mark.heavy
def test_a_failed_start_does_not_change_later_calls(run, tmp_path):
    class Broken(Ending):
        def on_train_begin(self, logs=None):
            if self.fails:
                raise ZeroDivisionError

    def kept(fails):
        return Broken.kept(fails)

    run.train(tmp_path, kept(False), stop=7)
    model = run.build()
    with pytest.raises(ZeroDivisionError):
        run.train(tmp_path, kept(True), make=lambda: model)
    history = model.fit(epochs=2, verbose=0, **run.data())
    assert history.epoch == [0, 1]


def test_a_failed_start_keeps_the_saves_in_spite_of_overwrite(run, tmp_path):
    run.train(tmp_path, stop=7)
    before = run.saves(tmp_path)
    unpicklable = Ending()
    unpicklable.function = lambda: None
    with pytest.raises(ValueError, match="cannot be saved: function"):
        run.train(tmp_path, [unpicklable], overwrite=True)
    assert run.saves(tmp_path) == before


def test_no_epochs_are_saved_as_no_epochs(run, tmp_path, capsys):
    run.train(tmp_path, epochs=0)
    run.train(tmp_path, epochs=0)
    assert "has already ended, after epoch 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"directory": 3}, "`directory`"),
        ({"directory": ""}, "`directory`"),
        ({"every": 0}, "`every`"),
        ({"every": "step"}, "`every`"),
        ({"every": 1.5}, "`every`"),
        ({"every": 2, "seconds": 1}, "`every`"),
        ({"seconds": 0}, "`seconds`"),
        ({"callbacks": ["x"]}, "`callbacks`"),
        ({"overwrite": "yes"}, "`overwrite`"),
    ],
)
@pytest.mark.one_backend
def test_wrong_arguments_are_named(options, name, tmp_path):
    with pytest.raises(ValueError, match=name):
        ResumeTraining(**{"directory": tmp_path, **options})
