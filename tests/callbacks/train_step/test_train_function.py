"""Steps with several optimizers or updates, and what happens to a step from outside.

The rate that is really used is read off a weight whose gradient is 1.
"""

import contextlib

import keras
import numpy as np
import pytest

from callbacks import (
    GradientHistograms,
    ScheduleLearningRate,
    ScheduleMomentum,
    UpdateRatio,
    find_learning_rate,
)
from callbacks.schedules import Constant, Linear

BACKEND = keras.backend.backend()
STEPS, EPOCHS = 3, 3
X = np.ones((STEPS, 1), "float32")
LINEAR = 1 - np.arange(STEPS * EPOCHS) / (STEPS * EPOCHS)
# Older versions of Keras have no optimizer of several.
NEEDS_SEVERAL = pytest.mark.skipif(
    not hasattr(keras.optimizers, "MultiOptimizer"), reason="needs Keras 3.13"
)


def output(y, output):
    """A loss whose gradient is the input, which is 1."""
    return output


def dense(**arguments):
    zeros = {"use_bias": False, "kernel_initializer": "zeros"}
    return keras.layers.Dense(1, **zeros, **arguments)


def make_model(optimizer=None, layers=None, **compiled):
    model = keras.Sequential([keras.Input((1,)), *(layers or [dense()])])
    model.compile(optimizer or keras.optimizers.SGD(1.0), output, **compiled)
    return model


