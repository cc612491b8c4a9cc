"""Certificates as a user asks for them: reports, models, errors."""

import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import PGD, AdversarialTrainer, certify


def drawn(model):
    """Draws biases too, which start at zero."""
    for variable in model.weights:
        variable.assign(variable + 0.1 * keras.random.normal(variable.shape, seed=1))
    return model


@pytest.mark.usefixtures("eager")
def test_a_report_says_what_was_proved(trained, digits):
    x, y = (part[:60] for part in digits[1])
    report = certify(trained, (x, y), (0.05, 0.0, 0.02), verbose=0)
    assert list(report.certified_accuracy) == [0.0, 0.02, 0.05]
    accuracies = list(report.certified_accuracy.values())
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] == report.clean_accuracy
    frame = report.to_frame()
    assert frame["certified"].tolist() == [r.sum() for r in report.certified.values()]
    assert f"{100 * accuracies[-1]:.2f}" in str(report)
    assert len(report.plot().axes) == 1
    assert np.isinf(report.margins[0.02][range(60), y]).all()


@pytest.mark.heavy
def test_batches_change_nothing(trained, digits):
    x, y = (part[:50] for part in digits[1])
    batches = [(x[:30], y[:30]), (x[30:], y[30:])]
    reports = [
        certify(trained, data, 0.03, batch_size=size, verbose=0)
        for data, size in (((x, y), 256), (batches, 17))
    ]
    first, second = (report.margins[0.03] for report in reports)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_units_that_are_always_off_add_no_rounding_errors():
    """Such a unit outputs 0, however large its inputs and the weights behind it are."""
    model = mlp((1,), 2, units=(2,))
    kernel = np.array([[1.0, 0.0], [1e6, -1e6]])
    model.set_weights(
        [np.array([[1.0, 1e3]]), np.array([0.0, -1e5]), kernel, np.zeros(2)]
    )
    x, y = np.array([[0.5]]), np.array([0])
    report = certify(model, (x, y), 0.1, method="ibp", verbose=0)
    np.testing.assert_allclose(report.margins[0.1][0, 1], 0.4, rtol=1e-5)
    assert report.certified_accuracy[0.1] == 1.0


@pytest.mark.parametrize("method", ["ibp", "crown"])
def test_clipped_values_have_exact_intervals(method):
    layers = [keras.layers.Rescaling(4.0, offset=-1.5), keras.layers.ReLU(max_value=1)]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(2)])
    model.layers[-1].set_weights([np.eye(2), np.zeros(2)])
    x = np.random.default_rng(0).random((20, 2)).astype("float32")
    report = certify(model, (x, np.zeros(20, int)), 0.1, method=method, verbose=0)
    lower, upper = (
        np.clip(4 * np.clip(x + sign * 0.1, 0, 1) - 1.5, 0, 1) for sign in (-1, 1)
    )
    expected = lower[:, 0] - upper[:, 1]
    np.testing.assert_allclose(report.margins[0.1][:, 1], expected, atol=1e-5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_final_activation_is_left_out(activation):
    units = 3 if activation == "softmax" else 1
    logits = mlp((4,), units, units=(6,))
    drawn(logits)
    outputs = keras.layers.Activation(activation)(logits.output)
    x = np.random.default_rng(1).random((8, 4)).astype("float32")
    y = np.arange(8) % 2
    first, second = (
        certify(model, (x, y), 0.05, verbose=0).margins[0.05]
        for model in (logits, keras.Model(logits.input, outputs))
    )
    assert first.shape == (8, max(units, 2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("norm", "change"), [("linf", 0.25), ("l2", 0.25)])
def test_features_outside_of_the_mask_do_not_change(norm, change):
    model = mlp((3,), 2, units=())
    kernel = np.float32([[1.0, -1.0], [5.0, -5.0], [7.0, -7.0]])
    model.set_weights([kernel, np.zeros(2, "float32")])
    data = np.full((1, 3), 0.5), np.array([0])
    mask = [True, False, False]
    report = certify(model, data, 0.125, norm, mask=mask, verbose=0)
    np.testing.assert_allclose(report.margins[0.125][0, 1], 13 - change, atol=1e-4)
    with pytest.raises(ValueError, match="`mask`"):
        certify(model, data, 0.125, mask=[True, False], verbose=0)


def test_one_output_is_the_logit_of_class_1():
    model = mlp((2,), 1, units=())
    model.set_weights([np.float32([[1], [-1]]), np.float32([0.5])])
    x = np.float32([[0.5, 0.25]])
    for label, sign in ((1, 1), (0, -1)):
        report = certify(model, (x, np.array([label])), 0.125, verbose=0)
        margin = report.margins[0.125][0, 1 - label]
        np.testing.assert_allclose(margin, sign * 0.75 - 0.25, atol=1e-6)


def test_new_weights_are_read(trained, digits):
    x, y = (part[:20] for part in digits[1])
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    before = certify(model, (x, y), 0.02, verbose=0)
    model.set_weights([0.5 * value for value in model.get_weights()])
    after = certify(model, (x, y), 0.02, verbose=0)
    finite = np.isfinite(before.margins[0.02])
    change = before.margins[0.02][finite] - after.margins[0.02][finite]
    assert np.abs(change).max() > 0.1


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.Conv1D(2, 1, name="blamed"),
        lambda: keras.layers.LayerNormalization(name="blamed"),
        lambda: keras.layers.Dense(3, activation="gelu", name="blamed"),
        lambda: keras.layers.LeakyReLU(negative_slope=1.5, name="blamed"),
        lambda: keras.layers.Softmax(name="blamed"),
        lambda: keras.layers.ReLU(threshold=0.5, name="blamed"),
        lambda: keras.layers.Activation("relu", dtype="mixed_float16", name="blamed"),
        lambda: keras.layers.Flatten(data_format="channels_first", name="blamed"),
    ],
)
def test_an_unknown_layer_is_named(layer):
    layer = layer()
    takes_rows = isinstance(layer, keras.layers.Conv1D | keras.layers.Flatten)
    shape = (4, 2) if takes_rows else (4,)
    model = keras.Sequential(
        [keras.Input(shape), layer, keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    data = np.zeros((2, *shape), "float32"), np.array([0, 1])
    with pytest.raises(ValueError, match="layer 'blamed'") as error:
        certify(model, data, 0.1, verbose=0)
    assert "`model`" in str(error.value)


def test_a_layer_that_computes_something_else_is_found_out():
    class Doubled(keras.Model):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training=training)

    inputs = keras.Input((4,))
    model = Doubled(inputs, keras.layers.Dense(2)(inputs))
    # At these inputs both compute the same.
    data = np.zeros((2, 4), "float32"), np.array([0, 1])
    with pytest.raises(ValueError, match="follow from its layers"):
        certify(model, data, 0.1, verbose=0)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"norm": "l3"}, "norm"),
        ({"method": "fast"}, "method"),
        ({"bounds": (1, 0)}, "bounds"),
        ({"steps": 0}, "steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"verbose": 2}, "verbose"),
        ({"epsilons": -0.1}, "epsilons"),
        ({"epsilons": 1.5}, "epsilons"),
        ({"epsilons": "0.1"}, "epsilons"),
        ({"epsilons": 2.5, "norm": "l2"}, "epsilons"),
        ({"epsilons": 4.5, "norm": "l1"}, "epsilons"),
        ({"data": np.zeros((2, 4))}, "data"),
        ({"data": (np.full((2, 4), 2.0), np.array([0, 1]))}, "x"),
        ({"data": (np.zeros((2, 4)), np.array([0, 5]))}, "y"),
        ({"model": "mlp"}, "model"),
    ],
)
def test_bad_arguments_are_named(options, name):
    arguments = {
        "model": mlp((4,), 2, units=()),
        "data": (np.zeros((2, 4)), np.array([0, 1])),
        "epsilons": 0.1,
        "verbose": 0,
    }
    with pytest.raises(ValueError, match=f"`{name}`"):
        certify(**{**arguments, **options})


