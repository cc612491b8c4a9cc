"""Certified training: what it minimises, reports and leaves behind."""

import keras
import numpy as np
import pytest

from zoo import mlp, res_mlp
from zoo.adversarial import CertifiedTrainer, certify

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(trainer, optimizer=None):
    trainer.compile(optimizer or "sgd", CROSS_ENTROPY, metrics=["accuracy"])
    return trainer


@pytest.fixture
def linear_data():
    generator = np.random.default_rng(0)
    x = generator.uniform(0.3, 0.7, (16, 5)).astype("float32")
    return x, generator.integers(0, 3, 16)


def linear_model():
    model = mlp((5,), 3, units=())
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


DUALS = {"linf": 1, "l2": 2, "l1": np.inf}


def worst_loss(model, x, y, epsilon, norm="linf"):
    """The exact worst case of each margin of a linear model, in NumPy."""
    kernel, bias = (np.float64(part) for part in model.get_weights())
    logits = x @ kernel + bias
    rows = kernel[:, y][:, :, None] - kernel[:, None]
    margins = logits[range(len(x)), y][:, None] - logits
    margins -= epsilon * np.linalg.norm(rows, DUALS[norm], axis=0)
    loss = np.log(np.exp(-margins).sum(axis=1)).mean()
    margins[range(len(x)), y] = np.inf
    return loss, (margins > 0).all(axis=1).mean()


@pytest.mark.parametrize(
    "method",
    [
        "ibp",
        pytest.param("crown-ibp", marks=pytest.mark.heavy),
        pytest.param("crown", marks=pytest.mark.heavy),
    ],
)
def test_the_loss_follows_the_schedule(linear_data, method):
    x, y = linear_data
    model = linear_model()
    trainer = CertifiedTrainer(
        model, 0.1, method=method, warmup_steps=1, ramp_steps=2, kappa=0.25
    )
    compiled(trainer, keras.optimizers.SGD(0.0))
    clean, _ = worst_loss(model, x, y, 0.0)
    logs = trainer.fit(x, y, batch_size=16, epochs=5, verbose=0).history
    for epoch, share in enumerate((0.0, 0.0, 0.5, 1.0, 1.0)):
        worst, certified = worst_loss(model, x, y, share * 0.1)
        weight = share * 0.75
        expected = (1 - weight) * clean + weight * worst
        np.testing.assert_allclose(logs["loss"][epoch], expected, rtol=1e-5)
        np.testing.assert_allclose(logs["certified_accuracy"][epoch], certified)
    scores = trainer.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(scores["loss"], clean, rtol=1e-5)
    np.testing.assert_allclose(scores["certified_accuracy"], certified)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_the_loss_is_that_of_the_norm(linear_data, norm):
    """No perturbation reaches the bounds of the inputs, so the worst case is exact."""
    x, y = linear_data
    model = linear_model()
    trainer = compiled(CertifiedTrainer(model, 0.1, norm), keras.optimizers.SGD(0.0))
    logs = trainer.fit(x, y, batch_size=16, verbose=0).history
    clean, _ = worst_loss(model, x, y, 0.0)
    worst, certified = worst_loss(model, x, y, 0.1, norm)
    np.testing.assert_allclose(logs["loss"], [(clean + worst) / 2], rtol=1e-5)
    np.testing.assert_allclose(logs["certified_accuracy"], [certified])


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_hidden_units_are_bounded_on_the_ball(linear_data, norm):
    x, y = linear_data
    model = mlp((5,), 3, units=(6,))
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    trainer = CertifiedTrainer(model, 0.1, norm, bounds=(-9, 9))
    logs = compiled(trainer, keras.optimizers.SGD(0.0)).fit(
        x, y, batch_size=16, verbose=0
    )
    first, first_bias, last, last_bias = map(np.float64, model.get_weights())
    middle, change = x @ first + first_bias, np.linalg.norm(first, DUALS[norm], axis=0)
    lower, upper = (np.maximum(middle + s * 0.1 * change, 0) for s in (-1, 1))
    rows = last[:, y].T[:, :, None] - last
    margins = (np.where(rows > 0, lower[..., None], upper[..., None]) * rows).sum(1)
    margins += last_bias[y][:, None] - last_bias
    worst = np.log(np.exp(-margins).sum(1)).mean()
    logits = np.maximum(middle, 0) @ last + last_bias
    of_label = logits[range(len(x)), y]
    clean = (np.log(np.exp(logits).sum(1)) - of_label).mean()
    np.testing.assert_allclose(logs.history["loss"], [(clean + worst) / 2], rtol=1e-5)


