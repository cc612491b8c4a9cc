"""The rate that is really used is read off the weights.

Batch i of an epoch has the one-hot input i and the loss is the output, so that the
gradient is 1 for weight i and 0 for all others: weight i falls by the rate of batch i.
"""

import keras
import numpy as np
import pytest

from callbacks import ScheduleLearningRate
from callbacks.schedules import Constant, Cosine, Linear, Schedule, StepDecay

STEPS = 7  # in an epoch
RATE = 0.5
BACKEND = keras.backend.backend()

COMPILED = [pytest.param({}, id="default")]
COMPILED += [pytest.param({"run_eagerly": True}, id="eager")]
if BACKEND != "torch":  # which is neither compiled by XLA nor runs several steps
    COMPILED += [
        pytest.param({"jit_compile": True}, id="xla"),
        pytest.param({"steps_per_execution": 3}, id="steps_per_execution"),
        pytest.param({"steps_per_execution": 7, "jit_compile": True}, id="both"),
    ]


class Weights(keras.callbacks.Callback):
    """Keeps the weights before the first epoch and after each."""

    def on_train_begin(self, logs=None):
        self.values = [self._weights()]

    def on_epoch_end(self, epoch, logs=None):
        self.values.append(self._weights())

    def _weights(self):
        return np.array(self.model.get_weights()[0]).ravel()

    def rates(self):
        return -np.diff(self.values, axis=0)


class Fail(keras.callbacks.Callback):
    def __init__(self, hook):
        super().__init__()
        setattr(self, hook, self.fail)

    def fail(self, *args, **kwargs):
        raise KeyboardInterrupt


def output(y, output):
    """A loss whose gradient is the input."""
    return output


