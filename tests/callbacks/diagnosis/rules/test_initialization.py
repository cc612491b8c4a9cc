import keras
import numpy as np
import pytest

from callbacks import Diagnosis, diagnose
from callbacks.diagnosis.rules.initialization import (
    growing_signal,
    large_recurrent_weights,
    large_weights,
    small_weights,
)

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("initializer", "expected"),
    [
        ("glorot_uniform", []),
        ("he_normal", []),
        ("orthogonal", []),
        (keras.initializers.RandomNormal(stddev=0.05), []),
        (keras.initializers.RandomNormal(stddev=0.01), []),
        ("zeros", ["bad_initialization"]),
        ("ones", ["bad_initialization"]),
        (keras.initializers.RandomNormal(stddev=2.0), ["bad_initialization"]),
        (keras.initializers.RandomNormal(stddev=1e-4), ["bad_initialization"]),
    ],
)
def test_initial_weights(compiled, dense, found, table, initializer, expected):
    x, y = table
    hidden = [dense(64, kernel_initializer=initializer) for _ in range(2)]
    model = compiled(*hidden, dense(3, "softmax"))
    assert [one for one, _ in found(model, x, y)] == expected


@pytest.mark.parametrize(
    ("depth", "activation", "norm", "is_found"),
    [
        (10, "relu", None, True),
        (10, None, None, True),
        (2, "relu", None, False),
        (10, "tanh", None, False),
        (10, None, keras.layers.LayerNormalization, False),
    ],
)
def test_a_signal_that_grows_in_every_layer(
    compiled, dense, facts_of, table, depth, activation, norm, is_found
):
    initializer = keras.initializers.RandomNormal(stddev=0.5)  # gain 4 for 64 units
    layers = []
    for _ in range(depth):
        layers.append(dense(64, activation, kernel_initializer=initializer))
        layers += [norm()] if norm else []
    model = compiled(dense(64), *layers, dense(3, "softmax"))
    assert bool(growing_signal(facts_of(model, *table))) == is_found


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("initializer", "is_found"), [("orthogonal", False), (3, True)]
)
def test_large_recurrent_weights_are_found(facts_of, initializer, is_found):
    if initializer == 3:
        initializer = keras.initializers.RandomNormal(stddev=3.0)
    layers = [
        keras.Input((5, 4)),
        keras.layers.LSTM(16, recurrent_initializer=initializer, name="memory"),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    diagnosis = Diagnosis(verbose=0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 5, 4)), np.arange(64) % 3
    model.fit(x, y, epochs=1, verbose=0, callbacks=[diagnosis])
    found = large_recurrent_weights(diagnosis.report.facts)
    assert bool(found) == is_found
    if is_found:
        assert found[0].advice[0] == (
            "keras.layers.LSTM(16, name='memory', kernel_initializer='glorot_uniform', "
            "recurrent_initializer='orthogonal')"
        )


def test_zeros_at_the_end_of_a_branch_or_model_are_no_fault(found, table):
    inputs = keras.Input((4,))
    stream = keras.layers.Dense(16)(inputs)
    branch = keras.layers.Dense(16, "relu")(stream)
    branch = keras.layers.Dense(16, kernel_initializer="zeros")(branch)
    stream = keras.layers.ReLU()(keras.layers.add([stream, branch]))
    head = keras.layers.Dense(3, "softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, head(stream))
    model.compile("adam", SPARSE)
    assert found(model, *table) == []


def test_large_weights_before_a_normalization_are_no_fault(
    compiled, dense, found, table
):
    wide = dense(64, None, kernel_initializer=keras.initializers.RandomNormal(0, 5.0))
    norm = keras.layers.BatchNormalization()
    model = compiled(dense(64), wide, norm, keras.layers.ReLU(), dense(3, "softmax"))
    assert found(model, *table) == []


def test_frozen_layers_with_equal_units_are_no_fault(compiled, dense, found, table):
    blur = dense(16, None, kernel_initializer=keras.initializers.Constant(0.25))
    model = compiled(blur, dense(16), dense(3, "softmax"))
    blur.trainable = False
    model.compile("adam", SPARSE)
    assert found(model, *table) == []


@pytest.mark.heavy
def test_a_loaded_model_is_not_judged(compiled, dense, table, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 16)).astype("float32")
    y = x[:, :3].argmax(axis=1)
    model = compiled(dense(64), dense(3, "softmax"), shape=(16,), optimizer="adam")
    model.fit(x, y, epochs=3, verbose=0)
    layer = model.layers[0]
    kernel, bias = layer.get_weights()
    layer.set_weights([30 * kernel, bias])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    loaded.compile(keras.optimizers.Adam(1e-5), SPARSE)
    causes = [one.cause for one in diagnose(loaded, x, y).findings]
    assert "bad_initialization" not in causes


def test_layers_that_widen_are_not_small(found, dense, table):
    """Glorot's initializer is small after a layer with one unit."""
    layers = [dense(n) for n in (64, 1, 64, 1, 64, 1, 64)]
    model = keras.Sequential([keras.Input((4,)), *layers, dense(3, "softmax")])
    model.compile("adam", SPARSE)
    causes = [cause for cause, _ in found(model, *table)]
    assert "bad_initialization" not in causes


def test_the_fix_is_a_layer_of_the_model(facts_of, compiled, dense):
    for rule, stddev in ((large_weights, 2.0), (small_weights, 1e-5)):
        drawn = keras.initializers.RandomNormal(stddev=stddev)
        hidden = [
            dense(64, kernel_initializer=drawn, name=f"hidden_{i}") for i in range(2)
        ]
        model = compiled(*hidden, dense(3, "softmax"), shape=(16,))
        (one,) = rule(facts_of(model))
        made = eval(one.advice[0], {"keras": keras})
        assert one.where == f"layer '{made.name}'"
        assert isinstance(made.kernel_initializer, keras.initializers.HeNormal)