def test_weights_that_are_not_finite_are_refused():
    model = mlp((4,), 2, units=(3,))
    model.layers[-1].bias.assign([np.nan, 0])
    with pytest.raises(ValueError, match="finite|follow from its layers"):
        certify(model, (np.zeros((2, 4)), np.array([0, 1])), 0.1, verbose=0)


def test_a_trainer_stands_for_its_model():
    model = drawn(mlp((4,), 2, units=(3,)))
    data = np.full((2, 4), 0.5), np.array([0, 1])
    trainer = AdversarialTrainer(model, PGD(0.1))
    first, second = (
        certify(some, data, 0.1, verbose=0).margins[0.1] for some in (model, trainer)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("ending", "options", "threshold"),
    [
        (None, {"loss": "mse"}, 0.5),
        (None, {"loss": "hinge"}, 0.0),
        ("sigmoid", {"loss": "binary_crossentropy"}, 0.0),
        (
            "sigmoid",
            {
                "loss": "binary_crossentropy",
                "metrics": [keras.metrics.BinaryAccuracy(threshold=0.75)],
            },
            np.log(3),
        ),
    ],
)
def test_the_threshold_is_the_one_of_the_predictions(ending, options, threshold):
    """One input of weight 1: its distance to the threshold is the margin."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, ending)])
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    model.compile("sgd", **options)
    x = np.array([[threshold - 0.2], [threshold + 0.2]])
    data = x, np.array([0, 1])
    bounds = (-3.0, 3.0)
    report = certify(model, data, (0.1, 0.19, 0.21), bounds=bounds, verbose=0)
    assert report.certified_accuracy == {0.1: 1.0, 0.19: 1.0, 0.21: 0.0}
    margins = [report.margins[0.1][0, 1], report.margins[0.1][1, 0]]
    np.testing.assert_allclose(margins, 0.1, atol=1e-5)


@pytest.mark.usefixtures("eager")
def test_outputs_clipped_to_probabilities_are_read_as_they_are():
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1), keras.layers.ReLU(max_value=1.0)]
    )
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    data = np.array([[0.25], [0.75]]), np.array([0, 1])
    report = certify(model, data, (0.2, 0.3), verbose=0)
    assert report.certified_accuracy == {0.2: 1.0, 0.3: 0.0}