def make_model(optimizer=None, **compiled):
    model = keras.Sequential(
        [
            keras.Input((STEPS,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    optimizer = optimizer or keras.optimizers.SGD(RATE)
    model.compile(optimizer, output, **compiled)
    return model


def fit(model, callbacks, epochs=4, x=None, **arguments):
    """Returns the rate of every (epoch, batch), and those that History has."""
    weights = Weights()
    x = np.eye(STEPS) if x is None else x
    history = model.fit(
        x,
        np.zeros(len(x)),
        batch_size=1,
        shuffle=False,
        verbose=0,
        callbacks=[weights, *callbacks],
        epochs=epochs,
        **arguments,
    )
    return weights.rates(), history.history.get("learning_rate")


def times(epochs=4, initial_epoch=0):
    return np.arange(initial_epoch * STEPS, epochs * STEPS).reshape(-1, STEPS) / STEPS


def cosine(time, length, warmup):
    progress = np.clip((time - warmup) / (length - warmup), 0, 1)
    return np.minimum(time / warmup, 1) * (1 + np.cos(np.pi * progress)) / 2


def rate_of(model):
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def assert_same(rates, expected):
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compiled", COMPILED)
def test_every_step_uses_its_rate_and_history_says_so(compiled):
    model = make_model(**compiled)
    rates, history = fit(model, [ScheduleLearningRate(Cosine(3, warmup=1))])
    assert_same(rates, RATE * cosine(times(), 3, 1))
    assert_same(history, rates[:, -1])
    assert rate_of(model) == RATE


@pytest.mark.parametrize("compiled", COMPILED)
def test_a_schedule_in_steps(compiled):
    schedule = StepDecay(boundaries=(8, 20), factor=0.5, warmup=3)
    rates, history = fit(
        make_model(**compiled), [ScheduleLearningRate(schedule, "step")]
    )
    steps = np.arange(4 * STEPS).reshape(4, STEPS)
    drops = np.searchsorted([8, 20], steps, side="right")
    assert_same(rates, RATE * np.minimum(steps / 3, 1) * 0.5**drops)
    assert_same(history, rates[:, -1])


@pytest.mark.parametrize(
    ("schedule", "unit", "message"),
    [
        (Constant(warmup=4), "epoch", "ends at epoch 4, but `fit` ends at 4"),
        (Constant(warmup=100), "step", "ends at step 100, but `fit` ends at 28"),
        (Cosine(2), "epoch", "is 0 in the last 2 of 4 epochs"),
        (Cosine(14), "step", "is 0 in the last 2 of 4 epochs"),
        (Cosine(100), "epoch", "ends at epoch 4, at 4 % of the length of Cosine("),
        (Linear(80), "step", "ends at step 28, at 35 % of the length of Linear("),
        (Cosine(100, cycles=25), "epoch", None),
        (Cosine(8), "epoch", None),
        (Cosine(4, warmup=1), "epoch", None),
        (Cosine(28, warmup=27), "step", None),
        (Constant(warmup=3.5), "epoch", None),
    ],
)
def test_a_schedule_that_does_not_fit_is_said(schedule, unit, message, caplog):
    fit(make_model(), [ScheduleLearningRate(schedule, unit)], epochs=4)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (message is not None)
    assert message is None or message in said[0]


def test_an_early_end_is_not_said_by_a_fit_that_continues_another(caplog):
    callback = ScheduleLearningRate(Cosine(100))
    fit(make_model(), [callback], epochs=4, initial_epoch=2)
    assert not caplog.records


def test_a_drop_comes_with_its_epoch():
    rates, _ = fit(make_model(), [ScheduleLearningRate(StepDecay(1, factor=0.5))])
    assert_same(rates, RATE * 0.5 ** np.floor(times()))


def test_warmup_in_steps_while_the_rest_counts_epochs():
    callback = ScheduleLearningRate(Cosine(3), warmup_steps=4)
    rates, _ = fit(make_model(), [callback])
    assert_same(rates, RATE * cosine(times(), 3, 4 / STEPS))
    callback = ScheduleLearningRate(Cosine(20), "step", warmup_steps=4)
    rates, _ = fit(make_model(), [callback])
    assert_same(rates, RATE * cosine(times() * STEPS, 20, 4))


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_a_second_fit_begins_again_unless_it_has_an_initial_epoch(unit):
    units = 1 if unit == "epoch" else STEPS
    callback = ScheduleLearningRate(Cosine(4 * units, warmup=units), unit)
    model = make_model()
    expected = RATE * cosine(times(), 4, 1)
    for initial_epoch in (0, 0, 2):
        rates, history = fit(model, [callback], initial_epoch=initial_epoch)
        assert_same(rates, expected[initial_epoch:])
        assert_same(history, rates[:, -1])


def test_a_restored_fit_goes_on_where_it_was_interrupted(tmp_path):
    class FailOnce(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    callbacks = [
        ScheduleLearningRate(Cosine(4, warmup=1)),
        keras.callbacks.BackupAndRestore(tmp_path),
    ]
    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        fit(model, [*callbacks, FailOnce()])
    weights = Weights()  # after the backup is restored
    _, history = fit(make_model(), [*callbacks, weights])
    assert_same(weights.rates(), RATE * cosine(times(), 4, 1)[2:])
    assert_same(history, weights.rates()[:, -1])


def test_one_callback_serves_several_models():
    callback = ScheduleLearningRate(Linear(4))
    for rate in (0.5, 0.25):
        rates, _ = fit(make_model(keras.optimizers.SGD(rate)), [callback])
        assert_same(rates, rate * (1 - times() / 4))


def test_the_weight_decay_uses_the_rate_too():
    model = make_model(keras.optimizers.SGD(RATE, weight_decay=0.1))
    model.set_weights([np.ones((STEPS, 1))])
    callback = ScheduleLearningRate(Linear(4))
    fit(model, [callback], x=np.zeros((STEPS, STEPS)))
    expected = np.prod(1 - 0.1 * RATE * (1 - times() / 4))
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5)


def test_with_gradient_accumulation_time_is_counted_in_batches():
    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=2)
    # 8 batches, the last without a gradient; an update at every second one.
    x = np.vstack([np.eye(STEPS), np.zeros(STEPS)])
    callback = ScheduleLearningRate(Linear(4))
    rates, history = fit(make_model(optimizer), [callback], x=x)
    time = np.arange(4 * 8).reshape(4, 8) / 8
    expected = RATE * (1 - time[:, 1::2] / 4)
    assert_same(rates, (expected / 2).repeat(2, axis=1)[:, :STEPS])
    assert_same(history, expected[:, -1])


def test_with_mixed_precision_a_skipped_step_counts():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model()
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        x = np.eye(STEPS)
        x[2, 2] = 8  # times the loss scale of 2^15, it is no float16
        callback = ScheduleLearningRate(Linear(4))
        rates, history = fit(model, [callback], epochs=2, x=x)
    finally:
        keras.config.set_dtype_policy(policy)
    expected = RATE * (1 - times(2) / 4)
    expected[:, 2] = 0
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-6)
    assert_same(history, rates[:, -1])
    assert rate_of(model) == RATE


@pytest.mark.parametrize("plateau_comes_first", [True, False])
def test_reduce_lr_on_plateau_multiplies(plateau_comes_first):
    schedule = ScheduleLearningRate(Linear(10, warmup=1))
    plateau = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=1e9
    )
    callbacks = [plateau, schedule] if plateau_comes_first else [schedule, plateau]
    model = make_model()
    rates, history = fit(model, callbacks)
    # The first epoch sets the best value, each one after it is a plateau.
    reduced = np.array([1, 1, 0.5, 0.25])[:, None]
    expected = np.minimum(times(), 1) * (1 - np.maximum(times() - 1, 0) / 9)
    assert_same(rates, RATE * reduced * expected)
    assert_same(history, rates[:, -1])
    assert rate_of(model) == RATE / 8


@pytest.mark.parametrize(
    ("hook", "after"),
    [
        ("on_train_begin", "fit"),
        ("on_train_begin", "scheduled fit"),
        ("on_epoch_begin", "fit"),
        ("on_train_batch_end", "fit"),
        ("on_train_batch_end", "train_on_batch"),
        ("on_epoch_end", "scheduled fit"),
        ("on_train_end", "fit"),
    ],
)
def test_after_an_exception_the_model_is_as_it_was_compiled(hook, after):
    model = make_model()
    callbacks = [ScheduleLearningRate(Linear(4, minimum=0.1)), Fail(hook)]
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks)
    assert rate_of(model) == RATE
    if after == "fit":
        rates, history = fit(model, [])
        assert_same(rates, np.full((4, STEPS), RATE))
        assert history is None
    elif after == "train_on_batch":
        before = np.array(model.get_weights()[0])
        model.train_on_batch(np.eye(STEPS)[:1], np.zeros(1))
        assert (before - model.get_weights()[0])[0, 0] == pytest.approx(RATE)
    else:
        rates, _ = fit(model, [ScheduleLearningRate(Linear(4))])
        assert_same(rates, RATE * (1 - times() / 4))


