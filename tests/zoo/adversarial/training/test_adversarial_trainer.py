import keras
import numpy as np
import pytest

from zoo import datasets, mlp
from zoo.adversarial import FGSM, PGD, AdversarialTrainer
from zoo.adversarial.training.training_batch import TrainingBatch
from zoo.adversarial.training.training_guard import TrainingGuard

ops = keras.ops
SHAPE = (64,)


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


def make_model(**options):
    keras.utils.set_random_seed(0)
    return mlp(SHAPE, 10, **{"units": (32,), **options})


def make_trainer(
    attack, model=None, optimizer="adam", metrics=("accuracy",), **options
):
    trainer = AdversarialTrainer(model or make_model(), attack, **options)
    trainer.compile(optimizer, cross_entropy(), metrics=list(metrics))
    return trainer


def part(data, count=256):
    return tuple(values[:count] for values in data)


@pytest.mark.heavy
def test_epsilon_zero_is_plain_training_bit_for_bit(digits):
    plain = make_model(dropout=0.2, normalization="batch")
    plain.compile("adam", cross_entropy(), metrics=["accuracy"])
    x, y = part(digits[0], 300)
    expected = plain.fit(x, y, epochs=2, verbose=0).history
    model = make_model(dropout=0.2, normalization="batch")
    trainer = make_trainer(PGD(0.0, steps=2), model)
    found = trainer.fit(x, y, epochs=2, verbose=0).history
    assert found["loss"] == expected["loss"]
    assert found["robust_accuracy"] == expected["accuracy"]
    for weight, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.slow
def test_training_makes_robust(digits, trained):
    """Against a model trained plainly, with the same attack in `evaluate`."""
    train, test = digits
    attack = PGD(0.1, steps=5)
    trainer = make_trainer(attack, make_model(units=(64,)), keras.optimizers.Adam(3e-3))
    history = trainer.fit(*train, epochs=12, batch_size=64, verbose=0).history
    robust = trainer.evaluate(*test, verbose=0, return_dict=True)
    plain = make_trainer(attack, trained).evaluate(*test, verbose=0, return_dict=True)
    assert robust["robust_accuracy"] > plain["robust_accuracy"] + 0.1
    assert robust["accuracy"] > 0.85
    assert history["accuracy"][-1] > history["robust_accuracy"][-1]


@pytest.mark.heavy
def test_metrics_of_clean_and_adversarial_inputs(digits):
    x, y = part(digits[0])
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")]
    trainer = make_trainer(PGD(0.1, steps=2), metrics=metrics)
    logs = trainer.fit(x, y, epochs=2, validation_data=(x, y), verbose=0).history
    names = {"accuracy", "loss", "top"}
    names |= {f"robust_{name}" for name in names}
    assert set(logs) == names | {f"val_{name}" for name in names}
    assert logs["val_top"][-1] > logs["val_robust_top"][-1]
    found = trainer.evaluate(x, y, verbose=0, return_dict=True)
    predicted = trainer.model.predict(x, verbose=0).argmax(axis=1)
    assert found["accuracy"] == pytest.approx((predicted == y).mean())
    assert found["robust_loss"] > found["loss"]


@pytest.mark.slow
def test_evaluate_is_the_attack_in_evaluation_mode(digits, trained):
    """With start at the input, where both draw nothing."""
    x, y = part(digits[1], 96)
    attack = PGD(0.08, steps=10, random_start=False)
    trainer = make_trainer(FGSM(0.01), trained, validation_attack=attack)
    found = trainer.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    predicted = trained.predict(attack(trained, x, y), verbose=0).argmax(axis=1)
    assert found["robust_accuracy"] == pytest.approx((predicted == y).mean())


@pytest.mark.slow
def test_more_restarts_in_validation_find_more(digits, trained):
    def robust(restarts):
        attack = PGD(0.09, steps=2, restarts=restarts)
        trainer = make_trainer(FGSM(0.01), trained, validation_attack=attack)
        return trainer.evaluate(*digits[1], verbose=0, return_dict=True)

    assert robust(4)["robust_accuracy"] < robust(1)["robust_accuracy"]


@pytest.mark.slow
def test_clean_metrics_can_be_switched_off(digits):
    x, y = part(digits[0])
    trainer = make_trainer(PGD(0.1, steps=2), clean_metrics=False)
    logs = trainer.fit(x, y, validation_data=(x, y), verbose=0).history
    assert "accuracy" not in logs
    assert {"robust_accuracy", "val_accuracy", "val_robust_accuracy"} <= set(logs)


