"""Messages about invalid arguments are short, and name the likely value."""

import keras
import numpy as np
import pytest

from callbacks import ActivationHistograms, EarlyStopping
from tuning import MLPSpace
from zoo import mlp
from zoo.adversarial import PGD, evaluate_robustness
from zoo.datasets import from_arrays
from zoo.gradient_check import check_gradients
from zoo.utils.arguments import check_choice, describe

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "0.5"),
        ("relu", "'relu'"),
        ((3, None), "(3, None)"),
        (np.float32(2), "np.float32(2.0)"),
        (np.zeros((200, 4), "float32"), "<ndarray of shape (200, 4), dtype float32>"),
        (keras.Input((3,)), "<KerasTensor of shape (None, 3), dtype float32>"),
        (list(range(1000)), "<list of 1000> [0, 1, 2,"),
        (
            (np.zeros((9, 4)), np.arange(9)),
            "<tuple of 2> (<ndarray of shape (9, 4), dtype float64>, <ndarray of shape",
        ),
        ([np.zeros(3)] * 50, "<list of 50> (<ndarray of shape (3,), dtype float64>, "),
    ],
)
def test_received_values_are_described_in_a_few_words(value, expected):
    assert describe(value).startswith(expected)
    assert len(describe(value)) < 250


@pytest.mark.parametrize(
    ("value", "choices", "fix"),
    [
        ("TRADES", ("standard", "trades"), "Did you mean 'trades'?"),
        ("inf", ("linf", "l2"), "Did you mean 'linf'?"),
        (2, ("linf", "l2"), "Did you mean 'l2'?"),
        ("acc", ("loss", "accuracy"), "Did you mean 'accuracy'?"),
        ("val_acc", ("val_loss", "val_accuracy"), "Did you mean 'val_accuracy'?"),
        ("fastest", ("mean", "last"), None),
        (2, (0, 1), None),
        (None, (False, True), None),
    ],
)
def test_the_closest_choice_is_named(value, choices, fix):
    with pytest.raises(ValueError, match="Expected one of") as error:
        check_choice("name", value, choices)
    assert str(error.value).partition("\n")[2] == (fix or "")


def test_the_closest_activation_is_named():
    with pytest.raises(ValueError, match=r"'rellu'\nDid you mean 'relu'\?"):
        mlp((4,), 2, activation="rellu")


def test_a_method_in_place_of_a_layer_is_named():
    x = np.random.default_rng(0).random((20, 4))
    data = from_arrays((x, np.arange(20) % 2))
    with pytest.raises(ValueError, match=r"Call the method: `normalization\(\)`"):
        mlp(data.input_shape, 2, preprocessing=data.normalization)


def test_the_path_of_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"There is no file '{tmp_path}/mine.npz'"):
        from_arrays(tmp_path / "mine.npz")


X, Y = np.random.default_rng(0).random((20, 4)), np.arange(20) % 2
DATA = from_arrays((X, Y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: MLPSpace(X), r"`data`.*`load\(...\)` or `from_arrays"),
        (lambda model: MLPSpace((X, Y)), r"data=<tuple of 2> \(<ndarray of shape"),
        (
            lambda model: evaluate_robustness(model, X, 0.1),
            r"`data`.*\n.*Pass `\(x, y\)`",
        ),
        (
            lambda model: evaluate_robustness(model, (X, Y), np.eye(2)[Y]),
            "a number or sever",
        ),
        (
            lambda model: check_gradients(model, DATA.train),
            "`x` and `y`",
        ),
        (
            lambda model: ActivationHistograms(DATA.train),
            "Use a batch of",
        ),
        (lambda model: PGD(0.1, norm=np.inf), "Did you mean 'linf'?"),
    ],
)
def test_no_array_is_printed(call, message):
    model = mlp((4,), 2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match=message) as error:
        call(model)
    assert len(str(error.value)) < 450
    assert "[[" not in str(error.value)
    assert "array(" not in str(error.value)


def test_the_closest_metric_of_a_monitor_is_named():
    model = mlp((4,), 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    stopping = EarlyStopping("val_acc")
    with pytest.raises(ValueError, match=r"'val_acc'\nDid you mean 'val_accuracy'\?"):
        model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[stopping])
