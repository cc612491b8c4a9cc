from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.rules.generalization import validation_without_progress

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
TRAIN = np.geomspace(1.0, 0.01, 12)
RISING = np.concatenate([[0.9, 0.6, 0.5], np.linspace(0.5, 1.2, 9)])
OVER = [("overfitting", "warning")]
DIFFER = [("train_and_inference_differ", "warning")]


def test_overfitting_is_found(judged):
    assert judged(TRAIN, val_loss=RISING) == OVER
    slightly = np.concatenate([[0.9, 0.6, 0.5], np.linspace(0.5, 0.6, 9)])
    assert judged(TRAIN, val_loss=slightly) == []
    assert judged(TRAIN, val_loss=TRAIN / 2) == []  # dropout


def test_a_model_that_has_learned_nothing_does_not_overfit(judged):
    train = np.concatenate([[900.0, 40.0], np.full(10, 1.12)])
    options = {"val_loss": 5 * RISING, "accuracy": 0.3}
    options["val_accuracy"] = np.linspace(0.5, 0.2, 12)
    assert "overfitting" not in dict(judged(train, **options))


def test_early_stopping_is_what_the_advice_says(judged):
    assert judged(TRAIN, val_loss=RISING, epochs=100) == []


def test_a_single_epoch_is_no_overfitting(judged):
    spike = np.array([0.9, 0.6, 0.5, 0.4, 0.3, 0.29, 0.3, 0.31, 0.3, 0.31, 0.3, 0.9])
    assert judged(TRAIN, val_loss=spike) == []


def test_a_rising_loss_with_the_same_accuracy_is_a_hint(judged):
    right = np.linspace(0.7, 0.9, 12)
    options = {"val_loss": RISING, "accuracy": right}
    assert judged(TRAIN, val_accuracy=right - 0.05, **options) == []
    falling = np.concatenate([[0.7, 0.8, 0.82], np.linspace(0.82, 0.75, 9)])
    assert judged(TRAIN, val_accuracy=falling, **options) == OVER


def test_a_small_rise_counts_if_the_accuracy_falls_too(judged):
    slightly = np.concatenate([[0.9, 0.6, 0.5], np.linspace(0.52, 0.7, 9)])
    options = {"val_loss": slightly, "accuracy": np.linspace(0.6, 1.0, 12)}
    falling = np.concatenate([[0.7, 0.8, 0.82], np.linspace(0.82, 0.75, 9)])
    assert judged(TRAIN, val_accuracy=falling, **options) == OVER
    assert judged(TRAIN, val_accuracy=0.8, **options) == []


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
def test_a_small_rise_counts_for_a_regression(classifier, findings, loss):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 4)), rng.integers(0, 2, size=(200, 1))
    model = classifier(1, "sigmoid", loss)
    rising = np.concatenate([[0.9, 0.6, 0.5], np.linspace(0.52, 0.7, 9)])
    found = findings(TRAIN, model=model, data=(x, y), val_loss=rising)
    causes = [one.cause for one in found if one.severity == "warning"]
    assert ("overfitting" in causes) == (loss == "mse")


def test_memorizing_with_a_flat_validation_loss_is_overfitting(judged):
    flat = np.full(12, 0.9)
    options = {"val_loss": flat, "accuracy": np.linspace(0.6, 1.0, 12) ** 0.1}
    assert judged(TRAIN, val_accuracy=0.6, **options) == OVER
    assert judged(TRAIN, val_accuracy=0.75, **options) == []
    assert judged(TRAIN, val_accuracy=0.6, possible=0.1, **options) == []


@pytest.mark.heavy
def test_memorizing_without_validation_progress_is_found(judged):
    train = np.geomspace(1.0, 0.3, 8)
    options = {"val_loss": np.linspace(1.25, 2.0, 8), "accuracy": 0.9}
    cause = "labels_independent_of_inputs"
    assert judged(train, val_accuracy=0.34, **options)[0] == (cause, "warning")
    for change in (
        {"val_accuracy": 0.6},  # plain overfitting
        {"val_accuracy": 0.0},  # the validation data has other labels
        {"val_accuracy": 0.34, "possible": 0.5},  # a simple model predicts the labels
        {"val_accuracy": 0.34, "val_loss": np.linspace(0.9, 2.0, 8)},
        {"val_accuracy": 0.34, "val_loss": np.linspace(2.0, 1.25, 8)},  # it falls
    ):
        assert cause not in dict(judged(train, **options | change))


def test_validation_data_has_a_constant_of_its_own(
    facts_of, classifier, table, training
):
    facts = facts_of(classifier(3, "softmax", SPARSE), *table)
    run = training(np.geomspace(1.0, 0.9, 8), val_loss=np.linspace(0.95, 1.0, 8))
    run.logs.update(accuracy=[0.9] * 8, val_accuracy=[0.34] * 8)
    facts = replace(facts, training=run)
    assert validation_without_progress(facts) == []
    for constant, is_found in ((0.95, True), (1.0, False)):
        known = replace(facts, validation_constant=constant)
        assert bool(validation_without_progress(known)) == is_found


def test_validation_is_not_compared_with_weighted_labels(
    judged, findings, facts_of, classifier, table, training
):
    facts = facts_of(classifier(3, "softmax", SPARSE), *table)
    run = training(np.geomspace(1.0, 0.3, 8), val_loss=np.linspace(1.25, 2.0, 8))
    run.logs.update(accuracy=[0.9] * 8, val_accuracy=[0.34] * 8)
    facts = replace(facts, training=run)
    assert validation_without_progress(facts)
    facts = replace(facts, data=replace(facts.data, is_weighted=True))
    assert validation_without_progress(facts) == []


def test_inference_that_differs_is_found(judged, pass_of):
    assert judged(FALLING, end=pass_of(loss=2.0, training_loss=0.2)) == DIFFER
    assert judged(FALLING, end=pass_of(loss=0.25, training_loss=0.2)) == []
    assert judged(FALLING, end=pass_of(loss=0.1, training_loss=0.5)) == []  # dropout
    assert judged(FALLING, end=pass_of(loss=-1.7, training_loss=-2.0)) == []


def test_the_advice_for_small_batches_is_a_larger_one(findings, pass_of):
    end = pass_of(loss=2.0, training_loss=0.2)
    found = findings(FALLING, end=end, batch_size=4)
    assert found[0].advice[0] == "model.fit(x, y, batch_size=32)"


@pytest.mark.parametrize("augmented", [False, True])
def test_noise_in_inference_is_found(judged, pass_of, augmented):
    layers = [
        keras.Input((4, 4, 1)),
        *([keras.layers.RandomFlip()] if augmented else []),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(200, 4, 4, 1)).astype("float32"), rng.integers(0, 3, 200)
    options = {"model": model, "data": data}
    assert judged(FALLING, end=pass_of(is_random=True), **options) == DIFFER
    assert judged(FALLING, end=pass_of(), **options) == []


def test_monte_carlo_dropout_in_a_subclass_is_not_judged(judged, pass_of, compiled):
    class MonteCarloDropout(keras.layers.Dropout):
        def call(self, inputs):
            return super().call(inputs, training=True)

    dense = keras.layers.Dense(3, "softmax")
    model = compiled(keras.layers.Dropout(0.1), MonteCarloDropout(0.5), dense)
    assert judged(FALLING, end=pass_of(is_random=True), model=model) == []
