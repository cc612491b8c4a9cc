import keras
import numpy as np
import pytest

from callbacks.diagnosis.rules.first_update import first_update

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
STUCK = (1.1, 1.11, 1.12, 1.11, 1.12, 1.12)
SETTLED = (1.0, 0.7, 0.6, 0.56, 0.55, 0.55, 0.55, 0.55)
LINE = np.linspace(1.09, 0.8, 8)
HIGH = "learning_rate_too_high"
LOW = "learning_rate_too_low"


@pytest.fixture
def fine_tuned(classifier):
    """A model whose hidden layer has the weights of an earlier training run."""
    model = classifier(3, "softmax", SPARSE)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        kernel = rng.standard_t(3, size=layer.kernel.shape)
        layer.set_weights([kernel, rng.normal(size=layer.bias.shape)])
    return model


@pytest.mark.parametrize("ratio", [1e-6, 1e-4, 1e-3, 1e-2, 0.09, 0.3])
def test_a_run_that_ends_well_is_healthy_at_any_ratio(judged, ratio):
    assert judged(FALLING, ratio=ratio, records=30) == []


def test_a_decaying_rate_is_judged_at_its_peak(judged):
    decay = np.geomspace(1, 1e-6, 20)
    assert judged(FALLING, ratio=1e-3 * decay, rate=1e-3 * decay) == []


# Too high.


def test_a_high_rate_that_stops_learning_is_found(judged):
    assert judged(STUCK, ratio=0.3, rate=0.5) == [(HIGH, "error")]
    assert HIGH not in dict(judged(STUCK, ratio=0.05, rate=0.01))


def test_weights_that_have_not_grown_are_no_evidence(findings):
    weight = np.linspace(10.0, 80.0, 20)[:, None] * np.ones(3)
    (grown,) = findings(STUCK, weight=weight, ratio=0.3)
    assert "while the weights have grown by a factor of 8." in str(grown)
    (still,) = findings(STUCK, ratio=0.3)
    assert "no better than a constant" in str(still)
    assert "grown" not in str(still)
    lost = (1.1, np.nan)
    (still,) = findings(lost, ratio=0.3)
    assert "The loss becomes nan, after an update of 0.3 times the weights." in str(
        still
    )


def test_small_updates_after_the_units_have_died_are_no_evidence(findings):
    weight = np.full((20, 3), 35.0)
    weight[0] = 10.0
    ratio = np.full(20, 1e-5)
    ratio[0] = 3.0
    (found,) = findings(STUCK, weight=weight, ratio=ratio, possible=0.8)
    assert found.cause == HIGH
    assert "where about 1e-3 is typical" not in str(found)


def test_weights_that_grow_without_learning_are_a_high_rate(judged):
    weight = np.linspace(10.0, 80.0, 20)[:, None] * np.ones(3)
    assert judged(STUCK, weight=weight, ratio=0.03) == [(HIGH, "error")]
    assert judged(FALLING, weight=weight, ratio=0.03) == []
    assert HIGH not in dict(judged(STUCK, weight=weight, ratio=1e-3))


def test_a_single_kernel_or_an_embedding_may_grow(judged):
    weight = np.full((20, 3), 10.0)
    weight[:, 0] = np.linspace(10.0, 80.0, 20)
    assert HIGH not in dict(judged(STUCK, weight=weight, ratio=0.03))
    weight = np.linspace(10.0, 80.0, 20)[:, None] * np.ones(3)
    weight[:, 2] = 10.0
    names = ("a/embeddings", "b/embeddings", "c/kernel")
    assert HIGH not in dict(judged(STUCK, weight=weight, ratio=0.03, variables=names))


def test_a_high_rate_that_ends_behind_a_simple_model_is_found(judged):
    assert judged(SETTLED, ratio=0.2, possible=0.8) == [(HIGH, "warning")]
    assert judged(SETTLED, ratio=0.2, possible=0.5) == []  # noise explains the rest


