"""What the step records, and that it changes nothing, on the real `fit`."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio
from zoo.differentiation import weight_gradients

BACKEND = keras.backend.backend()
STEPS, BATCH = 6, 8
X = np.random.default_rng(0).standard_normal((STEPS * BATCH, 5)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, STEPS * BATCH)


def make_model(optimizer="sgd", *, layers=(), **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(7, activation="tanh", name="hidden"),
            keras.layers.Dropout(0.2, seed=3),
            *layers,
            keras.layers.Dense(3, name="head"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer() if callable(optimizer) else optimizer
    model.compile(optimizer, loss, metrics=["accuracy"], **compiled)
    return model


def fit(model, callbacks, x=X, y=Y, epochs=1, **arguments):
    return model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **arguments,
    ).history


def monitors(every=2):
    return [UpdateRatio(every), GradientHistograms(every), ActivationHistograms(X[:4])]


def arrays(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


class BeforeSteps(keras.callbacks.Callback):
    """Calls a function of the batch before each step, when the model is as it is."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_train_batch_begin(self, batch, logs=None):
        assert self.model is not None  # on JAX this brings the weights back
        self.function(batch)


def look(model, every=1, **arguments):
    """Fits, and returns what was recorded of it, and the weights before each step."""
    before = []
    keep = BeforeSteps(lambda batch: before.append(model.get_weights()))
    ratio, histograms = UpdateRatio(every), GradientHistograms(every)
    fit(model, [ratio, histograms, keep], **arguments)
    before.append(model.get_weights())
    return ratio.ratio_info(), histograms.histogram_info(), before


