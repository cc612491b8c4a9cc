"""Tiny healthy training runs, one for each context that the diagnosis is aware of.

None of them may give an error or a warning, neither before nor after training.
"""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from callbacks import Diagnosis, diagnose

L = keras.layers
SPARSE = "sparse_categorical_crossentropy"
pytestmark = [pytest.mark.heavy, pytest.mark.one_backend]


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def digits():
    """Images of handwritten digits as rows of numbers between 0 and 1."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order] / 16).astype("float32"), y[order]


@pytest.fixture(scope="module")
def table():
    """Rows of eight standardized features."""
    return np.random.default_rng(0).normal(size=(1024, 8)).astype("float32")


@pytest.fixture(scope="module")
def imbalanced():
    """Rows of which 5 % are of the class that three features decide on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 8)).astype("float32")
    score = x[:, 0] + x[:, 1] - x[:, 2]
    return x, (score > np.quantile(score, 0.95)).astype("int32")


def stack(*layers, shape):
    return keras.Sequential([keras.Input(shape), *layers])


def classifier(optimizer="adam", *, layers=None, loss=SPARSE, **options):
    """Builds a compiled classifier of the digits."""
    layers = [L.Dense(64, "relu")] if layers is None else layers
    model = stack(*layers, L.Dense(10, "softmax"), shape=(64,))
    model.compile(optimizer, loss, **options)
    return model


def regressor(optimizer="adam", *, loss="mse", features=8, **options):
    layers = [L.Dense(64, "relu"), L.Dense(64, "relu"), L.Dense(1)]
    model = stack(*layers, shape=(features,))
    model.compile(optimizer, loss, **options)
    return model


def check(model, x, y, *, callbacks=(), every=10, **options):
    """Trains a model, and checks that nothing is found before or after training."""
    before = diagnose(model, x, y)
    assert loud(before) == []
    diagnosis = Diagnosis(verbose=0, every=every)
    callbacks = [*callbacks, diagnosis]
    options = {"batch_size": 32, "verbose": 0} | options
    history = model.fit(x, y, callbacks=callbacks, **options).history
    report = diagnosis.report
    assert not any("Error" in one for one in report.not_seen)
    assert loud(report) == []
    return history


def loud(report):
    """Returns the errors and warnings of a report as text."""
    return [str(one) for one in report.findings if one.severity != "hint"]


# The data.


def test_imbalanced_classes(imbalanced):
    model = stack(L.Dense(32, "relu"), L.Dense(1, "sigmoid"), shape=(8,))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    check(model, *imbalanced, epochs=15)


def test_class_weights(imbalanced):
    model = stack(L.Dense(32, "relu"), L.Dense(1, "sigmoid"), shape=(8,))
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    check(model, *imbalanced, epochs=15, class_weight={0: 0.53, 1: 10.0})


def test_sample_weights(digits):
    x, y = digits
    weights = np.where(y < 5, 1.0, 3.0)
    check(classifier(), x, y, epochs=20, sample_weight=weights)


def test_noisy_targets(table):
    rng = np.random.default_rng(1)
    y = table[:, :1] + 2 * rng.normal(size=(len(table), 1))
    layers = [L.Dense(8, "relu"), L.Dense(1)]
    model = stack(*layers, shape=(8,))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    check(model, table, y, epochs=20)


def test_noisy_labels(table):
    """Labels of which nobody can predict more than 70 %."""
    rng = np.random.default_rng(1)
    flip = rng.random(len(table)) < 0.3
    y = (table[:, 0] > 0) ^ flip
    model = stack(L.Dense(4, "relu"), L.Dense(1, "sigmoid"), shape=(8,))
    model.compile(
        keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"]
    )
    check(model, table, y.astype("int32"), epochs=20)


def test_targets_in_a_large_unit(table):
    """Prices in thousands, standardized inside the model."""
    y = 200.0 + 50.0 * (table[:, :1] + np.sin(table[:, 1:2]))
    layers = [L.Dense(64, "relu"), L.Dense(1), L.Rescaling(50.0, offset=200.0)]
    model = stack(*layers, shape=(8,))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    check(model, table, y, epochs=30)


def test_a_thousand_epochs_of_a_hundred_rows():
    x = np.linspace(-3, 3, 100, dtype="float32")[:, None]
    model = stack(L.Dense(32, "tanh"), L.Dense(1), shape=(1,))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    check(model, x, np.sin(x), epochs=1000, every=50)


