"""Data and models in the forms that Keras takes, in training and evaluation."""

import keras
import numpy as np
import pytest

from zoo.adversarial import FGSM, PGD, AdversarialTrainer, evaluate_robustness

ops = keras.ops
L = keras.layers
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SHAPE = (6,)


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def linear(outputs=2):
    model = keras.Sequential([keras.Input(SHAPE), L.Dense(outputs)])
    generator = np.random.default_rng(1)
    weights = generator.normal(size=(6, outputs))
    model.set_weights([weights, -weights.sum(axis=0) / 2])
    return model


def columns(dtype="int64", high=1):
    """Columns of 0 and `high`, and the classes that `linear()` gives them."""
    x = np.random.default_rng(0).integers(0, 2, (48, 6))
    y = to_numpy(linear()(x.astype("float32"))).argmax(axis=1)
    return (high * x).astype(dtype), y


def robust_share(x, y, epsilon):
    """The closed form for a linear model, of inputs at a corner of the box."""
    kernel, bias = (weight.astype("float64") for weight in linear().get_weights())
    w, b = kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]
    towards_zero = np.where(y == 1, -1, 1)[:, None] * np.sign(w)
    inside = np.where(x == 1, towards_zero < 0, towards_zero > 0)
    margin = np.abs(x @ w + b)
    return (margin > epsilon * (np.abs(w) * inside).sum(axis=1)).mean()


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(16 * index, 16 * index + 16)
        return keras.tree.map_structure(lambda values: values[part], (self.x, self.y))


def make_trainer(
    model=None, attack=None, loss=SPARSE, metrics=("accuracy",), **options
):
    attack = attack or PGD(0.2, steps=4, random_start=False)
    trainer = AdversarialTrainer(model or linear(), attack, **options)
    trainer.compile(keras.optimizers.SGD(0.0), loss, metrics=list(metrics))
    return trainer


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("dtype", "as_batches"),
    [
        ("int64", False),
        ("uint8", True),
        ("bool", False),
        ("float16", True),
        ("float64", True),
        ("int8", True),
    ],
)
def test_adversarial_inputs_are_floats_whatever_the_data_are(dtype, as_batches):
    """In training, validation and `evaluate`: the robust accuracy of a linear model."""
    x, y = columns(dtype)
    expected = robust_share(x.astype("float64"), y, 0.2)
    assert 0.1 < expected < 0.9
    trainer = make_trainer()
    data = (Batches(x, y),) if as_batches else (x, y)
    validation = Batches(x, y) if as_batches else (x, y)
    found = trainer.evaluate(*data, verbose=0, return_dict=True)
    assert found["robust_accuracy"] == pytest.approx(expected)
    if dtype in ("int64", "uint8"):
        options = {"batch_size": None if as_batches else 16, "verbose": 0}
        logs = trainer.fit(*data, validation_data=validation, **options).history
        assert logs["robust_accuracy"] == pytest.approx([expected])
        assert logs["val_robust_accuracy"] == pytest.approx([expected])


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float16", "float64", "bool"])
def test_perturbations_have_their_full_size(dtype):
    x = ops.convert_to_tensor(columns(dtype)[0][:4])
    attack = FGSM(0.01)
    found = attack.perturb(linear(), x, lambda logits: logits[:, 0])
    assert keras.backend.is_float_dtype(keras.backend.standardize_dtype(found.dtype))
    delta = to_numpy(found).astype("float64") - to_numpy(x).astype("float64")
    inside = np.abs(delta) > 0
    assert inside.any()
    np.testing.assert_allclose(np.abs(delta)[inside], 0.01, rtol=1e-5)


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_models_that_take_integers_are_attacked_in_floats(dtype):
    high = 1 if dtype == "bool" else 255
    x, y = columns(dtype, high)
    inputs = keras.Input(SHAPE, dtype=dtype)
    if dtype == "bool":
        model = keras.Model(inputs, linear()(ops.cast(inputs, "float32")))
    else:
        model = keras.Model(inputs, linear()(L.Rescaling(1 / high)(inputs)))
    attack = PGD(0.2 * high, steps=4, random_start=False, bounds=(0, high))
    expected = robust_share(columns()[0], y, 0.2)
    trainer = make_trainer(model, attack)
    found = trainer.evaluate(x, y, verbose=0, return_dict=True)
    assert (found["accuracy"], found["robust_accuracy"]) == pytest.approx((1, expected))
    trainer.fit(x, y, verbose=0)
    adversarial = attack(model, x, y)
    predicted = to_numpy(linear()(adversarial / high)).argmax(axis=1)
    assert (predicted == y).mean() == pytest.approx(expected)


