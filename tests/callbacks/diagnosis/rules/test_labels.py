from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.rules.labels import labels_without_dependence

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)


def test_independent_labels_are_a_hint_before_training(compiled, dense, facts_of):
    x = RNG.normal(size=(1000, 6)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0) * 1  # no linear dependence
    shuffled = np.tile([0, 1], 500)
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(6,))
    assert labels_without_dependence(facts_of(model, x, y, dependence=True)) == []
    facts = facts_of(model, x, shuffled, dependence=True)
    (one,) = labels_without_dependence(
        replace(
            facts,
            data=replace(
                facts.data,
                dependence=replace(facts.data.dependence, significance=0.0),
            ),
        )
    )
    assert one.severity == "hint"


def test_independent_labels_are_a_fault_if_validation_never_beats_a_constant(
    compiled, dense, facts_of, training
):
    x = RNG.normal(size=(1000, 6)).astype("float32")
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(6,))
    facts = facts_of(model, x, np.tile([0, 1], 500), dependence=True)
    chance = replace(facts.data.dependence, significance=0.0)
    facts = replace(facts, data=replace(facts.data, dependence=chance))

    def severity(val_loss):
        run = training((0.69, 0.5, 0.4), val_loss=val_loss)  # it memorizes
        (one,) = labels_without_dependence(replace(facts, training=run))
        return one.severity

    assert severity((0.70, 0.75, 0.9)) == "warning"
    assert severity((0.66, 0.75, 0.9)) == "hint"
    assert severity(None) == "hint"


def test_text_labels_need_no_figures(compiled, dense, found):
    x = RNG.normal(size=(500, 4)).astype("float32")
    y = np.array(["cat", "dog"] * 250)
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce")
    expected = [("labels_out_of_range", "error")]
    assert found(model, x, y, dependence=True) == expected


def test_one_target_can_be_the_purpose(compiled, dense, found, table):
    x, _ = table
    zeros = np.zeros((200, 1))
    assert found(compiled(dense(), dense(1, None), loss="mse"), x, zeros) == []
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce")
    assert [one for one, _ in found(model, x, zeros + 1)] == [
        "labels_independent_of_inputs"
    ]
    discriminator = keras.Sequential([dense(8), dense(1, "sigmoid")])
    discriminator.trainable = False
    gan = compiled(dense(), discriminator, loss="bce")
    causes = [one for one, _ in found(gan, x, zeros + 1)]
    assert "labels_independent_of_inputs" not in causes


def test_constant_labels_are_found(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    expected = [("labels_independent_of_inputs", "error")]
    assert found(model, x, np.zeros_like(y)) == expected
    rare = np.zeros_like(y)
    rare[7] = 1
    assert found(model, x, rare) == []


def test_images_as_targets_must_be_in_range(compiled, dense, found):
    x = RNG.integers(0, 256, (50, 64)).astype("float32")
    model = compiled(dense(), dense(64, "sigmoid"), loss="mse", shape=(64,))
    assert found(model, x / 255, x) == [("labels_out_of_range", "error")]
    assert found(model, x / 255, x / 255) == []