def linear(optimizer, **compiled):
    """One matrix, and a loss that makes the gradient known: the mean of the inputs."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].set_weights([np.full((5, 1), 0.5, "float32")])
    model.compile(optimizer, lambda y, output: output, **compiled)
    return model


GRADIENTS = X.reshape(STEPS, BATCH, 5).mean(axis=1)

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adamw clipped": lambda: keras.optimizers.AdamW(0.01, clipnorm=0.1),
    "accumulation": lambda: keras.optimizers.Adam(
        0.01, gradient_accumulation_steps=2, global_clipnorm=1.0
    ),
    "ema": lambda: keras.optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
    ),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01), initial_scale=2.0**127
    ),
}
QUICK = ("momentum", "loss scale")  # the others run in CI
SLOW = pytest.mark.slow
COMPILED = [{"run_eagerly": True}]
if BACKEND != "torch":
    COMPILED += [{"steps_per_execution": 4}, {"jit_compile": True}]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "optimizer",
    [pytest.param(name, marks=() if name in QUICK else SLOW) for name in OPTIMIZERS],
)
def test_training_is_bit_for_bit_what_it_is_without(optimizer):
    assert_same_training(OPTIMIZERS[optimizer], {})


@pytest.mark.slow
@pytest.mark.parametrize("compiled", COMPILED, ids=str)
def test_so_it_is_however_it_is_compiled(compiled):
    assert_same_training(OPTIMIZERS["momentum"], compiled)


def assert_same_training(optimizer, compiled):
    plain, watched = (
        make_model(optimizer, **compiled),
        make_model(optimizer, **compiled),
    )
    history = fit(plain, [], epochs=2)
    seen = fit(watched, monitors(), epochs=2)
    assert seen.keys() == {*history, "update_ratio"}
    for name, values in history.items():
        np.testing.assert_array_equal(seen[name], values)
    for variables in ("weights", "optimizer.variables"):
        pairs = zip(_get(plain, variables), _get(watched, variables), strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(*arrays([one, other]))


def _get(model, path):
    return model.weights if path == "weights" else model.optimizer.variables


@SLOW
def test_where_a_compiler_fuses_differently_it_is_by_the_last_bits():
    """As TensorFlow multiplies the gradient of a normalization and the rate."""
    weights = []
    for callbacks in ([], monitors()):
        layers = [keras.layers.BatchNormalization()]
        model = make_model(OPTIMIZERS["sgd"], layers=layers)
        fit(model, callbacks, X[:BATCH], Y[:BATCH])
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_max_ulp(one, other, maxulp=2)


def test_gradients_are_those_of_the_loss():
    model = make_model()
    expected = []
    measure = BeforeSteps(
        lambda batch: expected.append(arrays(weight_gradients(model, *_batch(batch))))
    )
    histograms = GradientHistograms(1)
    fit(model, [histograms, measure])
    info = histograms.histogram_info()
    norms = [[np.linalg.norm(g) for g in gradients] for gradients in expected]
    np.testing.assert_allclose(info["norm"], norms, rtol=1e-5)
    largest = [[np.abs(g).max() for g in gradients] for gradients in expected]
    np.testing.assert_allclose(info["largest"], largest, rtol=1e-5)
    assert info["variable"].tolist() == [
        *("hidden/kernel", "hidden/bias", "head/kernel", "head/bias")
    ]


def _batch(index):
    rows = slice(index * BATCH, (index + 1) * BATCH)
    return X[rows], Y[rows]


def test_updates_and_weights_are_those_of_the_model():
    model = make_model(OPTIMIZERS["momentum"])
    info, _, weights = look(model)
    before, after = (
        [[array.astype("float64") for array in step] for step in steps]
        for steps in (weights[:-1], weights[1:])
    )
    norms = [[np.linalg.norm(w) for w in step] for step in before]
    np.testing.assert_allclose(info["weight_norm"], norms, rtol=1e-6)
    updates = [
        [np.linalg.norm(b - a) for a, b in zip(*steps, strict=True)]
        for steps in zip(before, after, strict=True)
    ]
    np.testing.assert_allclose(info["update_norm"], updates, rtol=1e-5, atol=1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.array(updates) / norms
    expected[np.array(norms) == 0] = np.nan
    np.testing.assert_allclose(info["ratio"], expected, rtol=1e-5)


def test_the_update_of_plain_sgd_is_the_rate_times_the_gradient():
    info, _, _ = look(make_model(lambda: keras.optimizers.SGD(0.3)))
    np.testing.assert_allclose(
        info["update_norm"], 0.3 * info["gradient_norm"], rtol=1e-5
    )


def _momentum():
    velocity = 0.0
    for gradient in GRADIENTS:
        velocity = 0.9 * velocity - 0.1 * gradient
        yield velocity


def _clipped():
    for gradient in GRADIENTS:
        yield -0.1 * gradient * min(1, 0.5 / np.linalg.norm(gradient))


def _adam(decay=0.0, rate=0.1):
    m = v = 0.0
    weights = np.full(5, 0.5)
    for step, gradient in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        scale = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        update = -scale * m / (np.sqrt(v) + 1e-7) - rate * decay * weights
        weights = weights + update
        yield update


@pytest.mark.parametrize(
    ("optimizer", "updates"),
    [
        pytest.param(
            *(lambda: keras.optimizers.SGD(0.1, momentum=0.9), _momentum()), marks=SLOW
        ),
        (lambda: keras.optimizers.SGD(0.1, clipnorm=0.5), _clipped()),
        pytest.param(lambda: keras.optimizers.Adam(0.1), _adam(), marks=SLOW),
        (lambda: keras.optimizers.AdamW(0.1, weight_decay=0.5), _adam(decay=0.5)),
    ],
    ids=["momentum", "clipped", "adam", "adamw"],
)
def test_updates_are_those_of_the_algorithm(optimizer, updates):
    info, _, _ = look(linear(optimizer()))
    expected = [np.linalg.norm(update) for update in updates]
    np.testing.assert_allclose(info["update_norm"].ravel(), expected, rtol=1e-4)
    # Gradients are recorded as they come, before they are clipped.
    norms = np.linalg.norm(GRADIENTS, axis=1)
    np.testing.assert_allclose(info["gradient_norm"].ravel(), norms, rtol=1e-5)


@pytest.mark.parametrize("every", [pytest.param(1, marks=SLOW), 2])
def test_accumulation_counts_the_steps_that_update(every):
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    info, _, _ = look(linear(optimizer), every)
    expected = np.linalg.norm(GRADIENTS.reshape(3, 2, 5).mean(axis=1), axis=1)
    np.testing.assert_array_equal(info["step"], [1, 3, 5][::every])
    np.testing.assert_allclose(
        info["gradient_norm"].ravel(), expected[::every], rtol=1e-5
    )
    np.testing.assert_allclose(
        info["update_norm"].ravel(), 0.1 * expected[::every], rtol=1e-5
    )


def test_a_scaled_loss_is_unscaled_and_its_skipped_steps_are_marked():
    sgd = keras.optimizers.SGD(0.1)
    scaled = keras.optimizers.LossScaleOptimizer(sgd, initial_scale=2.0**129 / 3)
    info, histograms, _ = look(linear(scaled), x=8 * X)
    skipped = info["skipped"]
    assert skipped[0]
    assert not skipped[-1]
    assert keras.ops.convert_to_numpy(sgd.iterations) == np.sum(~skipped)
    assert np.isnan(info["ratio"][skipped]).all()
    assert np.isnan(info["median"][skipped]).all()
    np.testing.assert_array_equal(info["update_norm"][skipped], 0)
    assert histograms["non_finite"][skipped].any(axis=1).all()
    norms = 8 * np.linalg.norm(GRADIENTS, axis=1)[~skipped]
    np.testing.assert_allclose(info["gradient_norm"][~skipped].ravel(), norms, 1e-5)
    np.testing.assert_allclose(info["update_norm"][~skipped].ravel(), 0.1 * norms, 1e-5)


@SLOW
def test_a_fixed_loss_scale_is_unscaled():
    info, _, _ = look(linear(keras.optimizers.SGD(0.1, loss_scale_factor=3.0)))
    norms = np.linalg.norm(GRADIENTS, axis=1)
    np.testing.assert_allclose(info["gradient_norm"].ravel(), norms, rtol=1e-5)


def test_the_learning_rate_is_that_of_the_step():
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.8, 1, 1.0)
    info, _, _ = look(linear(keras.optimizers.SGD(schedule)))
    np.testing.assert_allclose(
        info["learning_rate"], 0.8 / np.arange(1, STEPS + 1), 1e-6
    )


@pytest.mark.parametrize(
    "factor",
    [1e-30, np.nan, pytest.param(1.0, marks=SLOW), pytest.param(np.inf, marks=SLOW)],
)
def test_the_counts_sum_to_the_number_of_entries(factor):
    model = linear(keras.optimizers.SGD(0.0))
    x = X.copy()
    x[:, 0], x[:, 1] = 0, factor
    _, info, _ = look(model, x=x)
    total = info["counts"].sum(axis=(2, 3)) + info["zeros"] + info["non_finite"]
    np.testing.assert_array_equal(total, 5)
    np.testing.assert_array_equal(info["zeros"], 1)
    np.testing.assert_array_equal(info["non_finite"], 0 if factor < 2 else 1)
    if factor == 1e-30:  # below 2**-64: in the first bin
        assert info["counts"][:, :, 0, 0].all()


@pytest.mark.heavy
def test_every_so_many_steps_over_the_epochs_of_a_fit():
    ratio, histograms = UpdateRatio(4), GradientHistograms(5)
    model = make_model()
    fit(model, [ratio, histograms], epochs=3)
    info = ratio.ratio_info()
    np.testing.assert_array_equal(info["step"], [0, 4, 8, 12, 16])
    np.testing.assert_array_equal(info["epoch"], info["step"] // STEPS)
    np.testing.assert_array_equal(histograms.histogram_info()["step"], [0, 5, 10, 15])
    fit(model, [ratio], epochs=5, initial_epoch=4)
    np.testing.assert_array_equal(ratio.ratio_info()["epoch"], [4, 4])


@SLOW
@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs one step at once")
def test_many_steps_at_once_are_all_recorded():
    model = make_model(steps_per_execution=150)
    info, histograms, _ = look(
        model, x=np.tile(X, (35, 1)), y=np.tile(Y, 35), epochs=2, every=1
    )
    np.testing.assert_array_equal(info["step"], np.arange(2 * 35 * STEPS))
    np.testing.assert_array_equal(histograms["epoch"], info["step"] // (35 * STEPS))


@SLOW
def test_more_steps_than_there_are_rows():
    info, _, _ = look(make_model(), epochs=15)
    np.testing.assert_array_equal(info["step"], np.arange(15 * STEPS))
    np.testing.assert_array_equal(info["epoch"], info["step"] // STEPS)


def test_variables_that_are_frozen_are_left_out():
    model = make_model()
    model.layers[0].trainable = False
    info, _, _ = look(model)
    assert info["variable"].tolist() == ["head/kernel", "head/bias"]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_variable_without_a_gradient():
    inputs = keras.Input((5,))
    used, unused = keras.layers.Dense(1, name="used"), keras.layers.Dense(1, name="un")
    outputs = [used(inputs), unused(inputs)]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=["mse", None])
    info, histograms, _ = look(model)
    missing = np.char.startswith(info["variable"], "un/")
    if BACKEND == "jax":  # which gives zeros
        np.testing.assert_array_equal(info["gradient_norm"][:, missing], 0)
    else:
        assert np.isnan(info["gradient_norm"][:, missing]).all()
        np.testing.assert_array_equal(histograms["counts"][:, missing], 0)
    assert (info["gradient_norm"][:, ~missing] > 0).all()
    np.testing.assert_array_equal(info["update_norm"][:, missing], 0)


def test_the_gradient_of_an_embedding():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Embedding(4, 1), keras.layers.Flatten()]
    )
    model.compile(
        keras.optimizers.SGD(0.1), lambda y, output: keras.ops.sum(output, -1)
    )
    tokens = np.tile([[1, 1], [1, 2]], (BATCH // 2, 1))  # of 16, row 1 has 12
    histograms, ratio = GradientHistograms(), UpdateRatio()
    fit(model, [histograms, ratio], tokens, np.zeros(BATCH))
    info = histograms.histogram_info()
    np.testing.assert_allclose(info["norm"], np.hypot(1.5, 0.5), rtol=1e-6)
    assert info["zeros"].tolist() == [[2]]
    np.testing.assert_allclose(
        ratio.ratio_info()["update_norm"], 0.1 * info["norm"], rtol=1e-4
    )


class Subclassed(keras.Model):
    """Is built by its first batch, with a step that a user wrote."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, name="dense")

    def call(self, x):
        return self.dense(x)


