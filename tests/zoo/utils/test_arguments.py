"""Messages about invalid arguments are short, and name the likely value."""

import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.datasets import from_arrays
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