def test_after_an_exception_inside_the_step_too():
    calls = []

    class FailingSGD(keras.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            calls.append(self)
            if len(calls) == 3:
                raise KeyboardInterrupt
            super().apply(grads, trainable_variables)

    model = make_model(FailingSGD(RATE), run_eagerly=True)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [ScheduleLearningRate(Linear(4, minimum=0.1))])
    assert rate_of(model) == RATE
    rates, _ = fit(model, [])
    assert_same(rates, np.full((4, STEPS), RATE))


def test_after_fit_the_model_has_its_own_train_function_again():
    model = make_model()
    fit(model, [])
    own = model.train_function
    fit(model, [ScheduleLearningRate(Linear(4))])
    assert model.train_function is own
    rates, _ = fit(model, [])
    assert_same(rates, np.full((4, STEPS), RATE))


@pytest.mark.parametrize("when", ["during", "after"])
def test_a_saved_model_has_the_float_and_loads_without_the_callback(tmp_path, when):
    path = tmp_path / "model.keras"
    model = make_model(keras.optimizers.Adam(RATE))
    callbacks = [ScheduleLearningRate(Linear(4, minimum=0.1))]
    if when == "during":
        callbacks.append(keras.callbacks.ModelCheckpoint(path))
    fit(model, callbacks)
    if when == "after":
        model.save(path)
    loaded = keras.saving.load_model(path, custom_objects={"output": output})
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert loaded.optimizer.get_config()["learning_rate"] == RATE
    assert len(loaded.optimizer.variables) == 4  # iterations, rate and two moments
    for ours, theirs in zip(
        loaded.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))


@pytest.mark.heavy
def test_a_constant_schedule_changes_nothing():
    x = np.random.default_rng(0).standard_normal((64, 8)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")
    trained = []
    for callbacks in ([], [ScheduleLearningRate(Constant())]):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(16, "relu"),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(1),
            ]
        )
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks)
        trained.append(model.get_weights())
    for plain, scheduled in zip(*trained, strict=True):
        np.testing.assert_array_equal(scheduled, plain)