def test_a_subclassed_model_is_built_by_its_first_batch():
    model = Subclassed()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    ratio = UpdateRatio(1)
    fit(model, [ratio])
    info = ratio.ratio_info()
    np.testing.assert_array_equal(info["step"], np.arange(STEPS))
    assert [name.split("/")[-2:] for name in info["variable"]] == [
        *(["dense", "kernel"], ["dense", "bias"])
    ]


def test_a_step_of_ones_own_that_calls_the_optimizer():
    model = own_step_model()
    info, _, _ = look(model)
    np.testing.assert_array_equal(info["step"], np.arange(STEPS))
    np.testing.assert_allclose(info["update_norm"], 0.1 * np.sqrt(5), rtol=1e-5)


def own_step_model():
    """Its step applies a gradient of ones."""

    class Own(keras.Sequential):
        def train_step(self, *arguments):
            logs = {"nothing": keras.ops.zeros(())}
            if BACKEND == "jax":
                (weights, others, optimizer, metrics), _ = arguments
                ones = [keras.ops.ones_like(w) for w in weights]
                weights, optimizer = self.optimizer.stateless_apply(
                    optimizer, ones, weights
                )
                return logs, (weights, others, optimizer, metrics)
            ones = [keras.ops.ones_like(w) for w in self.trainable_weights]
            self.optimizer.apply(ones, self.trainable_weights)
            return logs

    model = Own([keras.Input((5,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def fails(error):
    def fail(batch, logs):
        if batch == 3:
            raise error

    return keras.callbacks.LambdaCallback(on_train_batch_end=fail)


def stops(model):
    def stop(batch, logs):
        model.stop_training = batch == 3

    return keras.callbacks.LambdaCallback(on_train_batch_end=stop)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "end", ["error", *(pytest.param(end, marks=SLOW) for end in ("interrupt", "stop"))]
)
def test_the_optimizer_is_as_before_however_fit_ends(end, tmp_path):
    model = make_model("adam")
    fit(model, [])
    optimizer = model.optimizer
    attributes, variables = dict(vars(optimizer)), optimizer.variables
    own = set(vars(model))
    watching = monitors(1)
    if end == "stop":
        fit(model, [*watching, stops(model)])
    else:
        error = RuntimeError if end == "error" else KeyboardInterrupt
        with pytest.raises(error):
            fit(model, [*watching, fails(error())])
    assert model.optimizer is optimizer
    assert vars(optimizer) == attributes
    assert all(a is b for a, b in zip(optimizer.variables, variables, strict=True))
    assert set(vars(model)) == own
    assert len(watching[0].to_frame()["step"].unique()) == 4  # up to the end
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for a, b in zip(loaded.optimizer.variables, variables, strict=True):
        np.testing.assert_array_equal(*arrays([a, b]))
    fit(model, [])
    fit(model, watching)
    assert len(watching[0].to_frame()["step"].unique()) == STEPS


def test_an_error_inside_of_the_step_leaves_nothing_behind():
    class Fails(keras.losses.Loss):
        def call(self, y, output):
            raise RuntimeError("in the step")

    model = make_model()
    fit(model, [])
    model.compile(model.optimizer, Fails())
    attributes = dict(vars(model.optimizer))
    with pytest.raises(RuntimeError, match="in the step"):
        fit(model, monitors())
    assert vars(model.optimizer) == attributes


@pytest.mark.heavy
def test_a_checkpoint_in_mid_training_loads_without_the_monitors(tmp_path):
    path = tmp_path / "model.keras"
    model = make_model("adam")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_freq=4)
    fit(model, [*monitors(1), checkpoint])
    loaded = keras.saving.load_model(path)
    assert int(keras.ops.convert_to_numpy(loaded.optimizer.iterations)) == 4
    plain = make_model("adam")
    fit(plain, [], X[: 4 * BATCH], Y[: 4 * BATCH])
    for a, b in zip(
        [*loaded.weights, *loaded.optimizer.variables],
        [*plain.weights, *plain.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(*arrays([a, b]))


def test_a_layer_that_is_used_twice_has_one_variable():
    inputs = keras.Input((5,))
    shared = keras.layers.Dense(5, name="shared")
    model = keras.Model(inputs, keras.layers.Dense(3)(shared(shared(inputs))))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    info, _, _ = look(model)
    names = info["variable"].tolist()
    assert len(set(names)) == len(names) == 4


@pytest.mark.slow
def test_a_model_of_200_layers():
    model = keras.Sequential([keras.Input((5,))])
    for _ in range(199):
        model.add(keras.layers.Dense(5, activation="selu"))
    model.add(keras.layers.Dense(3))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    watching = monitors(1)
    fit(model, watching, X[: 3 * BATCH], Y[: 3 * BATCH])
    *frames, layers = (monitor.to_frame() for monitor in watching)
    for frame in frames:
        assert frame["variable"].value_counts().tolist() == [3] * 400
    assert layers["layer"].value_counts().tolist() == [2] * 200
    for monitor in watching:
        monitor.plot()
    plt.close("all")


def test_a_model_without_a_keras_optimizer():
    model = own_step_model()
    model.optimizer = None
    with pytest.raises(ValueError, match="`optimizer`. Expected a model that is"):
        fit(model, [UpdateRatio()])

    class Foreign:
        built = True

    model.optimizer = Foreign()
    with pytest.raises(ValueError, match="`optimizer`. Expected .*Received: .*Foreign"):
        fit(model, [GradientHistograms()])


def test_an_epoch_without_a_batch():
    """As of a generator that has run out."""
    model = make_model()
    watching = monitors(1)
    for callback in watching:
        callback.set_model(model)
        callback.set_params({"steps": 0, "epochs": 1})
    model.make_train_function()
    logs = {}
    for callback in watching:
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        callback.on_epoch_end(0, logs)
    assert np.isnan(logs["update_ratio"])
    with pytest.raises(ValueError, match="recorded"):
        watching[0].to_frame()
    for callback in watching:
        callback.on_train_end()
    fit(model, watching)
    assert len(watching[0].to_frame()["step"].unique()) == STEPS


DISTRIBUTED = """
import numpy as np
import keras
from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio

x = np.random.default_rng(0).standard_normal((24, 4)).astype("float32")
with scope():
    def fit(callbacks, optimizer):
        dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((4,)), dense])
        model.compile(optimizer, lambda y, output: output)
        model.fit(x, np.zeros(24), batch_size=4, shuffle=False, verbose=0,
                  callbacks=callbacks)
        return model.get_weights()[0]

    for optimizer in (
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    ):
        ratio, counts = UpdateRatio(1), GradientHistograms(2)
        watched = fit([ratio, counts, ActivationHistograms(x)], optimizer())
        np.testing.assert_array_equal(watched, fit([], optimizer()))
        norms = np.linalg.norm(x.reshape(6, 4, 4).mean(axis=1), axis=1)
        info = ratio.ratio_info()
        np.testing.assert_array_equal(info["step"], np.arange(6))
        np.testing.assert_allclose(info["gradient_norm"][:, 0], norms, rtol=1e-5)
        np.testing.assert_allclose(info["update_norm"][:, 0], 0.1 * norms, rtol=1e-4)
        info = counts.histogram_info()
        np.testing.assert_array_equal(info["step"], [0, 2, 4])
        assert (info["counts"].sum(axis=(2, 3)) == 4).all()
"""


@pytest.mark.slow
def test_on_several_devices(run_on_two_devices):
    run_on_two_devices(DISTRIBUTED)
