import keras
import numpy as np
import pytest

from callbacks import ScheduleLearningRate, ScheduleMomentum
from callbacks.schedules import Linear, OneCycle

RATE, MOMENTUM = 0.5, 0.9
STEPS, EPOCHS = 5, 4  # in an epoch, and in a `fit`
TIMES = np.arange(EPOCHS * STEPS) / STEPS
BACKEND = keras.backend.backend()

COMPILED = [pytest.param({}, id="default")]
if BACKEND != "torch":  # which is neither compiled by XLA nor runs several steps
    COMPILED += [
        pytest.param({"jit_compile": True}, id="xla"),
        pytest.param({"steps_per_execution": 3}, id="steps_per_execution"),
    ]

# Rises from 0.5 to the compiled momentum over the first two epochs.
RISING = MOMENTUM - (MOMENTUM - 0.5) * np.maximum(1 - TIMES / 2, 0)


def output(y, output):
    """A loss whose gradient is the input, which is 1."""
    return output


def make_model(optimizer, **compiled):
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    model.compile(optimizer, output, **compiled)
    return model


def fit(model, callbacks, epochs=EPOCHS, **arguments):
    """Returns the weight after every epoch, and the history."""
    weights = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()[0].item())
    )
    history = model.fit(
        np.ones((STEPS, 1)),
        np.zeros(STEPS),
        batch_size=1,
        verbose=0,
        callbacks=[keep, *callbacks],
        epochs=epochs,
        **arguments,
    )
    return weights, history.history


def sgd(momenta, rates=RATE, nesterov=False):
    """The weight after every epoch, for a gradient of 1; Sutskever et al. 2013."""
    weight, velocity, weights = 0.0, 0.0, []
    for momentum, rate in zip(
        momenta, np.broadcast_to(rates, len(momenta)), strict=True
    ):
        velocity = momentum * velocity - rate
        weight += momentum * velocity - rate if nesterov else velocity
        weights.append(weight)
    return weights[STEPS - 1 :: STEPS]


def rmsprop(momenta, rho=0.9, epsilon=1e-7):
    weight, velocity, average, weights = 0.0, 0.0, 0.0, []
    for momentum in momenta:
        average = rho * average + 1 - rho
        velocity = momentum * velocity + RATE / np.sqrt(average + epsilon)
        weight -= velocity
        weights.append(weight)
    return weights[STEPS - 1 :: STEPS]


@pytest.mark.parametrize("compiled", COMPILED)
def test_sgd_uses_the_momentum_of_every_step(compiled):
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    model = make_model(optimizer, **compiled)
    callback = ScheduleMomentum(Linear(2), minimum=0.5)
    weights, history = fit(model, [callback])
    np.testing.assert_allclose(weights, sgd(RISING), rtol=1e-5)
    np.testing.assert_allclose(
        history["momentum"], RISING[STEPS - 1 :: STEPS], rtol=1e-6
    )
    assert optimizer.momentum == MOMENTUM


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_nesterov_momentum_does_too(run_eagerly):
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM, nesterov=True)
    model = make_model(optimizer, run_eagerly=run_eagerly)
    weights, _ = fit(model, [ScheduleMomentum(Linear(2), minimum=0.5)])
    np.testing.assert_allclose(weights, sgd(RISING, nesterov=True), rtol=1e-5)


def test_rmsprop_does_too():
    model = make_model(keras.optimizers.RMSprop(RATE, momentum=MOMENTUM))
    weights, _ = fit(model, [ScheduleMomentum(Linear(2), minimum=0.5)])
    np.testing.assert_allclose(weights, rmsprop(RISING), rtol=1e-5)


def test_a_momentum_that_begins_at_0():
    model = make_model(keras.optimizers.SGD(RATE, momentum=MOMENTUM))
    weights, _ = fit(model, [ScheduleMomentum(Linear(2), minimum=0.0)])
    momenta = MOMENTUM - MOMENTUM * np.maximum(1 - TIMES / 2, 0)
    np.testing.assert_allclose(weights, sgd(momenta), rtol=1e-5)


def test_a_schedule_in_steps():
    model = make_model(keras.optimizers.SGD(RATE, momentum=MOMENTUM))
    callback = ScheduleMomentum(Linear(2 * STEPS), 0.5, "step")
    weights, _ = fit(model, [callback])
    np.testing.assert_allclose(weights, sgd(RISING), rtol=1e-5)


@pytest.mark.parametrize("momentum_comes_first", [True, False])
def test_together_with_a_schedule_of_the_rate(momentum_comes_first):
    model = make_model(keras.optimizers.SGD(RATE, momentum=MOMENTUM))
    callbacks = [
        ScheduleMomentum(Linear(2), minimum=0.5),
        ScheduleLearningRate(Linear(4, warmup=1)),
    ]
    weights, history = fit(model, callbacks[:: 1 if momentum_comes_first else -1])
    rates = RATE * np.minimum(TIMES, 1) * (1 - np.maximum(TIMES - 1, 0) / 3)
    np.testing.assert_allclose(weights, sgd(RISING, rates), rtol=1e-5)
    last = slice(STEPS - 1, None, STEPS)
    np.testing.assert_allclose(history["momentum"], RISING[last], rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate"], rates[last], rtol=1e-6)


@pytest.mark.heavy
def test_the_counter_cycle_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    num_steps = EPOCHS * STEPS
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], momentum=0.95)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        theirs, max_lr=1.0, total_steps=num_steps, base_momentum=0.85
    )
    expected = []
    for step in range(num_steps):
        expected.append(theirs.param_groups[0]["momentum"])
        theirs.step()
        if step + 1 < num_steps:
            cycle.step()
    # PyTorch's last step is the end, and its peak one step before 0.3 of all.
    length = num_steps - 1
    schedule = OneCycle(length, peak=5 / length, initial=0.0, final=0.0)
    model = make_model(keras.optimizers.SGD(RATE, momentum=0.95))
    weights, history = fit(model, [ScheduleMomentum(schedule, 0.85, "step")])
    np.testing.assert_allclose(history["momentum"], expected[4::5], rtol=1e-5)
    np.testing.assert_allclose(weights, sgd(expected), rtol=1e-5)


