import gc
import weakref

import keras
import numpy as np
import pytest

from callbacks import Snapshots
from zoo import ensemble, mlp

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def classifiers(count=3, **settings):
    """Models of one name, far from their initial logits near zero."""
    models = [mlp((4,), 3, units=(8,), **settings) for _ in range(count)]
    for model in models:
        head = model.get_layer("head").kernel
        head.assign(20 * head)
    return models


def predict(model, x):
    return model.predict(x, verbose=0)


def test_the_average_is_the_mean_probability_as_logits():
    models, x = classifiers(), standard_normal(5, 4)
    expected = np.mean([softmax(predict(model, x)) for model in models], axis=0)
    model = ensemble.average(models)
    logits = predict(model, x)
    np.testing.assert_allclose(np.exp(logits), expected, rtol=1e-4, atol=1e-6)
    assert [member.name for member in models] == ["mlp"] * 3
    model.compile(loss=CROSS_ENTROPY)
    y = np.array([0, 1, 2, 0, 1])
    loss = -np.log(expected[np.arange(5), y]).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(loss, rel=1e-4)


def test_the_average_of_labels_of_their_own():
    models, x = classifiers(), standard_normal(5, 4)
    expected = np.mean([1 / (1 + np.exp(-predict(m, x))) for m in models], axis=0)
    logits = predict(ensemble.average(models, task="multi_label"), x)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_the_average_of_a_regression(count):
    models, x = classifiers(count), standard_normal(5, 4)
    expected = np.mean([predict(model, x) for model in models], axis=0)
    result = predict(ensemble.average(models, task="regression"), x)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.heavy
def test_an_average_predicts_the_same_bits_in_a_new_process(check_new_process):
    model = ensemble.average(classifiers(2, normalization="batch"))
    check_new_process(model, standard_normal(10, 4), imports="zoo")


def test_mixed_precision_ends_in_float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = ensemble.average(classifiers(2))
    finally:
        keras.config.set_dtype_policy(before)
    assert model.output.dtype == "float32"
    assert np.isfinite(predict(model, standard_normal(5, 4))).all()


def test_sequential_models_of_tokens():
    models = [
        keras.Sequential(
            [
                keras.Input((3,), dtype="int32"),
                keras.layers.Embedding(5, 2),
                keras.layers.Dense(5),
            ]
        )
        for _ in range(2)
    ]
    tokens = np.array([[0, 1, 4]])
    model = ensemble.average(models, task="language_model")
    expected = np.mean([softmax(predict(model, tokens)) for model in models], axis=0)
    np.testing.assert_allclose(np.exp(predict(model, tokens)), expected, rtol=1e-5)


def snapshots_of_a_training(folder):
    (model,) = classifiers(1, normalization="batch")
    model.compile("adam", CROSS_ENTROPY)
    snapshots = Snapshots(folder, every=1)
    x, y = standard_normal(24, 4), np.arange(24) % 3
    model.fit(x, y, epochs=3, verbose=0, callbacks=[snapshots])
    loaded = [keras.saving.load_model(path, compile=False) for path in snapshots.paths]
    return snapshots, loaded, x


@pytest.mark.heavy
def test_snapshots_are_averaged_as_predictions_and_as_weights(tmp_path):
    snapshots, loaded, x = snapshots_of_a_training(tmp_path)
    probabilities = np.mean([softmax(predict(model, x)) for model in loaded], axis=0)
    weights = [
        np.mean(values, axis=0)
        for values in zip(*(model.get_weights() for model in loaded), strict=True)
    ]
    for models in (str(tmp_path), tmp_path, snapshots.paths, loaded):
        result = ensemble.average_weights(models)
        for value, expected in zip(result.get_weights(), weights, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)
    result = np.exp(predict(ensemble.average(tmp_path), x))
    np.testing.assert_allclose(result, probabilities, rtol=1e-4)


@pytest.mark.heavy
def test_average_weights_holds_one_file_at_a_time(tmp_path, monkeypatch):
    snapshots, _, _ = snapshots_of_a_training(tmp_path)
    load_model, alive, counts = keras.saving.load_model, weakref.WeakSet(), []

    def watched(path, **options):
        gc.collect()
        model = load_model(path, **options)
        alive.add(model)
        counts.append(len(alive))
        return model

    monkeypatch.setattr(keras.saving, "load_model", watched)
    ensemble.average_weights(snapshots.paths)
    assert len(counts) == 3
    assert max(counts) == 2  # the one before lives until the next has come


def test_averaged_weights_leave_the_models_and_what_is_counted():
    one, other = (keras.layers.Normalization() for _ in range(2))
    one.adapt(np.array([[1.0], [3.0]]))
    other.adapt(np.array([[3.0], [5.0], [7.0]]))
    models = [mlp((1,), 1, units=(), preprocessing=layer) for layer in (one, other)]
    for model in models:
        model.get_layer("head").kernel.assign([[1.0]])
    result = ensemble.average_weights(models)
    mean, variance = (2 + 5) / 2, (1 + 8 / 3) / 2
    expected = (10 - mean) / np.sqrt(variance)
    assert predict(result, np.array([[10.0]]))[0, 0] == pytest.approx(expected)
    assert predict(models[0], np.array([[10.0]]))[0, 0] == pytest.approx(10 - 2)


