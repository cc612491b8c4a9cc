from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.rules.progress import too_few_steps

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
STUCK = (1.1, 1.11, 1.12, 1.11, 1.12, 1.12)
LINE = np.linspace(1.09, 0.8, 8)
PLATEAU = (1.05, 0.8, 0.75, 0.745, 0.744, 0.744, 0.743, 0.743)
FEW, BATCH = ("too_few_steps", "warning"), ("unfit_batch_size", "warning")
NARROW = ("underfitting", "warning")


@pytest.fixture
def narrow():
    """Builds a classifier of 12 classes with a narrow hidden layer."""

    def build(width):
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(width, "relu", name="narrow"),
            keras.layers.Dense(12, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile("adam", SPARSE)
        return model

    return build


def test_a_loss_that_falls_in_a_line_needs_more_steps(judged):
    assert judged(LINE) == [FEW]
    assert judged(LINE, val_loss=LINE + 0.05) == [FEW]
    assert judged(LINE, val_loss=np.full(8, 1.0)) == []  # more steps do not help
    assert judged(LINE, possible=0.2) == []  # no simple model is better
    assert judged(LINE, possible=0.6) == [FEW]


def test_more_steps_are_advised_with_the_arguments_of_fit(findings):
    (found,) = findings(LINE)
    assert found.advice[0] == "model.fit(x, y, epochs=40)  # instead of epochs=8"
    assert not any("batch" in one for one in found.advice)
    (found,) = findings(LINE, reads_dataset=True)
    assert found.advice[0] == "model.fit(dataset, epochs=40)  # instead of epochs=8"


def test_smaller_batches_give_more_steps(facts_of, training, classifier, table):
    facts = facts_of(classifier(3, "softmax", SPARSE), *table)

    def advice(size):
        run = training(LINE, batch_size=size)
        (found,) = too_few_steps(replace(facts, training=run))
        return " ".join(found.advice)

    assert "batch_size=32 instead of batch_size=100." in advice(100)
    assert "batch" not in advice(32)


def test_a_run_that_was_stopped_early_had_enough_steps(judged):
    assert judged(LINE, epochs=50) == []


def test_a_decaying_rate_ends_with_the_run(judged):
    rate = 1e-3 * np.cos(np.linspace(0, np.pi / 2, 20)) ** 2
    options = {"rate": rate, "ratio": rate}
    assert judged(LINE, **options) == []
    assert judged(LINE, **options, possible=0.6) == [FEW]


def test_the_first_epochs_of_a_large_model_are_no_line(judged, pass_of):
    losses = (0.68, 0.62, 0.57)  # the first batch had 1.1
    assert judged(losses, start=pass_of(loss=1.1)) == []


def test_very_few_steps_need_no_curve(judged, pass_of):
    options = {"steps_per_epoch": 20, "start": pass_of(loss=1.2)}
    assert judged((1.0,), possible=0.6, **options) == [FEW]
    assert judged((1.0,), possible=0.08, **options) == []
    assert judged((1.0,), **options) == []  # it is unknown whether more is possible
    end = pass_of(loss=0.8, training_loss=0.8)
    assert judged((1.0,), end=end, **options) == [FEW]  # it still falls in the epoch
    assert judged((1.0,), end=end, **options | {"steps_per_epoch": 200}) == []


def test_three_epochs_hardly_show_a_line(judged):
    losses = (0.95, 0.8, 0.6)
    assert judged(losses) == []
    assert judged(losses, possible=0.8) == [FEW]


def test_few_steps_in_an_epoch_are_a_large_batch(judged):
    assert judged(LINE, steps_per_epoch=2, size=2000) == [BATCH]
    assert judged(LINE, steps_per_epoch=50, size=2000) == [FEW]
    assert judged(LINE, steps_per_epoch=2) == [FEW]  # only 200 examples


def test_a_batch_is_large_if_smaller_ones_give_enough_steps(judged):
    line = np.linspace(1.09, 0.8, 5)
    assert judged(line, steps_per_epoch=10, size=20_000) == [BATCH]
    assert judged(line, steps_per_epoch=10, size=400) == [FEW]  # batches of 40
    assert judged(line, steps_per_epoch=10, size=1280) == [FEW]  # batches of 128
    assert judged(line, steps_per_epoch=30, size=20_000) == [FEW]


def test_a_plateau_below_what_is_possible_is_underfitting(judged):
    assert judged(PLATEAU, possible=0.8) == [NARROW]
    assert judged(PLATEAU, possible=0.35) == []
    assert judged(PLATEAU) == []


def test_a_bottleneck_is_underfitting(judged, narrow, findings):
    assert judged(PLATEAU, model=narrow(2)) == [NARROW]
    assert judged(STUCK, model=narrow(2)) == [NARROW]
    assert judged(PLATEAU, model=narrow(6)) == []
    assert judged(PLATEAU, model=narrow(2), possible=0.3) == []
    assert judged(FALLING, model=narrow(2)) == []
    (found,) = findings(PLATEAU, model=narrow(2))
    expected = "keras.layers.Dense(64, activation='relu', name='narrow')"
    assert found.advice[0] == expected


@pytest.mark.parametrize(("width", "is_found"), [(1, True), (2, False)])
def test_a_single_rectified_unit_is_a_bottleneck(
    classifier, compiled, dense, judged, width, is_found
):
    model = compiled(dense(), dense(width, "relu"), dense(3, "softmax"))
    assert (NARROW in judged(STUCK, model=model)) == is_found


def test_layers_of_language_models_are_no_bottlenecks(judged):
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(64, "relu"),
        keras.layers.Dense(1000, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    assert judged(PLATEAU, model=model) == []


def test_no_progress_without_a_cause_is_said(judged, findings):
    assert judged(STUCK) == [("not_learning", "warning")]
    assert judged(STUCK, possible=0.5) == [("not_learning", "error")]
    assert judged(STUCK, steps_per_epoch=5) == []  # 30 steps are too few to say
    assert judged(STUCK, possible=0.05) == []  # perhaps nothing can be predicted
    hint = findings(STUCK, possible=0.05)[0]
    assert (hint.cause, hint.severity) == ("not_learning", "hint")


def test_tiny_batches_are_a_warning_if_they_do_harm(judged, compiled, dense, findings):
    tiny = {"batch_size": 1, "size": 400}
    assert judged(PLATEAU, possible=0.8, **tiny)[0] == BATCH
    assert judged(PLATEAU, **tiny) == []
    assert [one.severity for one in findings(PLATEAU, **tiny)] == ["hint"]
    four = {"batch_size": 4, "size": 400, "possible": 0.8}
    assert BATCH not in judged(PLATEAU, **four)
    normalization = keras.layers.BatchNormalization()
    model = compiled(dense(), normalization, dense(3, "softmax"))
    assert BATCH in judged(PLATEAU, model=model, **four)
    two = {"batch_size": 2, "size": 400}
    assert BATCH in judged(PLATEAU, model=model, **two)
    assert BATCH not in judged(PLATEAU, **two)
    good = (1.0, 0.5, 0.1, 0.05)
    assert BATCH not in judged(good, model=model, **two)
