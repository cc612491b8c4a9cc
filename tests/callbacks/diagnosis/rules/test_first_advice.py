"""The first advice of each rule is code that runs, and removes the finding."""

import ast
from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.data_facts import describe_data
from callbacks.diagnosis.data.sample_data import take_sample
from callbacks.diagnosis.facts import Facts
from callbacks.diagnosis.reading.model_facts import read_model
from callbacks.diagnosis.rules import (
    heads,
    inputs,
    labels,
    layers,
    metrics,
    other_losses,
    stack,
    targets,
)
from callbacks.diagnosis.run.pass_facts import run_pass

pytestmark = pytest.mark.one_backend

MODULES = (heads, other_losses, targets, labels, inputs, stack, layers, metrics)
RULES = {one.function.__name__: one for module in MODULES for one in module.RULES}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
IDS = X[:, :3].argmax(axis=1)
ONE_HOT = np.eye(3)[IDS]
BINARY = (X[:, 0] > 0) * 1
MULTI_HOT = (X[:, :3] > 0) * 1
REAL = (X @ [1.0, -2.0, 0.5, 1.0])[:, None]
IMAGES = RNG.integers(0, 256, (100, 64)).astype("float32")
STEPS = RNG.normal(size=(60, 8, 4)).astype("float32")
WORDS = np.minimum(RNG.zipf(1.3, (200, 20)), 5000)
BCE, CCE = "binary_crossentropy", "categorical_crossentropy"
SPARSE = "sparse_categorical_crossentropy"
L = keras.layers


def build(*parts, loss=SPARSE, shape=(4,), **options):
    model = keras.Sequential([keras.Input(shape), *parts])
    model.compile("adam", loss, **options)
    return model


def hidden(activation="relu"):
    return L.Dense(16, activation, name="hidden")


def output(units, activation=None):
    return L.Dense(units, activation, name="output")


def tiny_column():
    x = np.concatenate([1e-4 * X[:, :1], X[:, 1:]], axis=1)
    return x, BINARY


def softmax_logits():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


CASES = {
    "cosine_of_one_number": lambda: (
        build(output(1), loss="cosine_similarity"),
        X,
        REAL,
    ),
    "dominant_column": lambda: (
        build(hidden(None), L.BatchNormalization(), output(3, "softmax")),
        X * [1, 1, 1e4, 1],
        IDS,
    ),
    "normalization_of_one_value": lambda: (
        build(L.Dense(1), L.LayerNormalization(name="norm"), output(3, "softmax")),
        X,
        IDS,
    ),
    "dense_layers_of_pixels": lambda: (
        build(
            hidden(), L.GlobalAveragePooling2D(), output(3, "softmax"), shape=(8, 8, 1)
        ),
        IMAGES.reshape(100, 8, 8, 1) / 255,
        np.arange(100) % 3,
    ),
    "softmax_on_one_unit": lambda: (build(output(1, "softmax"), loss=BCE), X, BINARY),
    "logits_against_probabilities": lambda: (build(output(3)), X, IDS),
    "probabilities_against_logits": lambda: (
        build(output(3, "tanh"), loss=softmax_logits()),
        X,
        IDS,
    ),
    "softmax_for_independent_labels": lambda: (
        build(output(3, "softmax"), loss=BCE, metrics=["accuracy"]),
        X,
        ONE_HOT,
    ),
    "sigmoid_for_one_of_many": lambda: (
        build(output(3), L.Activation("sigmoid"), loss=CCE),
        X,
        ONE_HOT,
    ),
    "activation_on_activation": lambda: (
        build(output(3, "sigmoid"), L.Softmax()),
        X,
        IDS,
    ),
    "rates_below_zero": lambda: (build(output(1), loss="poisson"), X, abs(REAL)),
    "hinge_on_probabilities": lambda: (
        build(output(1, "sigmoid"), loss="hinge"),
        X,
        2 * BINARY - 1,
    ),
    "one_unit_for_categories": lambda: (
        build(output(1, "sigmoid"), loss=CCE),
        X,
        BINARY,
    ),
    "outputs_against_classes": lambda: (build(output(2, "softmax")), X, IDS),
    "encoding_against_loss": lambda: (
        build(output(3, "softmax"), loss=CCE, metrics=["accuracy"]),
        X,
        IDS,
    ),
    "distance_for_classes": lambda: (
        build(output(3, "softmax"), loss="mse"),
        X,
        ONE_HOT,
    ),
    "distance_to_class_ids": lambda: (build(output(3), loss="mse"), X, IDS),
    "cross_entropy_for_quantities": lambda: (
        build(output(1, "sigmoid"), loss=BCE),
        X,
        REAL,
    ),
    "unreachable_targets": lambda: (build(output(1, "relu"), loss="mse"), X, REAL),
    "class_ids_out_of_range": lambda: (build(output(3, "softmax")), X, IDS + 1),
    "binary_labels_out_of_range": lambda: (
        build(output(1, "sigmoid"), loss=BCE),
        X,
        2 * BINARY - 1,
    ),
    "outside_domain_of_loss": lambda: (
        build(output(1, "exponential"), loss="poisson"),
        X,
        REAL,
    ),
    "images_out_of_range": lambda: (
        build(output(64, "sigmoid"), loss="mse", shape=(64,)),
        IMAGES / 255,
        IMAGES,
    ),
    "targets_not_scaled": lambda: (build(output(1), loss="mse"), X, 1000 * REAL),
    "constant_labels": lambda: (build(output(3, "softmax")), X, 0 * IDS),
    "labels_without_dependence": lambda: (
        build(output(1, "sigmoid"), loss=BCE),
        RNG.normal(size=(1000, 4)).astype("float32"),
        np.arange(1000) % 2,
    ),
    "strings": lambda: (build(output(3, "softmax")), X, np.array(["a", "b"] * 100)),
    "not_finite": lambda: (
        build(output(1), loss="mse"),
        np.where(X > 2, np.nan, X),
        REAL,
    ),
    "constant_inputs": lambda: (build(output(3, "softmax")), np.ones_like(X), IDS),
    "repeated_inputs": lambda: (
        build(output(3, "softmax")),
        np.repeat(X[:10], 20, axis=0),
        IDS,
    ),
    "inputs_not_scaled": lambda: (build(hidden(), output(3, "softmax")), 100 * X, IDS),
    "small_column_with_signal": lambda: (
        build(hidden(), output(1, "sigmoid"), loss=BCE),
        *tiny_column(),
    ),
    "ids_without_embedding": lambda: (
        build(L.Dense(8, "relu"), output(1, "sigmoid"), loss=BCE, shape=(20,)),
        WORDS,
        BINARY,
    ),
    "linear_hidden_stack": lambda: (build(hidden(None), output(3, "softmax")), X, IDS),
    "softmax_in_the_middle": lambda: (
        build(hidden("softmax"), output(3, "softmax")),
        X,
        IDS,
    ),
    "softmax_over_wrong_axis": lambda: (build(output(3), L.Softmax(axis=0)), X, IDS),
    "missing_flatten": lambda: (
        build(L.Dense(8, "relu"), output(3, "softmax"), shape=(8, 4)),
        STEPS,
        RNG.integers(0, 3, 60),
    ),
    "embedding_of_floats": lambda: (
        build(L.Embedding(3, 8), L.Flatten(), output(3, "softmax"), shape=(2,)),
        RNG.integers(0, 9, (200, 2)),
        IDS,
    ),
    "dropout_after_head": lambda: (
        build(output(3, "softmax"), L.Dropout(0.5)),
        X,
        IDS,
    ),
    "high_dropout": lambda: (
        build(hidden(), L.Dropout(0.95), output(3, "softmax")),
        X,
        IDS,
    ),
    "normalization_of_one": lambda: (
        build(hidden(), L.BatchNormalization(), output(3, "softmax")),
        X,
        IDS,
    ),
    "unsettled_statistics": lambda: (
        build(hidden(), L.BatchNormalization(momentum=0.1), output(3, "softmax")),
        X,
        IDS,
    ),
    "accuracy_of_regression": lambda: (
        build(output(1), loss="mse", metrics=["accuracy"]),
        X,
        REAL,
    ),
    "accuracy_of_another_encoding": lambda: (
        build(output(3, "softmax"), metrics=["categorical_accuracy"]),
        X,
        IDS,
    ),
    "accuracy_of_many_labels": lambda: (
        build(output(3, "sigmoid"), loss=BCE, metrics=["accuracy"]),
        X,
        MULTI_HOT,
    ),
    "accuracy_of_rare_classes": lambda: (
        build(output(1, "sigmoid"), loss=BCE, metrics=["accuracy"]),
        X,
        (np.arange(200) == 7) * 1,
    ),
    "threshold_on_logits": lambda: (
        build(
            output(1),
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            metrics=["accuracy"],
        ),
        X,
        BINARY,
    ),
}
# Advice that looks at the data, or starts `fit` again, leaves the finding. That of the
# others is about datasets or runs, and has tests with these.
LEAVES = (
    *("constant_labels", "constant_inputs", "labels_without_dependence"),
    *("normalization_of_one", "dropout_after_head"),
)
ELSEWHERE = ("sorted_batches", "classes_only_in_validation")