def test_the_callback_trains_as_the_schedule_in_the_optimizer_does():
    schedule = Cosine(3, warmup=1)
    inside = make_model(keras.optimizers.Adam(schedule.as_keras(RATE, STEPS)))
    outside = make_model(keras.optimizers.Adam(RATE))
    inside_rates, _ = fit(inside, [])
    outside_rates, _ = fit(outside, [ScheduleLearningRate(schedule)])
    assert_same(outside_rates, inside_rates)


def batches(epochs):
    for _ in range(epochs):
        for row in np.eye(STEPS):
            yield row[None], np.zeros(1)


def fit_batches(callback, **arguments):
    weights = Weights()
    model = make_model()
    model.fit(
        batches(4),
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=[weights, callback],
        **arguments,
    )
    return weights.rates()


def test_where_fit_knows_the_length_it_need_not_be_said():
    rates = fit_batches(ScheduleLearningRate(Linear(4)), steps_per_epoch=STEPS)
    assert_same(rates, RATE * (1 - times() / 4))


def test_an_unknown_length_must_be_said():
    model = make_model()
    callback = ScheduleLearningRate(Linear(4))
    with pytest.raises(
        ValueError, match="`steps_per_epoch`. Expected an integer >= 1 with unit='epo"
    ):
        model.fit(batches(1), callbacks=[callback], shuffle=False, verbose=0)
    callback = ScheduleLearningRate(Linear(4), "step")
    with pytest.raises(
        ValueError, match="`steps_per_epoch`. Expected an integer >= 1 at epoch 2"
    ):
        model.fit(
            batches(1),
            callbacks=[callback],
            initial_epoch=2,
            epochs=3,
            shuffle=False,
            verbose=0,
        )


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize(
    "callback",
    [
        ScheduleLearningRate(Linear(4), steps_per_epoch=STEPS),
        ScheduleLearningRate(Linear(4 * STEPS), "step"),
    ],
    ids=["epoch", "step"],
)
def test_a_length_that_is_said_or_not_needed(callback):
    weights = Weights()
    make_model().fit(
        batches(1), shuffle=False, verbose=0, callbacks=[weights, callback]
    )
    # The one generator ends with the first epoch.
    assert_same(weights.rates(), RATE * (1 - times(1) / 4))


def test_an_optimizer_with_a_schedule_is_an_error():
    message = (
        "`learning_rate`. Expected a float in the optimizer .*KerasSchedule.*\n.*one"
    )
    model = make_model(keras.optimizers.SGD(Linear(4).as_keras(0.1)))
    with pytest.raises(ValueError, match=message):
        fit(model, [ScheduleLearningRate(Linear(4))])
    model = make_model(keras.optimizers.SGD(lambda: 0.1))
    with pytest.raises(ValueError, match="`learning_rate`. Expected a float in the"):
        fit(model, [ScheduleLearningRate(Linear(4))])


def test_a_warmup_in_steps_that_is_longer_than_the_schedule():
    callback = ScheduleLearningRate(Cosine(2), warmup_steps=2 * STEPS)
    with pytest.raises(
        ValueError, match="`warmup_steps`. Expected a warm-up that is a"
    ):
        fit(make_model(), [callback])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": 0.5}, "`schedule`. Expected a schedule of callbacks.schedules"),
        (
            {"schedule": keras.optimizers.schedules.CosineDecay(0.1, 10)},
            "`schedule`. Expected .*\nKeras' own schedules go into the optimizer",
        ),
        ({"unit": "batch"}, "`unit`. Expected one of 'epoch', 'step'. Received"),
        ({"warmup_steps": -1}, "`warmup_steps`. Expected an integer >= 0"),
        ({"warmup_steps": 0.5}, "`warmup_steps`. Expected an integer >= 0"),
        (
            {"schedule": Cosine(90, warmup=5), "warmup_steps": 5},
            "`warmup_steps`. Expected 0 for a schedule with a warm-up of its own, Cos",
        ),
        (
            {"unit": "step", "warmup_steps": 90},
            "`warmup_steps`. Expected a warm-up that is a part of Cosine.*\n.*`warmup`",
        ),
        ({"steps_per_epoch": 0}, "`steps_per_epoch`. Expected an integer >= 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ScheduleLearningRate(**{"schedule": Cosine(90), **arguments})


def test_a_schedule_of_ones_own():
    class Half(Schedule):
        def factor(self, time):
            return 0.5 * keras.ops.ones_like(time)

    rates, _ = fit(make_model(), [ScheduleLearningRate(Half(warmup=1))])
    assert_same(rates, RATE / 2 * np.minimum(times(), 1))
