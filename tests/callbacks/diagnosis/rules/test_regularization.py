import keras
import numpy as np
import pytest

from callbacks.diagnosis.ranking import judge

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
STUCK = (1.1, 1.11, 1.12, 1.11, 1.12, 1.12)
PLATEAU = (1.05, 0.8, 0.75, 0.745, 0.744, 0.744, 0.743, 0.743)
OVER = [("over_regularized", "warning")]
SHRINKING = np.geomspace(10.0, 3.0, 20)[:, None] * np.ones(3)


@pytest.fixture
def penalized(compiled, dense):
    return compiled(dense(kernel_regularizer="l2", name="hidden"), dense(3, "softmax"))


@pytest.fixture
def noisy(compiled, dense):
    """Builds a classifier with dropout of the given rates."""

    def build(*rates):
        layers = [
            layer for rate in rates for layer in (dense(), keras.layers.Dropout(rate))
        ]
        return compiled(*layers, dense(3, "softmax"))

    return build


def test_a_penalty_that_wins_is_found(judged, pass_of, penalized):
    losses = (6.0, 3.0, 2.4, 2.37, 2.37, 2.37)
    options = {"model": penalized, "end": pass_of(penalty=1.25)}
    assert judged(losses, weight=SHRINKING, **options) == OVER
    # The weights are as large as before, so another fault has stopped the run.
    assert judged(losses, **options) == [("not_learning", "warning")]


def test_a_penalty_behind_a_simple_model_is_found(judged, pass_of, penalized):
    losses = (2.0, 1.4, 1.2, 1.15, 1.15, 1.15, 1.15)
    options = {
        "model": penalized,
        "end": pass_of(penalty=0.4),
        "weight": SHRINKING,
    }
    assert judged(losses, possible=0.8, **options) == OVER
    assert judged(losses, possible=0.3, **options) == []  # noise
    assert judged(losses, **options) == []
    options["weight"] = (10.0,) * 3  # a settled penalty that only bounds the weights
    assert judged(losses, possible=0.8, **options) == OVER


def test_a_penalty_that_still_falls_is_no_fault(judged, pass_of, penalized):
    losses = (3.4, 2.9, 2.2)
    options = {"model": penalized, "end": pass_of(penalty=1.5)}
    found = judged(losses, weight=SHRINKING, possible=0.8, **options)
    assert "over_regularized" not in dict(found)


def test_penalties_of_outputs_are_found(findings, pass_of, compiled, dense):
    model = compiled(dense(activity_regularizer="l1"), dense(3, "softmax"))
    losses = (6.0, 3.0, 2.4, 2.37, 2.37, 2.37)
    options = {"model": model, "end": pass_of(penalty=1.25)}
    found = findings(losses, weight=SHRINKING, **options)
    assert (found[0].cause, found[0].where) == ("over_regularized", "model")
    exec(found[0].advice[0], {"model": model})
    assert all(layer.activity_regularizer is None for layer in model.layers)


def test_a_penalty_that_starts_far_above_the_loss_is_a_risk(
    judged, found, table, pass_of, penalized
):
    for penalty, expected in ((30.0, OVER), (3.0, [])):
        start = pass_of(loss=1.1 + penalty, penalty=penalty)
        options = {"start": start, "model": penalized}
        assert found(penalized, *table, start=start) == expected
        assert judged(FALLING, **options) == []  # the run has ended well
        assert judged(PLATEAU, **options, possible=0.8)[:1] == (
            expected or [("underfitting", "warning")]
        )


def test_small_targets_do_not_make_a_penalty_large(found, pass_of):
    layers = [
        keras.layers.Dense(64, "relu", kernel_regularizer=keras.regularizers.L2(1e-5)),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    data = rng.normal(size=(200, 4)).astype("float32"), 0.01 * rng.normal(size=200)
    assert found(model, *data, start=pass_of(loss=2e-3, penalty=2e-3)) == []


def test_the_advice_changes_the_penalty(facts_of, table, pass_of, penalized):
    start = pass_of(loss=31.0, penalty=30.0)
    (one,) = judge(facts_of(penalized, *table, start=start))
    exec(one.advice[0], {"model": penalized, "keras": keras})
    assert float(penalized.get_layer("hidden").kernel.regularizer.l2) == 1e-5


def test_several_strong_dropouts_are_found(judged, noisy, pass_of):
    options = {"end": pass_of(loss=1.1, training_loss=1.1)}
    assert judged(STUCK, model=noisy(0.7, 0.7, 0.7), **options) == OVER
    assert judged(STUCK, model=noisy(0.5, 0.5), **options) == [
        ("not_learning", "warning")
    ]
    many = noisy(*[0.1] * 24)  # together, they keep 8 %
    assert judged(STUCK, model=many, **options) == [("not_learning", "warning")]
    assert judged(FALLING, model=noisy(0.7, 0.7, 0.7), end=pass_of()) == []


def test_noise_behind_a_simple_model_is_found(judged, noisy, pass_of):
    options = {
        "model": noisy(0.6, 0.4),
        "end": pass_of(loss=0.6, training_loss=0.75),
    }
    assert judged(PLATEAU, possible=0.8, **options) == OVER
    assert judged(PLATEAU, possible=0.4, **options) == []
    assert judged(PLATEAU, **options) == []


def test_decay_that_leaves_no_weights_is_found(judged, classifier):
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.8)
    model = classifier(3, "softmax", SPARSE, optimizer=optimizer)
    weight = np.geomspace(10.0, 0.5, 20)[:, None] * np.ones(3)
    options = {"model": model, "weight": weight, "steps_per_epoch": 1000}
    assert judged(PLATEAU, possible=0.8, **options)[0] == OVER[0]
    assert judged(PLATEAU, possible=0.3, **options) == []
    assert ("over_regularized", "warning") not in judged(
        PLATEAU, possible=0.8, **options | {"weight": (10.0,) * 3}
    )