class Weights(keras.callbacks.Callback):
    """Keeps the first weight before and after each step."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_begin(self, batch, logs=None):
        self.before = self.weight()

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.before - self.weight())

    def weight(self):
        return self.model.get_weights()[0].ravel()[0]


def fit(model, callbacks, x=X, **arguments):
    """Returns by how much each step moved the first weight, and History."""
    weights = Weights()
    arguments = {"batch_size": 1, "epochs": EPOCHS, "shuffle": False, **arguments}
    history = model.fit(
        x,
        x,
        verbose=0,
        callbacks=[*callbacks[:-1], weights, *callbacks[-1:]],
        **arguments,
    )
    return np.array(weights.steps), history.history


def assert_same(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


# Several optimizers


def several(**rates):
    """One optimizer for each name of a layer."""
    optimizers = {
        f"{name}/.*": keras.optimizers.SGD(rate, name=name)
        for name, rate in rates.items()
    }
    default = keras.optimizers.SGD(0.0, name="unused")
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(default, optimizers)
    )


def two_branches(optimizer):
    inputs = keras.Input((1,))
    branches = [dense(name=name)(inputs) for name in ("a", "b")]
    model = keras.Model(inputs, keras.layers.Add()(branches))
    model.compile(optimizer, output)
    return model


@NEEDS_SEVERAL
def test_a_schedule_multiplies_the_rate_of_every_optimizer():
    model = two_branches(several(a=1.0, b=0.5))
    history = model.fit(
        X,
        X,
        batch_size=1,
        epochs=2,
        verbose=0,
        callbacks=[ScheduleLearningRate(Linear(2))],
    ).history
    expected = np.array([2 / 3, 1 / 6])
    assert_same(history["learning_rate_a"], expected)
    assert_same(history["learning_rate_b"], expected / 2)
    assert "learning_rate_unused" not in history
    used = (1 - np.arange(6) / 6).sum()
    assert_same(np.ravel(model.get_weights()), [-used, -used / 2])


@NEEDS_SEVERAL
def test_several_optimizers_that_a_function_chooses():
    optimizers = {"a": keras.optimizers.SGD(1.0), "b": keras.optimizers.SGD(0.5)}
    chosen = keras.optimizers.MultiOptimizer(
        lambda variable: optimizers[variable.path.split("/")[-2]]
    )
    model = two_branches(chosen)
    model.fit(
        X, X, batch_size=1, verbose=0, callbacks=[ScheduleLearningRate(Linear(1))]
    )
    assert_same(np.ravel(model.get_weights()), [-2, -1])


@NEEDS_SEVERAL
@pytest.mark.parametrize("scaled", [False, True])
def test_updates_of_several_optimizers_are_recorded(scaled):
    optimizer = several(a=0.25, b=0.5)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    ratio, histograms = UpdateRatio(1), GradientHistograms(1)
    fit(two_branches(optimizer), [ratio, histograms])
    info = ratio.ratio_info()
    assert info["step"].tolist() == list(range(STEPS * EPOCHS))
    assert_same(info["update_norm"], [[0.25, 0.5]] * len(info["step"]))
    assert_same(info["gradient_norm"], 1.0)
    assert np.isnan(info["learning_rate"]).all()  # there is not one
    assert (histograms.histogram_info()["counts"].sum(axis=(2, 3)) == 1).all()


@NEEDS_SEVERAL
def test_a_momentum_is_scheduled_where_there_is_one():
    optimizers = {"a/.*": keras.optimizers.SGD(1.0, momentum=0.5, name="a")}
    chosen = keras.optimizers.OptimizerMap(keras.optimizers.SGD(1.0), optimizers)
    model = two_branches(keras.optimizers.MultiOptimizer(chosen))
    history = model.fit(
        X,
        X,
        batch_size=1,
        epochs=1,
        verbose=0,
        callbacks=[ScheduleMomentum(Constant(), minimum=0.25)],
    ).history
    assert history["momentum"] == [0.25]
    # Velocities 1, 1.25, 1.3125.
    assert_same(np.ravel(model.get_weights()), [-3.5625, -3])


@NEEDS_SEVERAL
def test_accumulation_must_be_the_same_in_all():
    optimizer = several(a=1.0)
    optimizer.optimizers[0].gradient_accumulation_steps = 2
    with pytest.raises(ValueError, match="`optimizer`. Expected optimizers that all"):
        fit(two_branches(optimizer), [UpdateRatio()])


class Own(keras.Model):
    """Updates its weight by an optimizer that is not the compiled one."""

    def __init__(self):
        super().__init__()
        self.layer = dense()
        self.other = keras.optimizers.SGD(1.0)

    def call(self, inputs):
        return self.layer(inputs)

    def train_step(self, *arguments):
        if BACKEND == "jax":
            (weights, *others), _ = arguments
            weights = [weight - 1.0 for weight in weights]
            return {"loss": keras.ops.zeros(())}, (weights, *others)
        ones = [keras.ops.ones_like(w) for w in self.trainable_variables]
        self.other.apply(ones, self.trainable_variables)
        return {"loss": keras.ops.zeros(())}


def own_model():
    model = Own()
    model(X)
    model.other.build(model.trainable_variables)
    model.compile(loss="mse")
    return model


def test_a_schedule_that_nobody_reads_is_an_error():
    with pytest.raises(ValueError, match="`optimizer`. Expected a training step that"):
        fit(own_model(), [ScheduleLearningRate(Linear(3))])


def test_a_momentum_that_nobody_reads_is_an_error():
    model = own_model()
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9))
    with pytest.raises(ValueError, match="a training step that asks .* its momentum"):
        fit(model, [ScheduleMomentum(Linear(3), minimum=0.5)])


def test_updates_that_cannot_be_seen_are_said_once():
    ratio, histograms = UpdateRatio(1), GradientHistograms(1)
    with pytest.warns(UserWarning, match="no training step has called `apply`") as said:
        _, history = fit(own_model(), [ratio, histograms])
    assert sum("called `apply`" in str(one.message) for one in said) == 1
    for monitor in (ratio, histograms):
        with pytest.raises(ValueError, match="recorded"):
            monitor.to_frame()
    assert np.isnan(history["update_ratio"]).all()


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_a_model_without_trainable_weights():
    model = make_model()
    model.trainable = False
    model.compile("sgd", "mse")
    ratio, histograms = UpdateRatio(1), GradientHistograms(2)
    _, history = fit(model, [ScheduleLearningRate(Linear(3)), ratio, histograms])
    assert np.isnan(history["learning_rate"]).all()
    for monitor in (ratio, histograms):
        with pytest.raises(ValueError, match="recorded"):
            monitor.to_frame()


def test_a_model_without_an_optimizer():
    model = make_model()
    model.compile(optimizer=None, loss="mse")
    with pytest.raises(ValueError, match="`optimizer`. Expected a built model that is"):
        fit(model, [ScheduleLearningRate(Linear(3))])


# Several updates in a step


class Twice(keras.Sequential):
    """Updates one weight after the other, or (on JAX) all twice, by 1 and by 2."""

    def train_step(self, *arguments):
        logs = {"loss": keras.ops.zeros(())}
        if BACKEND == "jax":
            (weights, others, optimizer, metrics), _ = arguments
            for size in (1.0, 2.0):
                gradients = [size * keras.ops.ones_like(w) for w in weights]
                weights, optimizer = self.optimizer.stateless_apply(
                    optimizer, gradients, weights
                )
            return logs, (weights, others, optimizer, metrics)
        for size, layer in enumerate(self.layers, start=1):
            gradients = [float(size) * keras.ops.ones_like(layer.kernel)]
            self.optimizer.apply(gradients, [layer.kernel])
        return logs


def twice(**compiled):
    model = Twice([keras.Input((1,)), dense(), dense()])
    model.compile(keras.optimizers.SGD(0.5), "mse", **compiled)
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("every", [1, 2])
def test_every_update_of_a_step_is_recorded(every):
    x = np.ones((100, 1), "float32")
    ratio = UpdateRatio(every)
    fit(twice(), [ratio], x=x, epochs=2)
    info = ratio.ratio_info()
    steps = np.arange(0, 200, every).repeat(2)
    np.testing.assert_array_equal(info["step"], steps)
    np.testing.assert_array_equal(info["epoch"], steps // 100)
    if BACKEND == "jax":
        expected = [[0.5, 0.5], [1.0, 1.0]]
    else:
        expected = [[0.5, np.nan], [np.nan, 1.0]]
    assert_same(info["update_norm"], expected * (len(steps) // 2))


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs one step at once")
def test_looks_that_do_not_fit_are_said():
    ratio = UpdateRatio(1)
    x = np.ones((80, 1), "float32")
    model = twice(steps_per_execution=40)
    with pytest.warns(UserWarning, match="looks into the training step were lost"):
        model.fit(x, x, batch_size=1, verbose=0, callbacks=[ratio])
    # The first call had too few rows, the second has enough.
    steps = ratio.ratio_info()["step"]
    assert (steps >= 40).sum() == 80


# Calls from outside


class Outside(keras.callbacks.Callback):
    """Does something to the model in one hook, and puts its weights back."""

    def __init__(self, hook, action):
        super().__init__()
        self.action = action
        setattr(self, hook, self.act)

    def act(self, *args, **kwargs):
        before = self.model.get_weights()
        self.action(self.model)
        self.model.set_weights(before)


def train_on_batch(model):
    model.train_on_batch(X[:1], X[:1])


def inner_fit(model):
    model.fit(X, X, batch_size=1, verbose=0)


def watched_fit(model):
    ratio = UpdateRatio(1)
    callbacks = [ScheduleLearningRate(Linear(1)), ratio]
    history = model.fit(X, X, batch_size=1, verbose=0, callbacks=callbacks).history
    assert ratio.ratio_info()["step"].tolist() == [0, 1, 2]
    assert_same(history["learning_rate"], 1 / 3)


def search_rate(model):
    find_learning_rate(model, [(X, X)], steps=3)


def remake(model):
    model.make_train_function(force=True)


ACTIONS = [train_on_batch, inner_fit, watched_fit, search_rate, remake]


@pytest.mark.heavy
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "hook", ["on_epoch_begin", "on_train_batch_end", "on_train_batch_begin"]
)
def test_a_schedule_and_its_records_go_on_after(hook, action):
    if hook == "on_train_batch_begin" and action is not train_on_batch:
        pytest.skip("the next step is another one")
    ratio = UpdateRatio(1)
    callbacks = [ScheduleLearningRate(Linear(EPOCHS)), ratio, Outside(hook, action)]
    used, history = fit(make_model(), callbacks)
    assert_same(used, LINEAR)
    assert_same(history["learning_rate"], LINEAR[STEPS - 1 :: STEPS])
    info = ratio.ratio_info()
    assert info["step"].tolist() == list(range(STEPS * EPOCHS))
    assert_same(info["update_norm"].ravel(), LINEAR)


def test_a_model_that_is_compiled_in_a_callback():
    def compile_again(model):
        model.compile(keras.optimizers.SGD(0.5), output)
        model.optimizer.build(model.trainable_variables)

    class Once(Outside):
        def act(self, epoch, logs=None):
            if epoch == 1:
                super().act(epoch)

    ratio = UpdateRatio(1)
    once = Once("on_epoch_begin", compile_again)
    callbacks = [ScheduleLearningRate(Linear(EPOCHS)), ratio, once]
    used, _ = fit(make_model(), callbacks)
    expected = LINEAR * np.array([1, 0.5, 0.5]).repeat(STEPS)
    assert_same(used, expected)
    assert_same(ratio.ratio_info()["update_norm"].ravel(), expected)


def test_variables_that_are_unfrozen_come_later():
    second = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="ones", trainable=False, name="second"
    )
    model = make_model(layers=[dense(name="first"), second])
    model.optimizer.build(model.weights)
    if BACKEND == "jax":
        pytest.skip("Keras' state on JAX has the variables that the optimizer has")

    def unfreeze(epoch, logs):
        if epoch == 1:
            second.trainable = True
            model.make_train_function(force=True)

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=unfreeze)
    ratio, histograms = UpdateRatio(1), GradientHistograms(1)
    schedule = ScheduleLearningRate(Linear(EPOCHS))
    fit(model, [schedule, ratio, histograms, callback])
    info = ratio.ratio_info()
    assert info["step"].tolist() == list(range(STEPS * EPOCHS))
    assert info["variable"].tolist() == ["first/kernel", "second/kernel"]
    assert np.isnan(info["update_norm"][:STEPS, 1]).all()
    assert (info["update_norm"][STEPS:, 1] > 0).all()
    counts = histograms.histogram_info()["counts"].sum(axis=(2, 3))
    assert counts.tolist() == [[1, 0]] * STEPS + [[1, 1]] * STEPS * 2


def rates_after(model, callbacks):
    with contextlib.suppress(KeyboardInterrupt):
        fit(model, callbacks)
    return fit(model, [keras.callbacks.Callback()])[0]


def test_after_an_interrupt_the_step_is_the_models_own():
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = make_model()
    rates = rates_after(model, [ScheduleLearningRate(Linear(EPOCHS)), Interrupt()])
    assert_same(rates, 1.0)
    ratio = UpdateRatio(1)
    used, _ = fit(model, [ScheduleLearningRate(Linear(EPOCHS)), ratio])
    assert_same(used, LINEAR)
    assert_same(ratio.ratio_info()["update_norm"].ravel(), LINEAR)


@pytest.mark.parametrize("params", [None, {"epochs": EPOCHS}])
def test_a_callback_list_leaves_nothing_of_an_interrupted_fit(params):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = make_model()
    for _ in range(2):
        schedule = ScheduleLearningRate(Linear(EPOCHS), steps_per_epoch=STEPS)
        weights, ratio = Weights(), UpdateRatio(1)
        parts = [schedule, ratio, weights, Interrupt()]
        callbacks = keras.callbacks.CallbackList(parts, model=model)
        callbacks.set_params(params)
        with contextlib.suppress(KeyboardInterrupt):
            model.fit(X, X, batch_size=1, verbose=0, callbacks=callbacks)
        assert_same(weights.steps, LINEAR[:2])
        info = ratio.ratio_info()
        assert info["step"].tolist() == [0, 1]
        assert_same(info["update_norm"].ravel(), LINEAR[:2])


# Data of unknown length


def unknown_length(backend):
    """Batches of one, of which `fit` does not know how many there are."""
    if backend == "tensorflow":
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensor_slices((X, X)).batch(1)
        return dataset.filter(lambda x, y: True)

    class Batches(keras.utils.PyDataset):
        num_batches = STEPS

        def __getitem__(self, index):
            return X[:1], X[:1]

    return Batches()


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize("accumulate", [None, 2])
def test_a_step_that_never_was_does_not_count(accumulate):
    def optimizer():
        return keras.optimizers.Adam(0.1, gradient_accumulation_steps=accumulate)

    plain = make_model(optimizer())
    ratio, histograms = UpdateRatio(1), GradientHistograms(2)
    watched = make_model(optimizer())
    for model, callbacks in ((plain, []), (watched, [ratio, histograms])):
        model.fit(
            unknown_length(BACKEND),
            epochs=EPOCHS,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    for one, other in zip(
        [*plain.weights, *plain.optimizer.variables],
        [*watched.weights, *watched.optimizer.variables],
        strict=True,
    ):
        one, other = map(keras.ops.convert_to_numpy, (one, other))
        np.testing.assert_array_equal(one, other)
    info = ratio.ratio_info()
    np.testing.assert_array_equal(info["epoch"], info["step"] // STEPS)
    # Keras' count of steps moves at the end of an epoch, by which it accumulates.
    if not accumulate:
        assert (info["gradient_norm"] == 1).all()
        assert info["step"].tolist() == list(range(STEPS * EPOCHS))
        assert histograms.histogram_info()["step"].tolist() == [0, 2, 4, 6, 8]


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_nor_does_the_time_of_a_schedule_move():
    schedule = ScheduleLearningRate(Linear(STEPS * EPOCHS), "step")
    weights = Weights()
    history = make_model().fit(
        unknown_length(BACKEND),
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[schedule, weights],
    )
    assert_same(weights.steps, LINEAR)
    assert_same(history.history["learning_rate"], LINEAR[STEPS - 1 :: STEPS])


# One model, many fits


def test_a_step_is_compiled_once_for_many_fits():
    traced = []

    def loss(y, output):
        traced.append(1)
        return output

    model = make_model()
    model.compile(keras.optimizers.SGD(1.0), loss)
    for number in range(4):
        ratio = UpdateRatio(2)
        callbacks = [ScheduleLearningRate(Linear(EPOCHS)), ratio, GradientHistograms(3)]
        model.set_weights([np.zeros((1, 1))])
        used, history = fit(model, callbacks)
        assert_same(used, LINEAR)
        assert_same(history["learning_rate"], LINEAR[STEPS - 1 :: STEPS])
        assert_same(ratio.ratio_info()["update_norm"].ravel(), LINEAR[::2])
        if number == 0:
            before = len(traced)
    if BACKEND != "torch":
        assert len(traced) == before


def test_another_schedule_is_another_step():
    model = make_model()
    for schedule in (Linear(3), Linear(3, minimum=0.5), Linear(3)):
        callback = ScheduleLearningRate(schedule)
        _, history = fit(model, [callback])
        times = np.array([3, 6, 9]) - 1
        factors = np.asarray(schedule(times / 3))
        assert_same(history["learning_rate"], factors)


@pytest.mark.tensorflow_only(reason="JAX and PyTorch see `trainable` at every step")
@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_trainable_without_compile_is_what_it_is_in_keras(before, after):
    moved = []
    for callbacks in ([], [UpdateRatio(1)]):
        first = dense(trainable=before)
        model = make_model(layers=[first, keras.layers.Dense(1)])
        model.fit(X, X, verbose=0)
        first.trainable = after
        kernel = np.array(first.kernel)
        model.fit(X, X, verbose=0, callbacks=callbacks)
        moved.append(not np.array_equal(kernel, np.array(first.kernel)))
        assert first.trainable == first.kernel.trainable == after
    assert moved == [before, before]


@pytest.mark.skipif(BACKEND != "jax", reason="Keras supports NNX on JAX only")
@pytest.mark.parametrize("callback", [ScheduleLearningRate(Linear(3)), UpdateRatio()])
def test_callbacks_in_the_step_are_refused_with_nnx(monkeypatch, callback):
    model = make_model()
    before = np.array(model.get_weights())
    monkeypatch.setattr(keras.config, "is_nnx_enabled", lambda: True)
    with pytest.raises(RuntimeError, match="cannot take part .* in NNX mode"):
        fit(model, [callback])
    np.testing.assert_array_equal(model.get_weights(), before)