@pytest.mark.heavy
@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_every_norm_trains(digits, norm):
    epsilon = {"l2": 0.3, "l1": 0.6}[norm]
    trainer = CertifiedTrainer(
        mlp((64,), 10, units=(32,)), epsilon, norm, method="crown", ramp_steps=100
    )
    compiled(trainer, keras.optimizers.Adam(3e-3))
    history = trainer.fit(*digits[0], epochs=10, batch_size=64, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    report = certify(trainer, digits[1], epsilon, norm, verbose=0)
    assert report.certified_accuracy[epsilon] > 0.5


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("ibp", marks=pytest.mark.heavy),
        pytest.param("crown-ibp", marks=pytest.mark.slow),
        pytest.param("crown", marks=pytest.mark.heavy),
    ],
)
def test_training_certifies_what_it_reports(digits, method):
    model = mlp((64,), 10, units=(32,))
    trainer = CertifiedTrainer(model, 0.04, method=method, ramp_steps=100)
    compiled(trainer, keras.optimizers.Adam(3e-3))
    history = trainer.fit(
        *digits[0], validation_data=digits[1], epochs=10, batch_size=64, verbose=0
    ).history
    assert history["val_certified_accuracy"][0] < history["val_certified_accuracy"][-1]
    method = "crown" if method == "crown" else "ibp"
    report = certify(trainer, digits[1], 0.04, method=method, verbose=0)
    assert report.certified_accuracy[0.04] > 0.5
    difference = report.certified_accuracy[0.04] - history["val_certified_accuracy"][-1]
    assert abs(difference) < 0.01


@pytest.mark.heavy
def test_one_hot_labels_and_batch_normalization(linear_data):
    x, y = linear_data
    losses = []
    for labels, loss in (
        (y, CROSS_ENTROPY),
        (np.eye(3)[y], keras.losses.CategoricalCrossentropy(from_logits=True)),
    ):
        keras.utils.set_random_seed(0)
        model = res_mlp((5,), 3, units=8, num_blocks=1)
        trainer = CertifiedTrainer(model, 0.05)
        trainer.compile("sgd", loss)
        losses.append(trainer.fit(x, labels, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.heavy
def test_it_saves_and_its_model_is_plain(linear_data, tmp_path):
    x, y = linear_data
    trainer = compiled(CertifiedTrainer(linear_model(), 0.1, ramp_steps=3), "adam")
    trainer.fit(x, y, epochs=2, verbose=0)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    first, second = (
        some.evaluate(x, y, verbose=0, return_dict=True) for some in (trainer, loaded)
    )
    assert first == second
    assert float(loaded.steps_done) == float(trainer.steps_done) == 2
    trainer.model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert type(model) is type(trainer.model)


def test_a_ramp_that_fit_does_not_complete_is_logged(linear_data, caplog):
    trainer = compiled(
        CertifiedTrainer(linear_model(), 0.1, warmup_steps=1, ramp_steps=2)
    )
    trainer.fit(*linear_data, batch_size=8, verbose=0)
    [record] = caplog.records
    assert "ended after 2 of the 3 steps" in record.message
    assert "Epsilon is 0.05 instead of 0.1" in record.message
    caplog.clear()
    trainer.fit(*linear_data, batch_size=8, verbose=0)  # continues the ramp
    assert not caplog.records


def test_inputs_out_of_bounds_are_refused(linear_data):
    x, y = linear_data
    trainer = compiled(CertifiedTrainer(linear_model(), 0.1))
    with pytest.raises(ValueError, match="`x`.*bounds"):
        trainer.fit(3 * x, y, verbose=0)
    assert trainer.optimizer.iterations == 0


@pytest.mark.heavy
def test_batches_out_of_bounds_are_refused(linear_data):
    x, y = linear_data
    trainer = compiled(CertifiedTrainer(linear_model(), 0.1))

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return 3 * x, y

    with pytest.raises(ValueError, match="`x`.*bounds"):
        trainer.fit(Batches(), verbose=0)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"model": "mlp"}, "model"),
        ({"model": lambda: mlp((4,), 1)}, "model"),
        ({"model": lambda: mlp((4,), 2, normalization="layer")}, "model"),
        ({"epsilon": 0}, "epsilon"),
        ({"epsilon": 2.0}, "epsilon"),
        ({"norm": "l3"}, "norm"),
        ({"epsilon": 3.0, "norm": "l2"}, "epsilon"),
        ({"bounds": (1, 0)}, "bounds"),
        ({"method": "lp"}, "method"),
        ({"method": "crown-ibp"}, "ramp_steps"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"ramp_steps": 0.5}, "ramp_steps"),
        ({"kappa": 1.0}, "kappa"),
    ],
)
def test_bad_arguments_are_named(options, name):
    options = {"model": lambda: mlp((4,), 2, units=()), "epsilon": 0.1, **options}
    if callable(options["model"]):
        options["model"] = options["model"]()
    with pytest.raises(ValueError, match=f"`{name}`"):
        CertifiedTrainer(**options)


def test_a_loss_of_probabilities_is_refused():
    trainer = CertifiedTrainer(mlp((4,), 2, units=()), 0.1)
    with pytest.raises(ValueError, match="`loss`"):
        trainer.compile("sgd", "sparse_categorical_crossentropy")