def test_initial_weights_that_are_overwritten_are_a_high_rate(judged):
    weight = np.full((20, 3), 35.0)
    weight[0] = 10.0
    ratio = np.full(20, 0.01)
    ratio[0] = 0.8
    options = {"weight": weight, "ratio": ratio}
    assert judged(SETTLED, possible=0.8, **options) == [(HIGH, "warning")]
    assert judged(SETTLED, possible=0.5, **options) == []
    assert judged(SETTLED, **options) == []
    ratio[0] = 0.1  # weights that started very small
    assert HIGH not in dict(judged(SETTLED, possible=0.8, **options))


def test_a_loss_far_above_a_constant_predictor_is_found(judged):
    losses = (1.1, 9.0, 2.0, 0.8)
    assert judged(losses, ratio=0.05) == [(HIGH, "warning")]
    assert judged(losses, ratio=0.05, possible=0.3) == []  # no simple model is better
    assert judged(losses, ratio=1e-3) == []
    assert HIGH not in dict(judged((1.1, 1.3, 0.8, 0.4), ratio=0.05))


def test_a_loss_that_rises_for_good_is_found(judged):
    losses = (1.0, 0.6, 0.5, 0.6, 0.7, 0.75)
    assert judged(losses, ratio=0.03) == [(HIGH, "warning")]
    spike = (1.0, 0.6, 0.5, 0.45, 0.42, 0.41, 0.4, 0.4, 0.9)
    assert judged(spike, ratio=0.03) == []


def test_a_loss_that_does_not_settle_is_found(judged):
    losses = (1.0, 0.6, 0.5, 0.6, 0.45, 0.58, 0.44, 0.55, 0.45, 0.55)
    assert judged(losses, ratio=0.03) == [(HIGH, "warning")]
    assert judged(losses, ratio=0.01) == []
    calm = (1.0, 0.6, 0.5, 0.51, 0.5, 0.52, 0.5, 0.51, 0.5, 0.5)
    assert judged(calm, ratio=0.03) == []


def test_nan_after_growing_weights_is_a_high_rate(judged):
    weight = np.full((20, 3), 10.0)
    weight[5:] = 1e6
    losses = (1.1, np.nan, np.nan)
    assert judged(losses, ratio=0.5, weight=weight) == [(HIGH, "error")]
    assert judged(losses) == [("not_finite", "error")]


def test_units_that_die_after_large_updates_are_a_high_rate(
    judged, pass_of, outputs_of_layer
):
    alive = pass_of(outputs_of_layer([0.5] * 16))
    dead = pass_of(outputs_of_layer([1.0] * 15 + [0.6]))
    losses = (1.0, 0.7, 0.55, 0.5, 0.5, 0.5)
    options = {"start": alive, "end": dead}
    assert judged(losses, ratio=0.2, **options) == [(HIGH, "warning")]
    assert HIGH not in dict(judged(losses, ratio=1e-3, **options))
    assert HIGH not in dict(judged(losses, ratio=0.2, possible=0.5, **options))


def test_a_lower_rate_stays_within_the_customary_one(findings, classifier):
    for optimizer, expected in (
        (keras.optimizers.Adam(10.0), 1e-3),
        (keras.optimizers.SGD(100.0), 0.1),
        (keras.optimizers.SGD(100.0, momentum=0.9), 0.01),
        (keras.optimizers.Adam(5e-4), 5e-6),
    ):
        model = classifier(3, "softmax", SPARSE, optimizer=optimizer)
        rate = float(optimizer.learning_rate)
        found = findings(STUCK, ratio=1.0, rate=rate, model=model)
        assert found[0].cause == HIGH
        first, line = found[0].advice[0].splitlines()
        assert first.startswith("# Build the model again first")  # it is lost
        assert line == f"model.optimizer.learning_rate = {expected:.1g}"


def test_advice_on_dead_units_begins_with_a_new_model(
    findings, pass_of, outputs_of_layer
):
    alive = pass_of(outputs_of_layer([0.5] * 16))
    dead = pass_of(outputs_of_layer([1.0] * 16))
    losses = (1.0, 0.7, 0.55, 0.5, 0.5, 0.5)
    for rate in (0.1, np.linspace(0.2, 0.0, 20)):
        options = {"ratio": 0.2, "rate": rate, "start": alive}
        (found,) = findings(losses, end=dead, **options)
        assert found.advice[0].startswith("# Build the model again first")
        text = str(found)
        assert "  > model.optimizer.learning_rate = 0.001\n" in text
        assert "find_learning_rate(model, x, y)" in text
        assert ("ScheduleLearningRate" in text) == (np.ndim(rate) == 1)
        assert "again" not in str(findings(losses, end=alive, **options))