def test_a_second_fit_and_one_with_an_initial_epoch():
    callback = ScheduleMomentum(Linear(2), minimum=0.5)
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    model = make_model(optimizer)
    once, _ = fit(model, [callback])
    model = make_model(keras.optimizers.SGD(RATE, momentum=MOMENTUM))
    first, _ = fit(model, [callback], epochs=1)
    second, history = fit(model, [callback], initial_epoch=1)
    np.testing.assert_allclose([*first, *second], once, rtol=1e-6)
    np.testing.assert_allclose(history["momentum"], RISING[9::5], rtol=1e-6)


@pytest.mark.parametrize(
    ("warmup", "message"),
    [
        (2, "ends at epoch 2, but `fit` ends at 2: the momentum never reaches"),
        (1, None),
    ],
)
def test_a_warmup_that_does_not_end_is_said(warmup, message, caplog):
    model = make_model(keras.optimizers.SGD(RATE, momentum=MOMENTUM))
    fit(model, [ScheduleMomentum(OneCycle(4, warmup=warmup), 0.5)], epochs=2)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (message is not None)
    assert message is None or message in said[0]


def test_with_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model(keras.optimizers.SGD(RATE, momentum=MOMENTUM))
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        weights, _ = fit(model, [ScheduleMomentum(Linear(2), minimum=0.5)])
    finally:
        keras.config.set_dtype_policy(policy)
    np.testing.assert_allclose(weights, sgd(RISING), rtol=1e-5)


def test_with_gradient_accumulation():
    optimizer = keras.optimizers.SGD(
        RATE, momentum=MOMENTUM, gradient_accumulation_steps=STEPS
    )
    weights, _ = fit(make_model(optimizer), [ScheduleMomentum(Linear(2), minimum=0.5)])
    # One update an epoch, with the momentum of its last batch.
    velocity, expected = 0.0, []
    for momentum in RISING[STEPS - 1 :: STEPS]:
        velocity = momentum * velocity - RATE
        expected.append(velocity)
    np.testing.assert_allclose(weights, np.cumsum(expected), rtol=1e-5)


def test_after_an_exception_the_optimizer_is_as_it_was_compiled():
    def fail(batch, logs):
        raise KeyboardInterrupt

    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM)
    model = make_model(optimizer)
    interrupt = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [ScheduleMomentum(Linear(2), minimum=0.5), interrupt])
    assert optimizer.momentum == MOMENTUM
    for variable in [*model.weights, *optimizer.variables[2:]]:
        variable.assign(np.zeros(variable.shape))
    weights, _ = fit(model, [])
    np.testing.assert_allclose(
        weights, sgd(np.full(EPOCHS * STEPS, MOMENTUM)), rtol=1e-5
    )


@pytest.mark.parametrize("when", ["during", "after"])
def test_a_saved_model_has_the_float_and_loads_without_the_callback(tmp_path, when):
    path = tmp_path / "model.keras"
    model = make_model(keras.optimizers.SGD(RATE, momentum=MOMENTUM))
    callbacks = [ScheduleMomentum(Linear(2), minimum=0.5)]
    if when == "during":
        callbacks.append(keras.callbacks.ModelCheckpoint(path))
    fit(model, callbacks)
    if when == "after":
        model.save(path)
    loaded = keras.saving.load_model(path, custom_objects={"output": output})
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert loaded.optimizer.momentum == MOMENTUM
    assert len(loaded.optimizer.variables) == 3  # iterations, rate and a velocity
    for ours, theirs in zip(
        loaded.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            keras.optimizers.SGD(RATE),
            "`optimizer`. Expected one that is compiled with a momentum .*\n.*is 0",
        ),
        (keras.optimizers.Adam(RATE), "`optimizer`. .*Received: .*Adam.*\n.*is none"),
        (
            keras.optimizers.SGD(RATE, momentum=0.4),
            "`minimum`. Expected at most the compiled momentum, 0.4. Received: .*0.5",
        ),
    ],
)
def test_an_optimizer_in_which_there_is_nothing_to_schedule(optimizer, message):
    with pytest.raises(ValueError, match=message):
        fit(make_model(optimizer), [ScheduleMomentum(Linear(2), minimum=0.5)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": None}, "`schedule`. Expected a schedule of callbacks.schedules"),
        ({"minimum": 1.0}, r"`minimum`. Expected a float in \[0, 1\). Received: min"),
        ({"unit": "epochs"}, "`unit`. Expected one of 'epoch', 'step'. Received"),
        ({"steps_per_epoch": -1}, "`steps_per_epoch`. Expected an integer >= 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ScheduleMomentum(**{"schedule": Linear(2), "minimum": 0.5, **arguments})