def test_one_example_as_a_list_of_numbers():
    model = linear()
    x, y = columns()
    one, label = x[:1].tolist(), y[:1].tolist()
    np.testing.assert_array_equal(
        FGSM(0.1)(model, one, label), FGSM(0.1)(model, x[:1], y[:1])
    )


def dict_model():
    inputs = keras.Input(SHAPE, name="table")
    return keras.Model({"table": inputs}, {"label": linear()(inputs)})


def list_model():
    inputs = keras.Input(SHAPE)
    return keras.Model([inputs], [linear()(inputs)])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = linear()

    def call(self, x):
        return {"label": ops.softmax(self.inner(x))}


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 6), "float32"))
    return model


@pytest.mark.heavy
@pytest.mark.parametrize("make", [dict_model, list_model, subclassed])
def test_models_of_one_entry(make):
    x, y = columns("float32")
    model, expected = make(), robust_share(columns()[0], y, 0.2)
    inputs = {"table": x} if make is dict_model else x
    labels = y if make is list_model else {"label": y}
    loss = "sparse_categorical_crossentropy" if make is subclassed else SPARSE
    trainer = make_trainer(model, loss=loss)
    found = trainer.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert found["robust_accuracy"] == pytest.approx(expected)
    logs = trainer.fit(inputs, labels, verbose=0, batch_size=48).history
    assert logs["robust_accuracy"] == pytest.approx([expected])
    adversarial = trainer.attack(model, inputs, labels)
    predicted = to_numpy(linear()(adversarial)).argmax(axis=1)
    assert (predicted == y).mean() == pytest.approx(expected)


@pytest.mark.parametrize("head", ["linear", "sigmoid", "hidden"])
def test_a_single_output_is_attacked_at_the_threshold_of_its_loss(head):
    """Class 0 too: where it is read as logits, no attack on class 0 begins."""
    generator = np.random.default_rng(0)
    x = generator.random((64, 6), dtype="float32")
    w = generator.normal(size=6)
    y = (x @ w > w.sum() / 2).astype(int)
    scale, shift = (1, 0.5) if head == "linear" else (4, 0)
    dense = L.Dense(1)
    model = keras.Sequential([keras.Input(SHAPE), dense])
    dense.set_weights([scale * w[:, None], np.array([shift - scale * w.sum() / 2])])
    loss = "mse" if head == "linear" else keras.losses.binary_crossentropy
    if head == "sigmoid":
        model.add(L.Activation("sigmoid"))
    elif head == "hidden":
        model.add(L.Lambda(lambda z: 1 / (1 + ops.exp(-z))))
    attack = PGD(0.05, steps=4, random_start=False, bounds=(-1, 2))
    trainer = make_trainer(model, attack, loss)
    found = trainer.evaluate(x, y, verbose=0, return_dict=True)
    margin = np.abs(x @ w - w.sum() / 2)
    expected = (margin > 0.05 * np.abs(w).sum()).mean()
    assert found["accuracy"] == 1
    assert found["robust_accuracy"] == pytest.approx(expected, abs=1 / 64)


def test_an_accuracy_with_another_threshold_than_the_loss():
    trainer = AdversarialTrainer(linear(1), PGD(0.1, steps=2))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    with pytest.warns(UserWarning, match="threshold of 0.5, but.*above 0"):
        trainer.compile("sgd", loss, metrics=["accuracy"])
    metric = keras.metrics.BinaryAccuracy(threshold=0)
    trainer.compile("sgd", loss, metrics=[metric])


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.sparse_categorical_crossentropy,
        ["sparse_categorical_crossentropy"],
        "kl_divergence",
    ],
)
@pytest.mark.parametrize("is_visible", [True, False])
def test_a_loss_of_probabilities_against_logits(loss, is_visible):
    model = linear(3)
    if not is_visible:
        model.add(L.Lambda(lambda z: z))
    trainer = AdversarialTrainer(model, PGD(0.1, steps=2))
    with pytest.raises(ValueError, match="`loss`.*from_logits=True, since"):
        trainer.compile("sgd", loss)