def test_a_multi_label_task(table):
    y = np.stack([table[:, i] + table[:, i + 1] > 1 for i in range(5)], axis=1)
    model = stack(L.Dense(64, "relu"), L.Dense(5, "sigmoid"), shape=(8,))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    check(model, table, y.astype("float32"), epochs=15)


def test_an_autoencoder(digits):
    x, _ = digits
    layers = [
        L.Dense(64, "relu"),
        L.Dense(16, "relu"),
        L.Dense(64, "relu"),
        L.Dense(64, "sigmoid"),
    ]
    model = stack(*layers, shape=(64,))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    check(model, x, x, epochs=30)


# Losses and outputs.


def test_several_outputs_with_weights(table):
    inputs = keras.Input((8,))
    hidden = L.Dense(64, "relu")(L.Dense(64, "relu")(inputs))
    outputs = [L.Dense(1, name=name)(hidden) for name in ("a", "b")]
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.Adam(0.003)
    model.compile(optimizer, ["mse", "mse"], loss_weights=[1.0, 100.0])
    targets = [table[:, :1] + table[:, 1:2], table[:, 2:3] - table[:, 3:4]]
    check(model, table, targets, epochs=20)


def test_outputs_of_several_kinds(table):
    inputs = keras.Input((8,))
    hidden = L.Dense(64, "relu")(inputs)
    outputs = {
        "kind": L.Dense(3, "softmax", name="kind")(hidden),
        "size": L.Dense(1, name="size")(hidden),
    }
    model = keras.Model(inputs, outputs)
    losses = {"kind": SPARSE, "size": "mse"}
    metrics = {"kind": ["accuracy"], "size": ["mae"]}
    model.compile(keras.optimizers.Adam(0.01), losses, metrics=metrics)
    targets = {"kind": table[:, :3].argmax(axis=1), "size": table[:, :1]}
    check(model, table, targets, epochs=15)


def test_an_output_without_a_loss(table):
    inputs = keras.Input((8,))
    hidden = L.Dense(64, "relu", name="features")(inputs)
    model = keras.Model(inputs, [L.Dense(1, name="main")(hidden), hidden])
    model.compile(keras.optimizers.Adam(0.01), ["mse", None])
    target = table[:, :1] + table[:, 1:2]
    diagnosis = Diagnosis(verbose=0, every=10)
    features = np.zeros((len(table), 64), "float32")
    data = {"verbose": 0, "epochs": 15, "callbacks": [diagnosis]}
    model.fit(table, [target, features], **data)
    assert loud(diagnosis.report) == []


@pytest.mark.parametrize("target", ["classes", "numbers"])
def test_a_loss_that_is_a_sum(digits, table, target):
    if target == "classes":
        loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
        check(classifier(loss=loss), *digits, epochs=20)
    else:
        loss = keras.losses.MeanSquaredError(reduction="sum")
        y = table[:, :1] + table[:, 1:2] * table[:, 2:3]
        check(regressor(loss=loss), table, y, epochs=25)


def test_label_smoothing(digits):
    x, y = digits
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    check(classifier(loss=loss), x, keras.utils.to_categorical(y), epochs=25)


def test_an_own_loss(table):
    def pinball(y, p):
        error = y - p
        return keras.ops.mean(keras.ops.maximum(0.9 * error, -0.1 * error), axis=-1)

    y = table[:, :1] + table[:, 1:2] * table[:, 2:3]
    check(regressor(loss=pinball), table, y, epochs=20)


def test_a_negative_loss(table):
    """The likelihood of a normal distribution, of which the model predicts both."""

    def negative_log_likelihood(y, p):
        mean, log_scale = p[:, :1], keras.ops.clip(p[:, 1:], -5, 3)
        distance = keras.ops.square((y - mean) * keras.ops.exp(-log_scale))
        return keras.ops.squeeze(0.5 * distance + log_scale, axis=-1)

    model = stack(L.Dense(64, "relu"), L.Dense(2), shape=(8,))
    optimizer = keras.optimizers.Adam(0.003, global_clipnorm=1.0)
    model.compile(optimizer, negative_log_likelihood)
    check(model, table, 0.1 * table[:, :1], epochs=20)


