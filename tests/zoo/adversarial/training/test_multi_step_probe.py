import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import APGD, FGSM, PGD, AdversarialTrainer
from zoo.adversarial.training.multi_step_probe import (
    EXAMPLES,
    MultiStepProbe,
    with_many_steps,
)
from zoo.adversarial.training.training_guard import TrainingGuard

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_trainer(attack, **options):
    keras.utils.set_random_seed(0)
    model = mlp((64,), 10, units=(64,))
    trainer = AdversarialTrainer(model, attack, **options)
    trainer.compile(keras.optimizers.Adam(3e-3), CROSS_ENTROPY, metrics=["accuracy"])
    return trainer


class Fixed(MultiStepProbe):
    """A probe that has seen nothing, and gives the accuracies it is told."""

    def __init__(self, one, ten):
        self._given = one, ten

    def accuracies(self, head):
        return self._given


def guard_with(one, ten):
    trainer = make_trainer(FGSM(0.1))

    watch = TrainingGuard(0, 10, single_step=True, probe=Fixed(one, ten))
    watch.set_model(trainer)
    watch.on_train_begin()
    return watch


def test_what_ten_steps_break_and_one_does_not_is_named():
    with pytest.warns(UserWarning, match="leaves 0.900.*only 0.100: catastrophic over"):
        guard_with(0.9, 0.1).on_epoch_end(0, {"accuracy": 0.9})


@pytest.mark.parametrize(("one", "ten"), [(0.9, 0.7), (0.15, 0.05), (0.0, 0.0)])
def test_a_small_difference_is_not(one, ten):
    guard_with(one, ten).on_epoch_end(0, {"accuracy": 0.9})


def test_a_multi_step_attack_in_validation_takes_its_place():
    guard_with(0.9, 0.1).on_epoch_end(0, {"val_robust_accuracy": 0.5})


@pytest.mark.heavy
def test_it_keeps_the_last_examples_of_batches_of_any_size(digits):
    trainer = make_trainer(FGSM(0.1))
    x, y = (part[:100] for part in digits[0])
    trainer.fit(x, y, batch_size=30, shuffle=False, verbose=0)
    kept = trainer._probe.metric.examples()
    # The last batch of 10, then the one of 30 before it, and the one before that.
    rows = [*range(90, 100), *range(60, 90), *range(30, 54)]
    assert len(rows) == EXAMPLES
    np.testing.assert_allclose(kept[0], x[rows], atol=1e-7)
    np.testing.assert_array_equal(kept[1], y[rows])


@pytest.mark.heavy
def test_its_accuracies_are_those_of_the_attacks(digits):
    trainer = make_trainer(FGSM(0.05))
    x, y = (part[:200] for part in digits[0])
    trainer.fit(x, y, batch_size=20, epochs=6, shuffle=False, verbose=0)
    x, y = trainer._probe.metric.examples()
    expected = [
        (trainer.model.predict(attack(trainer.model, x, y), verbose=0).argmax(1) == y)
        for attack in (FGSM(0.05), PGD(0.05, steps=10))
    ]
    assert trainer._probe.accuracies(trainer.head) == pytest.approx(
        np.mean(expected, axis=1)
    )


@pytest.mark.heavy
def test_it_is_neither_reported_nor_saved(digits, tmp_path):
    trainer = make_trainer(FGSM(0.1))
    history = trainer.fit(*(part[:64] for part in digits[0]), verbose=0).history
    assert sorted(history) == ["accuracy", "loss", "robust_accuracy", "robust_loss"]
    trainer.save(tmp_path / "trainer.keras")
    without = make_trainer(PGD(0.1, steps=2))
    without.fit(*(part[:64] for part in digits[0]), verbose=0)
    without.save(tmp_path / "without.keras")
    sizes = [(tmp_path / f"{n}.keras").stat().st_size for n in ("trainer", "without")]
    assert sizes[0] < sizes[1] + 4 * EXAMPLES * 64 / 2
    keras.models.load_model(tmp_path / "trainer.keras")


@pytest.mark.heavy
@pytest.mark.parametrize(
    "attack", [FGSM(0.1), PGD(0.1, steps=1), APGD(0.1, steps=1, norm="l2")]
)
def test_all_attacks_of_one_step_are_compared_with_ten(attack):
    many = with_many_steps(attack)
    assert (many.steps, many.norm, many.epsilon) == (10, attack.norm, 0.1)
    assert make_trainer(attack)._attack_of_validation().get_config() == (
        many.get_config()
    )


@pytest.mark.slow
def test_overfitting_to_a_single_step_is_named_without_validation_data(digits):
    keras.utils.set_random_seed(0)
    model = mlp((64,), 10, units=(256, 256))
    trainer = AdversarialTrainer(model, FGSM(0.3, step_size=0.4))
    trainer.compile(keras.optimizers.Adam(3e-3), CROSS_ENTROPY, metrics=["accuracy"])
    with pytest.warns(UserWarning, match="catastrophic overfitting"):
        trainer.fit(*digits[0], epochs=12, batch_size=64, verbose=0)


@pytest.mark.slow
def test_healthy_training_with_a_single_step_is_not_named(digits):
    trainer = make_trainer(FGSM(0.1, random_start=True))
    trainer.fit(*digits[0], epochs=15, batch_size=64, verbose=0)
