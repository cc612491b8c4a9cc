from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.dependence import Dependence
from callbacks.diagnosis.ranking import judge
from callbacks.diagnosis.run.pass_facts import PassFacts

pytestmark = pytest.mark.one_backend

O = keras.optimizers  # noqa: E741
SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
PLATEAU = (1.05, 0.8, 0.75, 0.745, 0.744, 0.744, 0.743, 0.743)
UNFIT = ("unfit_optimizer", "warning")


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (O.Adam(1e-3), []),
        (O.Adam(1e-2), []),
        (O.Adam(1e-5), []),
        (O.Adam(1.0), ["learning_rate_too_high"]),
        (O.Adam(1e-8), ["learning_rate_too_low"]),
        (O.Adam(0.0), ["learning_rate_too_low"]),
        (O.Adam(O.schedules.CosineDecay(0.0, 10, warmup_target=1e-3)), []),
        (O.SGD(0.1, momentum=0.9), []),
        (O.SGD(0.1, momentum=0.999), ["unfit_optimizer"]),
        (O.SGD(0.1, clipnorm=1.0), []),
        (O.SGD(0.1, clipnorm=1e-5), ["unfit_optimizer"]),
        (O.SGD(0.1, clipvalue=0.5), []),
        (O.Adadelta(), ["unfit_optimizer"]),
        (O.Adadelta(1.0), []),
        (O.Adagrad(), []),
        (O.Adam(1e-3, beta_1=0.5), []),
        (O.Adam(1e-3, beta_1=0.9, beta_2=0.1), ["unfit_optimizer"]),
        (O.Adam(1e-3, beta_1=0.997), ["unfit_optimizer"]),
        (O.Adam(1e-3, epsilon=1e-3), []),
        (O.AdamW(1e-3, weight_decay=0.1), []),
        (O.AdamW(1e-3, weight_decay=10.0), ["over_regularized"]),
        (O.RMSprop(1e-3), []),
        (O.RMSprop(1e-3, rho=0.0), ["unfit_optimizer"]),
        (O.RMSprop(0.045, rho=0.9, momentum=0.9, epsilon=1.0), []),  # Inception
    ],
)
def test_settings_of_optimizers(compiled, dense, found, table, optimizer, expected):
    model = compiled(dense(64), dense(64), dense(3, "softmax"), optimizer=optimizer)
    assert [one for one, _ in found(model, *table)] == expected


def test_linear_models_stand_large_updates(compiled, dense, found, table):
    model = compiled(dense(3, "softmax"), optimizer=O.Adam(3.0))
    assert found(model, *table) == []


def test_weights_that_start_small_may_be_replaced(compiled, dense, found, table):
    small = keras.initializers.RandomNormal(stddev=1e-3, seed=0)
    layers = [dense(64, kernel_initializer=small) for _ in range(2)]
    model = compiled(*layers, dense(3, "softmax"), optimizer=O.Adam(0.01))
    assert "learning_rate_too_high" not in dict(found(model, *table))


def test_a_warm_up_may_start_at_zero(judged, classifier):
    model = classifier(3, "softmax", SPARSE, optimizer=O.Adam(0.0))
    assert judged(FALLING, model=model, rate=np.linspace(0, 1e-3, 20)) == []
    low = ("learning_rate_too_low", "error")
    assert judged(PLATEAU, model=model, rate=0.0)[0] == low


@pytest.mark.parametrize(
    "optimizer",
    [
        O.Adam(1.0),
        O.SGD(0.1, momentum=0.999),
        O.SGD(0.1, clipnorm=1e-5),
        O.Adadelta(),
        O.Adam(1e-3, beta_1=0.9, beta_2=0.1),
        O.AdamW(1e-3, weight_decay=10.0),
        O.RMSprop(1e-3, rho=0.0),
    ],
)
def test_settings_are_hints_after_a_run_that_ended_well(judged, classifier, optimizer):
    model = classifier(3, "softmax", SPARSE, optimizer=optimizer)
    rate = float(optimizer.learning_rate)
    assert judged(FALLING, model=model, rate=rate) == []
    noise = (1.0, 0.95, 0.94, 0.94, 0.94, 0.94)
    assert judged(noise, model=model, rate=rate, possible=0.1) == []


def test_a_large_epsilon_must_leave_tiny_updates(judged, classifier, facts_of, table):
    model = classifier(3, "softmax", SPARSE, optimizer=O.Adam(1e-3, epsilon=10.0))
    assert UNFIT in judged(PLATEAU, model=model, ratio=1e-6, possible=0.8)
    assert UNFIT not in judged(PLATEAU, model=model, ratio=1e-4, possible=0.8)
    start = PassFacts(1.1, gradient_norms={"kernel": 0.1}, weight_norms={"kernel": 2})
    facts = facts_of(model, *table, start=start)
    assert [one.cause for one in judge(facts)] == ["unfit_optimizer"]


def test_clipping_is_judged_by_the_recorded_gradients(judged, classifier):
    optimizer = O.SGD(0.01, clipnorm=1e-2)
    model = classifier(3, "softmax", SPARSE, optimizer=optimizer)
    options = {"model": model, "rate": 0.01, "possible": 0.8, "ratio": 1e-5}
    assert judged(PLATEAU, gradient=(1.0,) * 3, **options) == [UNFIT]
    assert UNFIT not in judged(PLATEAU, gradient=(1e-4,) * 3, **options)


def test_adagrad_at_the_rate_of_adam_is_found_after_harm(judged, classifier):
    model = classifier(3, "softmax", SPARSE, optimizer=O.Adagrad(1e-3))
    options = {"model": model, "ratio": 1e-4}
    assert judged(PLATEAU, possible=0.8, **options) == [UNFIT]
    assert judged(PLATEAU, possible=0.3, **options) == []


def test_the_advice_keeps_all_other_settings(compiled, dense, facts_of, table):
    schedule = O.schedules.ExponentialDecay(0.1, 10, 0.9)
    optimizer = O.SGD(schedule, momentum=0.999, nesterov=True, clipnorm=2.0)
    model = compiled(dense(), dense(3, "softmax"), optimizer=optimizer)
    (found,) = judge(facts_of(model, *table))
    exec(found.advice[0], {"model": model, "keras": keras})
    assert model.optimizer.momentum == 0.9
    assert (model.optimizer.nesterov, model.optimizer.clipnorm) == (True, 2.0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_the_run_decides_on_a_schedule(facts_of, classifier, table, training):
    """A schedule has no rate before the run, and its peak afterwards."""
    schedule = O.schedules.CosineDecay(0.0, 100, warmup_target=2.0, warmup_steps=10)
    model = classifier(3, "softmax", SPARSE, optimizer=O.Adam(schedule))
    facts = facts_of(model, *table)
    assert judge(facts) == ()
    test = Dependence(0.8, 0.8, 0.8, 0.0, 0.02, 600)
    facts = replace(facts, data=replace(facts.data, dependence=test))
    rate = np.linspace(2.0, 0.0, 20)
    facts = replace(facts, training=training(PLATEAU, rate=rate, ratio=0.01))
    assert "learning_rate_too_high" in [one.cause for one in judge(facts)]