LABELS = {
    "several at once": (3, np.eye(3)[[0, 1, 2]] + np.eye(3)[[1, 2, 1]], "not one-hot"),
    "targets": (1, np.array([0.0, 0.4, 1.0]), "not whole"),
    "shares": (3, np.full((3, 3), 1 / 3), "not whole"),
    "too many": (3, np.array([0, 1, 3]), "from 0 to 3"),
    "negative": (3, np.array([0, -1, 1]), "from -1 to 1"),
    "NaN": (1, np.array([0, np.nan, 1.0]), "not whole"),
    "signed": (1, np.array([-1, 1, 1]), "from -1 to 1"),
}


def mean_output(y, outputs):
    """A loss that takes any labels."""
    return ops.mean(outputs, axis=-1)


def wrong_labels(name):
    """A trainer, batches with wrong labels, batches with right ones, and the error."""
    outputs, y, message = LABELS[name]
    y = np.tile(y, (16, 1)) if y.ndim == 2 else np.tile(y, 16)
    x = columns("float32")[0]
    trainer = make_trainer(linear(outputs), loss=mean_output, metrics=())
    right = np.eye(3)[np.zeros(48, int)] if outputs == 3 else np.zeros(48, int)
    error = f"`y`. Expected classes.*{message}"
    return trainer, Batches(x, y), Batches(x, right), error


@pytest.mark.heavy
@pytest.mark.parametrize("name", LABELS)
def test_labels_of_datasets_in_evaluate(name):
    trainer, wrong, _, error = wrong_labels(name)
    with pytest.raises(ValueError, match=error):
        trainer.evaluate(wrong, verbose=0)


@pytest.mark.parametrize("name", ["several at once", "targets"])
def test_labels_of_datasets_in_training(name):
    trainer, wrong, right, error = wrong_labels(name)
    with pytest.raises(ValueError, match=error):
        trainer.fit(wrong, verbose=0)
    assert int(trainer.optimizer.iterations) == 1  # after the first batch
    with pytest.raises(ValueError, match=error):
        trainer.fit(right, validation_data=wrong, verbose=0)


def test_targets_of_a_regression_in_a_dataset_are_refused():
    x, _ = columns("float32")
    trainer = make_trainer(linear(1), loss="mse", metrics=())
    with pytest.raises(ValueError, match="`y`. Expected classes.*not whole"):
        trainer.fit(Batches(x, x.mean(axis=1)), verbose=0)


@pytest.mark.heavy
def test_inputs_of_evaluate_and_validation_outside_of_the_bounds():
    x, y = columns("float32")
    trainer = make_trainer()
    with pytest.raises(ValueError, match="`x`. Expected values within.*from 0 to 255"):
        trainer.evaluate(255 * x, y, verbose=0)
    with pytest.raises(ValueError, match="`x`. Expected values within.*from 0 to 255"):
        trainer.evaluate(Batches(255 * x, y), verbose=0)
    validation = Batches(255 * x, y)
    with pytest.raises(ValueError, match="`x`. Expected values within.*from 0 to 255"):
        trainer.fit(x, y, validation_data=validation, verbose=0)
    trainer.evaluate(Batches(x, y), verbose=0)  # what was wrong is forgotten


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: y.astype(bool),
        lambda y: y.astype("float32")[:, None],
        lambda y: np.eye(2)[y],
    ],
)
def test_labels_of_every_form(labels):
    x, y = columns("float32")
    trainer = make_trainer(metrics=())
    robust = trainer.attack(trainer.model, x, y)
    np.testing.assert_array_equal(trainer.attack(trainer.model, x, labels(y)), robust)


@pytest.mark.heavy
def test_one_against_the_rest():
    x, y = columns("float32")
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, L.Activation("sigmoid")(linear()(inputs)))
    model.compile("sgd", "binary_crossentropy", metrics=["binary_accuracy"])
    options = {"steps": 4, "restarts": 1, "verbose": 0}
    report = evaluate_robustness(model, (x, np.eye(2)[y]), 0.2, **options)
    assert report.clean_accuracy == 1
    assert report.robust_accuracy[0.2] == pytest.approx(
        robust_share(columns()[0], y, 0.2)
    )