def numpy_logits(model, x):
    logits = to_numpy(model(x)).astype("float64")
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_trades(digits, weighted):
    """With an attack whose result is known: a step beyond epsilon of one feature."""
    x, y = part(digits[0], 64)
    weights = np.linspace(0, 2, 64).astype("float32") if weighted else None
    trainer = make_trainer(PGD(0.1, steps=2), objective="trades", beta=3.0)
    other = np.clip(x + 0.05, 0, 1)
    clean, robust = (numpy_logits(trainer.model, values) for values in (x, other))
    divergence = (np.exp(clean) * (clean - robust)).sum(axis=1)
    loss = -clean[np.arange(64), y]
    scale = np.ones(64) if weights is None else weights
    expected = (scale * (loss + 3.0 * divergence)).mean()
    batch = TrainingBatch(adversarial=other, clean=x)
    predictions = trainer(batch)
    found = trainer.compute_loss(batch, y, predictions, weights, training=True)
    assert float(to_numpy(found)) == pytest.approx(expected, rel=1e-4)


def test_the_mix_with_clean_batches(digits):
    x, y = part(digits[0], 64)
    model = make_model(kernel_regularizer=keras.regularizers.L2(0.01))
    trainer = make_trainer(PGD(0.1, steps=2), model, clean_weight=0.25)
    other = np.clip(x + 0.05, 0, 1)
    losses = [
        -numpy_logits(model, values)[np.arange(64), y].mean() for values in (x, other)
    ]
    penalty = float(sum(to_numpy(loss) for loss in model.losses))
    predictions = trainer(TrainingBatch(adversarial=other, clean=x))
    found = trainer.compute_loss(None, y, predictions, training=True)
    expected = 0.25 * losses[0] + 0.75 * losses[1] + penalty
    assert float(to_numpy(found)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_trades_trains(digits):
    optimizer = keras.optimizers.Adam(3e-3)
    trainer = make_trainer(PGD(0.1, steps=3), None, optimizer, objective="trades")
    logs = trainer.fit(*part(digits[0], 512), epochs=6, verbose=0).history
    assert logs["loss"][-1] < 0.8 * logs["loss"][0]
    assert logs["robust_accuracy"][-1] > 0.5


@pytest.mark.slow
def test_epsilon_warms_up(digits):
    """Each epoch's attack, by the largest change that its steps can make."""
    scales = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            scales.append(float(to_numpy(self.model.epsilon_scale)))

    trainer = make_trainer(FGSM(0.4), warmup_epochs=3)
    trainer.fit(*part(digits[0], 32), epochs=5, verbose=0, callbacks=[Watch()])
    assert scales == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_a_scale_makes_the_attack_smaller(trained, digits):
    x = ops.convert_to_tensor(digits[1][0][:8])
    found = FGSM(0.4).perturb(trained, x, lambda logits: logits[:, 0], scale=0.25)
    delta = np.abs(to_numpy(found) - to_numpy(x))
    assert delta.max() == pytest.approx(0.1, rel=1e-5)


@pytest.mark.slow
def test_early_stopping_monitors_the_robust_accuracy(digits, trained):
    data = part(digits[0], 64)
    trainer = make_trainer(FGSM(0.05), trained, keras.optimizers.SGD(0.0))
    stop = keras.callbacks.EarlyStopping("val_robust_accuracy", mode="max")
    options = {"validation_data": data, "callbacks": [stop], "verbose": 0}
    logs = trainer.fit(*data, epochs=9, **options).history
    assert len(logs["loss"]) == 2


@pytest.mark.slow
def test_it_saves_and_trains_on(tmp_path, digits):
    """Without random starts: Keras saves no state of random generators."""
    data = part(digits[0], 128)
    attack = PGD(0.1, steps=2, mask=np.arange(64) > 8, random_start=False)
    validation = PGD(0.1, steps=4)
    options = {"validation_attack": validation, "clean_weight": 0.5}
    trainer = make_trainer(attack, **options)
    trainer.fit(*data, verbose=0)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    assert loaded.get_config()["clean_weight"] == 0.5
    assert loaded.attack.get_config() == attack.get_config()
    assert loaded.validation_attack.get_config() == validation.get_config()
    expected, found = (
        t.evaluate(*data, verbose=0, return_dict=True) for t in (trainer, loaded)
    )
    assert found == pytest.approx(expected, rel=1e-5)
    for one in (trainer, loaded):
        one.fit(*data, shuffle=False, verbose=0)
    for weight, other in zip(trainer.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6)


@pytest.mark.slow
def test_the_plain_model_loads_without_kerascope(tmp_path, digits, run_python):
    trainer = make_trainer(FGSM(0.1))
    trainer.fit(*part(digits[0], 64), verbose=0)
    trainer.model.save(tmp_path / "plain.keras")
    x = np.full((1, 64), 0.5, "float32")
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('plain.keras')\n"
        "assert not any(name.split('.')[0] == 'zoo' for name in sys.modules)\n"
        "x = np.full((1, 64), 0.5, 'float32')\n"
        "print(float(keras.ops.sum(model(x) ** 2)))"
    )
    printed = run_python("-c", code).stdout.split()[-1]
    expected = float(ops.sum(trainer.model(x) ** 2))
    assert float(printed) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_sample_and_class_weights(digits):
    """Examples of weight zero train nothing; as if they were not there."""
    x, y = part(digits[0], 64)

    def weights_after(**options):
        trainer = make_trainer(FGSM(0.1), optimizer=keras.optimizers.SGD(0.1))
        trainer.fit(x, y, batch_size=64, verbose=0, shuffle=False, **options)
        return trainer.model.get_weights()[0]

    keep = (y < 5).astype("float32")
    by_sample = weights_after(sample_weight=keep)
    by_class = weights_after(class_weight={k: float(k < 5) for k in range(10)})
    np.testing.assert_allclose(by_sample, by_class, atol=1e-7)
    assert np.abs(by_sample - weights_after()).max() > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy, digits):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        trainer = make_trainer(PGD(0.1, steps=3), optimizer=keras.optimizers.Adam(3e-3))
        scales = isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
        logs = trainer.fit(*part(digits[0], 512), epochs=6, verbose=0).history
    finally:
        keras.config.set_dtype_policy(before)
    assert scales == (policy == "mixed_float16")
    assert logs["accuracy"][-1] > 0.6
    assert logs["robust_accuracy"][-1] < logs["accuracy"][-1]