def gather(name, model, x, y) -> Facts:
    size = 1 if name == "normalization_of_one" else 32
    sample = take_sample(x, y, batch_size=size)
    depends = name == "labels_without_dependence"
    data = describe_data(sample, dependence=depends)
    # The order of the examples is fixed, but chance may still find some dependence.
    if data.dependence is not None:
        data = replace(data, dependence=replace(data.dependence, significance=0.0))
    read = read_model(model, x, y)
    start = None
    if RULES[name].since == "first_pass":
        start = run_pass(model, sample)
    return Facts(read, data, start=start)


def apply(line, model, x, y):
    """Runs a line of advice, and returns the model and the data after it."""
    scope = {"model": model, "x": x, "y": y, "np": np, "keras": keras}
    code, _, note = line.partition("  # ")
    if not code.startswith("keras.layers."):
        exec(code, scope)
        return scope["model"], scope["x"], scope["y"]
    new = eval(code, scope)
    parts = []
    for old in model.layers:
        if note == f"before layer {old.name!r}":
            parts.append(new)
        is_replaced = old.name == new.name or "instead" in note
        copy = type(old).from_config(old.get_config())
        if "instead" in note:
            if getattr(copy, "activation", None) is not None:
                copy.activation = keras.activations.linear
            is_replaced = False
        parts.append(new if is_replaced else copy)
        if note == f"after layer {old.name!r}":
            parts.append(new)
    changed = keras.Sequential([keras.Input(x.shape[1:]), *parts])
    changed.compile("adam", model.loss)
    return changed, x, y


def test_every_rule_has_a_case():
    assert set(RULES) == {*CASES, *ELSEWHERE}


@pytest.mark.parametrize("name", CASES)
def test_the_first_advice_runs_and_removes_the_finding(name):
    model, x, y = CASES[name]()
    findings = RULES[name](gather(name, model, x, y))
    assert findings, "the case does not provoke the rule"
    first = findings[0].advice[0]
    ast.parse(first)
    model, x, y = apply(first, model, x, y)
    if name not in LEAVES:
        assert RULES[name](gather(name, model, x, y)) == []