class OwnStep(keras.Model):
    """Trains as `fit` does, with a loss of its own in the step."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **_):
        return keras.ops.mean(keras.ops.abs(y - y_pred))


def test_an_own_computation_of_the_loss(table):
    inputs = keras.Input((8,))
    hidden = L.Dense(64, "relu")(inputs)
    model = OwnStep(inputs, L.Dense(1)(hidden))
    model.compile(keras.optimizers.Adam(0.003))
    diagnosis = Diagnosis(verbose=0, every=10)
    y = table[:, :1] + table[:, 1:2]
    model.fit(table, y, epochs=15, verbose=0, callbacks=[diagnosis])
    assert loud(diagnosis.report) == []


@pytest.mark.tensorflow_only(reason="the training step uses tf.GradientTape")
def test_an_own_training_step_with_a_teacher(table):
    """A student learns the random features of a frozen teacher."""
    tf = pytest.importorskip("tensorflow")

    class Distiller(keras.Model):
        def train_step(self, data):
            x = data[0] if isinstance(data, tuple) else data
            with tf.GradientTape() as tape:
                student, teacher = self(x, training=True)
                loss = keras.ops.mean(keras.ops.square(student - teacher))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    inputs = keras.Input((8,))
    student = L.Dense(16, name="student")(L.Dense(64, "relu")(inputs))
    teacher = L.Dense(16, name="teacher", trainable=False)(inputs)
    model = Distiller(inputs, [student, teacher])
    model.compile(keras.optimizers.Adam(0.003))
    diagnosis = Diagnosis(verbose=0, every=10)
    model.fit(table, epochs=15, verbose=0, callbacks=[diagnosis])
    assert loud(diagnosis.report) == []


# Learning rates.


def test_a_cosine_schedule(digits):
    schedule = keras.optimizers.schedules.CosineDecay(0.003, 20 * 57)
    check(classifier(keras.optimizers.Adam(schedule)), *digits, epochs=20)


def test_a_warm_up(digits):
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, 20 * 57, warmup_target=0.1, warmup_steps=2 * 57
    )
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    check(classifier(optimizer), *digits, epochs=20)


def test_a_rate_that_falls_on_plateaus(digits):
    falling = keras.callbacks.ReduceLROnPlateau("loss", patience=2, min_delta=0.01)
    model = classifier(keras.optimizers.Adam(0.005))
    check(model, *digits, epochs=25, callbacks=[falling])


def test_plain_gradient_descent(digits):
    model = classifier(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    check(model, *digits, epochs=30)


def test_early_stopping(digits):
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model = classifier(keras.optimizers.Adam(0.005), metrics=["accuracy"])
    check(model, *digits, epochs=60, callbacks=[stop], validation_split=0.2)


def test_clipped_gradients(digits):
    optimizer = keras.optimizers.Adam(0.003, global_clipnorm=1.0)
    check(classifier(optimizer), *digits, epochs=20)


# Layers.


@pytest.mark.parametrize("part", ["head", "everything"])
def test_fine_tuning(digits, part, tmp_path):
    """A classifier of the small digits is tuned to the large ones."""
    x, y = digits
    small = y < 5
    base = [L.Dense(64, "relu", name=f"base_{i}") for i in range(2)]
    first = stack(*base, L.Dense(5, "softmax"), shape=(64,))
    first.compile(keras.optimizers.Adam(0.003), SPARSE)
    first.fit(x[small], y[small], epochs=15, verbose=0)
    first.save(tmp_path / "first.keras")
    loaded = keras.models.load_model(tmp_path / "first.keras", compile=False)
    if part == "everything":
        loaded.compile(keras.optimizers.Adam(1e-5), SPARSE, metrics=["accuracy"])
        check(loaded, x[small], y[small], epochs=5)
        return
    features = loaded.layers[-2].output
    model = keras.Model(loaded.inputs, L.Dense(5, "softmax", name="head")(features))
    for layer in loaded.layers:
        layer.trainable = False
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    check(model, x[~small], y[~small] - 5, epochs=20)


def test_dropout(digits):
    layers = [L.Dense(128, "relu"), L.Dropout(0.5)]
    model = classifier(layers=layers, metrics=["accuracy"])
    check(model, *digits, epochs=25, validation_split=0.2)


@pytest.mark.parametrize("kind", [L.BatchNormalization, L.LayerNormalization])
def test_normalization(digits, kind):
    layers = []
    for _ in range(2):
        layers += [L.Dense(64, use_bias=False), kind(), L.ReLU()]
    check(classifier(layers=layers), *digits, epochs=20, validation_split=0.2)


def test_penalties(digits):
    layers = [L.Dense(64, "relu", kernel_regularizer=keras.regularizers.L2(1e-4))]
    check(classifier(layers=layers), *digits, epochs=25)


@pytest.mark.parametrize("activation", ["tanh", "elu", "gelu", "sigmoid"])
def test_other_activations(digits, activation):
    layers = [L.Dense(64, activation)]
    model = classifier(keras.optimizers.Adam(0.003), layers=layers)
    check(model, *digits, epochs=25)


def test_a_deep_residual_network(digits):
    inputs = keras.Input((64,))
    stream = L.Dense(32)(inputs)
    for _ in range(4):
        branch = L.Dense(32, "relu")(L.LayerNormalization()(stream))
        branch = L.Dense(32, kernel_initializer="zeros")(branch)
        stream = L.add([stream, branch])
    model = keras.Model(inputs, L.Dense(10, "softmax")(stream))
    model.compile(keras.optimizers.Adam(0.003), SPARSE)
    check(model, *digits, epochs=20)


def test_a_highway_network(digits):
    """Gates that start closed: Srivastava et al., 2015."""
    inputs = keras.Input((64,))
    hidden = L.Dense(32, "relu")(inputs)
    for _ in range(2):
        closed = keras.initializers.Constant(-4.0)
        gate = L.Dense(32, "sigmoid", bias_initializer=closed)(hidden)
        hidden = gate * L.Dense(32, "relu")(hidden) + (1 - gate) * hidden
    model = keras.Model(inputs, L.Dense(10, "softmax")(hidden))
    model.compile(keras.optimizers.Adam(0.003), SPARSE)
    check(model, *digits, epochs=25)


def test_mixed_precision(digits):
    layers = [L.Dense(64, "relu", dtype="mixed_float16") for _ in range(2)]
    head = [L.Dense(10, "softmax", dtype="float32")]
    model = stack(*layers, *head, shape=(64,))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.003))
    model.compile(optimizer, SPARSE)
    check(model, *digits, epochs=20)


def test_a_convolutional_network(digits):
    x, y = digits
    layers = [
        L.Conv2D(16, 3, activation="relu"),
        L.Conv2D(32, 3, activation="relu"),
        L.GlobalAveragePooling2D(),
        L.Dense(10, "softmax"),
    ]
    model = stack(*layers, shape=(8, 8, 1))
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    check(model, x.reshape(-1, 8, 8, 1), y, epochs=20)


# Sequences.


@pytest.mark.parametrize("kind", [L.LSTM, L.GRU, L.SimpleRNN])
def test_recurrent_networks(digits, kind):
    """The rows of an image, one after the other."""
    x, y = digits
    model = stack(kind(32), L.Dense(10, "softmax"), shape=(8, 8))
    model.compile(keras.optimizers.Adam(0.005), SPARSE)
    check(model, x.reshape(-1, 8, 8), y, epochs=20)


def test_a_masked_tagger():
    """Tags of tokens, in sequences of which most positions are padding."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 50, (512, 20))
    lengths = rng.integers(2, 7, (512, 1))
    tokens *= np.arange(20) < lengths
    tags = tokens % 7
    layers = [
        L.Embedding(50, 16, mask_zero=True),
        L.LSTM(32, return_sequences=True),
        L.Dense(7, "softmax"),
    ]
    model = stack(*layers, shape=(20,))
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    check(model, tokens, tags, epochs=15)


def test_a_language_model():
    """Each token follows from the last one, with some noise."""
    rng = np.random.default_rng(0)
    tokens = np.zeros((512, 13), "int64")
    tokens[:, 0] = rng.integers(0, 30, 512)
    for i in range(1, 13):
        noise = np.where(rng.random(512) < 0.2, rng.integers(0, 30, 512), 0)
        tokens[:, i] = (3 * tokens[:, i - 1] + 1 + noise) % 30
    layers = [
        L.Embedding(30, 32),
        L.GRU(48, return_sequences=True),
        L.Dense(30),
    ]
    model = stack(*layers, shape=(12,))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    check(model, tokens[:, :-1], tokens[:, 1:], epochs=15)