@pytest.mark.slow
def test_gradient_accumulation_and_xla(digits, jit_compile):
    model = make_model()
    trainer = AdversarialTrainer(model, PGD(0.1, steps=2))
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    trainer.compile(optimizer, cross_entropy(), jit_compile=jit_compile)
    before = model.get_weights()[0]
    data = part(digits[0], 96)
    trainer.fit(*data, batch_size=32, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    trainer.fit(*data, batch_size=32, verbose=0)
    assert (model.get_weights()[0] != before).any()


@pytest.mark.slow
def test_softmax_heads_datasets_and_one_hot_labels(digits):
    x, y = part(digits[0], 128)
    model = make_model()
    model = keras.Model(model.input, keras.layers.Softmax()(model.output))
    trainer = AdversarialTrainer(model, PGD(0.1, steps=2), "trades")
    trainer.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    data = datasets.from_arrays((x, y), batch_size=32, validation=0.25)
    batches = [(x, np.eye(10)[y]) for x, y in data.validation]
    logs = trainer.fit(x, np.eye(10)[y], epochs=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert trainer.evaluate(*batches[0], verbose=0, return_dict=True)["robust_loss"] > 0


@pytest.mark.slow
def test_the_attack_leaves_no_trace_in_the_model(digits):
    """Batch statistics after a step are those of the adversarial batch alone."""
    x, y = part(digits[0], 64)
    model = make_model(normalization="batch")
    reference = make_model(normalization="batch")
    attack = FGSM(0.1)
    adversarial = attack.perturb(
        lambda x: model(x, training=False),
        ops.convert_to_tensor(x),
        attack.objective(None, None, ops.convert_to_tensor(y)),
    )
    reference(adversarial, training=True)
    trainer = make_trainer(attack, model, optimizer=keras.optimizers.SGD(0.0))
    trainer.fit(x, y, batch_size=64, shuffle=False, verbose=0)
    for weight, other in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6)


def guard(single_step=True):
    made = TrainingGuard(0, num_classes=10, single_step=single_step)
    made.on_train_begin()
    return made


def test_catastrophic_overfitting_is_named():
    watch = guard()
    watch.on_epoch_end(0, {"accuracy": 0.9, "val_robust_accuracy": 0.7})
    with pytest.warns(UserWarning, match="from 0.700 to 0.100: catastrophic overfit"):
        watch.on_epoch_end(1, {"accuracy": 0.9, "val_robust_accuracy": 0.1})
    watch.on_epoch_end(2, {"accuracy": 0.9, "val_robust_accuracy": 0.1})  # once
    guard(single_step=False).on_epoch_end(1, {"val_robust_accuracy": 0.1})


def test_a_fall_to_chance_is_named():
    watch = guard()
    watch.on_epoch_end(0, {"accuracy": 0.09})  # it has just begun
    watch.on_epoch_end(1, {"accuracy": 0.8})
    with pytest.warns(UserWarning, match="Epoch 3.*0.100, that of guessing one of 10"):
        watch.on_epoch_end(2, {"accuracy": 0.1})


def test_a_training_that_stays_at_chance_is_named(digits):
    trainer = make_trainer(PGD(1.0, steps=2), optimizer=keras.optimizers.SGD(0.0))
    trainer.model.set_weights([0 * weight for weight in trainer.model.get_weights()])
    with pytest.warns(UserWarning, match="Epoch 5.*has collapsed"):
        trainer.fit(*part(digits[0], 256), epochs=5, verbose=0)


def test_a_single_step_is_validated_by_many():
    attack = FGSM(0.1, random_start=True, norm="l2")
    trainer = AdversarialTrainer(make_model(), attack)
    validation = trainer._attack_of_validation()
    assert (validation.steps, validation.norm, validation.epsilon) == (10, "l2", 0.1)
    many = PGD(0.1, steps=3)
    assert AdversarialTrainer(make_model(), many)._attack_of_validation() is many


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attack": 0.1}, "`attack`. Expected an attack that is not targeted"),
        (
            {"attack": PGD(0.1, targeted=True)},
            "`attack`. Expected an attack that",
        ),
        ({"attack": PGD(0.1, mask=[True] * 3)}, "`mask`.*the shape of an example"),
        ({"validation_attack": "pgd"}, "`validation_attack`. Expected an attack"),
        ({"objective": "madry"}, "`objective`. Expected one of 'standard', 'trades'"),
        (
            {"objective": "trades", "attack": FGSM(0.1)},
            "`attack`. Expected an attack with a random start.*\nAt the input itself",
        ),
        (
            {"objective": "trades", "clean_weight": 0.5},
            "`clean_weight`. Expected 0 with TRADES",
        ),
        ({"clean_weight": 1.0}, r"`clean_weight`. Expected a float in \[0, 1\)"),
        ({"objective": "trades", "beta": 0}, "`beta`. Expected a number > 0"),
        ({"beta": 6.0}, "`beta`. Expected None with the standard objective"),
        ({"warmup_epochs": -1}, "`warmup_epochs`. Expected an integer >= 0"),
        ({"clean_metrics": None}, "`clean_metrics`. Expected one of True, False"),
        ({"model": "mlp"}, "`model`. Expected a keras.Model that is built"),
    ],
)
def test_wrong_arguments(options, message):
    arguments = {"model": make_model(), "attack": PGD(0.1, steps=2), **options}
    with pytest.raises(ValueError, match=message):
        AdversarialTrainer(**arguments)