@pytest.mark.parametrize("policy", [None, "LossScaleOptimizer"])
def test_moving_average_is_the_closed_form_and_leaves_the_model(policy):
    model = mlp((1,), 1, units=())
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.75)
    if policy:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
    model.compile(optimizer, "mse")
    x, y = np.ones((4, 1)), np.ones((4, 1))
    average = None
    for _ in range(4):
        model.train_on_batch(x, y)
        weights = model.get_weights()
        average = (
            weights
            if average is None
            else [
                0.75 * old + 0.25 * new
                for old, new in zip(average, weights, strict=True)
            ]
        )
    copy = ensemble.moving_average(model)
    for value, expected in zip(copy.get_weights(), average, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)
    for value, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_predicting_with_the_moving_average_leaves_the_weights():
    (model,) = classifiers(1)
    model.compile(keras.optimizers.Adam(use_ema=True), CROSS_ENTROPY)
    model.train_on_batch(standard_normal(8, 4), np.arange(8) % 3)
    model.train_on_batch(standard_normal(8, 4), np.arange(8) % 3)
    before = model.get_weights()
    predict(ensemble.moving_average(model), standard_normal(8, 4))
    for value, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("optimizer", [None, "sgd", keras.optimizers.SGD(use_ema=True)])
def test_no_moving_average(optimizer):
    (model,) = classifiers(1)
    if optimizer is not None:
        model.compile(optimizer, CROSS_ENTROPY)
    with pytest.raises(ValueError, match="`use_ema=True` and has made a step"):
        ensemble.moving_average(model)


def test_the_distillation_loss_is_the_closed_form():
    (teacher,), (student,) = classifiers(1), classifiers(1)
    x, y = standard_normal(6, 4), np.arange(6) % 3
    target, guess = (softmax(predict(model, x) / 4) for model in (teacher, student))
    divergence = 16 * (target * np.log(target / guess)).sum(axis=1).mean()
    own = -np.log(softmax(predict(student, x))[np.arange(6), y]).mean()
    model = ensemble.distiller(
        teacher, student, temperature=4, student_loss_weight=0.25
    )
    model.compile("sgd", CROSS_ENTROPY)
    loss = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(0.25 * own + 0.75 * divergence, rel=1e-4)


@pytest.mark.heavy
def test_a_student_learns_what_its_teacher_predicts(tmp_path):
    teacher, student = ensemble.average(classifiers(2)), mlp((4,), 3, units=(32,))
    x = standard_normal(256, 4)
    target, frozen = softmax(predict(teacher, x)), teacher.get_weights()

    def divergence():
        guess = softmax(predict(student, x))
        return (target * np.log(target / guess)).sum(axis=1).mean()

    before = divergence()
    model = ensemble.distiller(teacher, student, student_loss_weight=0.0)
    model.compile(keras.optimizers.Adam(0.02), CROSS_ENTROPY, metrics=["accuracy"])
    model.fit(x, np.zeros(256, "int32"), epochs=25, verbose=0)  # labels do not count
    assert divergence() < 0.3 * before
    for value, expected in zip(teacher.get_weights(), frozen, strict=True):
        np.testing.assert_array_equal(value, expected)
    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    np.testing.assert_array_equal(predict(loaded, x), predict(student, x))


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "`models`. Expected models or paths of `.keras` files, at least one"),
        ([1], "`models`. Expected models or paths"),
        (mlp((2,), 2), "`models`. Expected models or paths"),
        ("nowhere", "`models`. Expected a folder of `.keras` files.*'nowhere'"),
        (["nowhere.keras"], "Cannot load a model.*Received: 'nowhere.keras'"),
        ([mlp((2,), 2), mlp((3,), 2)], "one input shape, output shape and input"),
        ([mlp((2,), 2), mlp((2,), 3)], r"Received: models=\[\(\(None, 2\), \(None, 2"),
        ([keras.Sequential([keras.layers.Dense(1)])], "functional or sequential"),
        ([mlp((2,), 1)] * 2, r"a logit for each class.*\n.*`task='regression'`"),
    ],
)
def test_bad_models(models, message):
    with pytest.raises(ValueError, match=message):
        ensemble.average(models)


def test_one_output_cannot_be_distilled():
    models = {"teacher": mlp((2,), 1), "student": mlp((2,), 2)}
    with pytest.raises(ValueError, match="`teacher`. Expected models with a logit for"):
        ensemble.distiller(**models)
    with pytest.raises(ValueError, match="FeatureDistillation"):
        ensemble.distiller(**models)


def test_weights_of_other_shapes():
    models = [mlp((2,), 2, units=(units,)) for units in (3, 4)]
    with pytest.raises(ValueError, match="same layers.*\nThe weights of number 2"):
        ensemble.average_weights(models)


def test_quantized_weights_are_not_averaged():
    models = classifiers(2)
    for model in models:
        model.get_layer("head").quantize("int8")
    with pytest.raises(ValueError, match="`models`. Expected .* not quantized"):
        ensemble.average_weights(models)


def test_a_teacher_that_is_no_model():
    with pytest.raises(ValueError, match="`teacher`. Expected a keras.Model"):
        ensemble.distiller(3, mlp((2,), 2))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (ensemble.average, {"task": "ranking"}, "`task`. Expected one of"),
        (ensemble.distiller, {"temperature": 0}, "`temperature`. Expected a number >"),
        (ensemble.distiller, {"student_loss_weight": 1.0}, "`student_loss_weight`."),
    ],
)
def test_bad_arguments(function, arguments, message):
    models = classifiers(2)
    positional = [models] if function is ensemble.average else models
    with pytest.raises(ValueError, match=message):
        function(*positional, **arguments)