def test_a_search_for_a_rate_names_the_dataset_of_fit(findings):
    (found,) = findings(STUCK, ratio=0.3, rate=0.5, reads_dataset=True)
    assert "find_learning_rate(model, dataset)" in str(found)


@pytest.mark.parametrize("first", [10.0, 0.0])
def test_the_first_update_is_that_of_the_first_step(
    facts_of, classifier, table, training, first
):
    rate = np.full(20, 10.0)
    rate[0] = first
    model = classifier(3, "softmax", SPARSE, optimizer=keras.optimizers.Adam(10.0))
    facts = facts_of(model, *table, training=training(STUCK, rate=rate))
    (found,) = first_update(facts)
    verb = "is" if first else "would be"
    assert f"At the learning rate 10, the first update of Adam {verb} " in str(found)


# Too low.


def test_a_low_rate_is_found(judged):
    options = {"ratio": 1e-5, "steps_per_epoch": 200}
    assert judged(LINE, **options) == [(LOW, "warning")]
    assert judged(FALLING, **options) == []
    assert judged(LINE, **options, possible=0.2) == []  # no simple model is better


def test_a_low_rate_that_has_changed_nothing_is_an_error(judged):
    assert judged(STUCK, ratio=1e-5) == [(LOW, "error")]
    assert LOW not in dict(judged(STUCK, ratio=2e-4))  # the weights have moved by 10 %


def test_no_rate_helps_without_gradients(judged):
    options = {"ratio": 0.0, "steps_per_epoch": 200, "possible": 0.6}
    assert LOW in dict(judged(STUCK, **options))
    assert LOW not in dict(judged(STUCK, **options, gradient=(0.0,) * 3))


def test_a_plateau_of_noisy_labels_is_no_low_rate(judged):
    plateau = (1.08, 1.06, 1.055, 1.054, 1.054, 1.054)
    options = {"ratio": 2e-4, "steps_per_epoch": 100}
    assert judged(plateau, **options) == []
    assert judged(plateau, **options, possible=0.03) == []
    assert judged(plateau, **options, possible=0.6) == [(LOW, "warning")]


def test_few_steps_are_not_a_low_rate(judged):
    options = {"ratio": 1e-4, "steps_per_epoch": 10}
    assert judged(LINE, **options) == [("too_few_steps", "warning")]
    options = {"ratio": 1e-6, "steps_per_epoch": 10}
    assert judged(LINE, **options) == [(LOW, "warning")]


def test_updates_are_measured_before_the_model_converges(judged):
    ratio = np.geomspace(1e-3, 1e-5, 20)
    plateau = (0.9, 0.8, 0.79, 0.785, 0.785, 0.785)
    assert LOW not in dict(judged(plateau, ratio=ratio, possible=0.6))


def test_a_rate_that_decays_too_early_is_found(judged):
    settled = (0.9, 0.85, 0.84, 0.84, 0.84, 0.84)
    options = {"possible": 0.8, "ratio": 3e-3}
    early, cosine = np.full(20, 1e-7), np.linspace(1e-3, 0.0, 20)
    early[:5] = 1e-3
    assert judged(settled, rate=early, **options)[0] == (LOW, "warning")
    assert LOW not in dict(judged(settled, rate=cosine, **options))
    assert LOW not in dict(judged(settled, rate=early, ratio=3e-3, possible=0.2))


def test_small_rates_of_fine_tuning_are_no_fault(judged, fine_tuned, classifier):
    options = {"ratio": 1e-5, "steps_per_epoch": 200}
    assert LOW not in dict(judged(LINE, model=fine_tuned, **options))
    new = classifier(3, "softmax", SPARSE)
    assert LOW in dict(judged(LINE, model=new, **options))