def test_swapped_arguments():
    with pytest.raises(ValueError, match=r"\(model, attack\)"):
        AdversarialTrainer(PGD(0.1), make_model())


def test_fit_and_evaluate_before_compile():
    trainer, x = AdversarialTrainer(make_model(), PGD(0.1)), np.zeros((2, *SHAPE))
    for method in ("fit", "evaluate"):
        with pytest.raises(ValueError, match=f"call to `compile` before `{method}`"):
            getattr(trainer, method)(x, np.zeros(2))


def test_a_loss_that_contradicts_the_head():
    trainer = AdversarialTrainer(make_model(), PGD(0.1))
    with pytest.raises(ValueError, match="`loss`. Expected.*from_logits=True, since"):
        trainer.compile("sgd", "sparse_categorical_crossentropy")


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("loss", "outputs", "name"),
    [
        ("categorical_crossentropy", 3, "CategoricalCrossentropy"),
        (keras.losses.SparseCategoricalCrossentropy(), 3, None),
        ("crossentropy", 3, "SparseCategoricalCrossentropy"),
        (keras.losses.BinaryFocalCrossentropy(), 1, "BinaryFocalCrossentropy"),
        ("kl_divergence", 3, "SparseCategoricalCrossentropy"),
    ],
)
def test_the_error_about_a_loss_has_the_line_to_paste(loss, outputs, name):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(outputs)(inputs))
    trainer = AdversarialTrainer(model, PGD(0.1))
    with pytest.raises(ValueError, match="from_logits=True") as error:
        trainer.compile("sgd", loss)
    line = str(error.value).partition("Use: ")[2]
    assert (name or "SparseCategoricalCrossentropy") + "(" in line
    eval(f"trainer.{line}")  # the new loss raises no error


@pytest.mark.heavy
def test_inputs_outside_of_the_bounds(digits):
    x, y = part(digits[0], 64)
    trainer = make_trainer(PGD(0.1, steps=2))
    with pytest.raises(ValueError, match="`x`. Expected values within.*from 0 to 16"):
        trainer.fit(16 * x, y, verbose=0)
    with pytest.raises(ValueError, match="`y`. Expected 64 classes.*to 14"):
        trainer.fit(x, y + 5, verbose=0)
    with pytest.raises(ValueError, match="`x`. Expected finite numbers"):
        trainer.fit(x, y, validation_data=(x * np.nan, y), verbose=0)
    assert trainer.optimizer.iterations == 0
    batches = datasets.from_arrays((16 * x, y), batch_size=32).train
    with pytest.raises(ValueError, match=r"`x`. Expected values within.* to 16"):
        trainer.fit(batches, shuffle=False, verbose=0)
