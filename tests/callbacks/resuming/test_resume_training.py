"""Trainings that are interrupted, beside those that are not: equal bit for bit."""

import keras
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


@pytest.mark.heavy
def test_averaged_weights_cannot_be_trained_further(run, tmp_path):
    def make():
        return run.build(OPTIMIZERS["ema"]())

    run.train(tmp_path, make=make, epochs=1)
    with pytest.raises(ValueError, match=r"cannot be extended.*`use_ema`"):
        run.train(tmp_path, make=make, epochs=2)


@pytest.mark.heavy
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


REPLICAS = """
import importlib.util, sys
import tensorflow as tf
from pathlib import Path

(cpu,) = tf.config.list_physical_devices("CPU")
pair = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, pair)
spec = importlib.util.spec_from_file_location("shared", sys.argv[1])
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
from callbacks import UpdateRatio

def make():
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        return shared.build()

kept, folder = [UpdateRatio(every=2)], Path(sys.argv[2])
how = {"make": make, "kind": "pipeline"}
expected = shared.train(kept=kept, **how)
shared.train(folder, [UpdateRatio(every=2)], stop=8, **how)
resumed = [UpdateRatio(every=2)]
shared.assert_same(shared.train(folder, resumed, **how), expected)
assert resumed[0].to_frame().equals(kept[0].to_frame())
print("the same")
"""


@pytest.mark.heavy
@pytest.mark.tensorflow_only(reason="MirroredStrategy is TensorFlow's")
def test_replicas_are_resumed(run_python, tmp_path, root):
    shared = root / "tests" / "callbacks" / "resuming" / "conftest.py"
    result = run_python("-c", REPLICAS, shared, tmp_path, PYTHONPATH=str(root))
    assert result.stdout.endswith("the same\n")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"directory": 3}, "`directory`"),
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
