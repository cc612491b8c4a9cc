import keras
import numpy as np
import pytest

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("units", "activation", "loss", "metric", "y", "expected"),
    [
        (1, None, "mse", "accuracy", "real", ["unfit_metric"]),
        (1, None, "mse", "mae", "real", []),
        (1, None, "mse", "accuracy", "ages", ["unfit_metric"]),
        (1, None, "mse", "accuracy", "ids", ["unfit_metric"]),
        (1, None, "mse", "accuracy", "binary", []),
        (1, "sigmoid", "bce", "accuracy", "binary", []),
        (1, "sigmoid", "bce", "categorical_accuracy", "binary", ["unfit_metric"]),
        (3, "softmax", SPARSE, "accuracy", "ids", []),
        (3, "softmax", SPARSE, "categorical_accuracy", "ids", ["unfit_metric"]),
        (3, "softmax", "categorical_crossentropy", "categorical_accuracy", "hot", []),
        (
            *(3, "softmax", "categorical_crossentropy"),
            *("sparse_categorical_accuracy", "hot", ["unfit_metric"]),
        ),
        (3, "softmax", SPARSE, "sparse_categorical_accuracy", "ids", []),
        (
            *(3, "softmax", "categorical_crossentropy", "binary_accuracy", "hot"),
            ["unfit_metric"],
        ),
    ],
)
def test_metrics(
    compiled, dense, found, table, units, activation, loss, metric, y, expected
):
    x, ids = table
    y = {
        "real": x[:, 0],
        "binary": (x[:, 0] > 0) * 1,
        "ids": ids,
        "ages": np.arange(200) % 70,
        "hot": np.eye(3)[ids],
    }[y]
    model = compiled(dense(), dense(units, activation), loss=loss, metrics=[metric])
    assert [one for one, _ in found(model, x, y)] == expected


def test_an_accuracy_may_belong_to_another_output(found, table):
    x, ids = table
    inp = keras.Input((4,))
    ends = {
        "ids": keras.layers.Dense(3, "softmax", name="ids")(inp),
        "real": keras.layers.Dense(1, name="real")(inp),
    }
    model = keras.Model(inp, ends)
    metrics = {"ids": ["accuracy"], "real": ["mae"]}
    model.compile("adam", {"ids": SPARSE, "real": "mse"}, metrics=metrics)
    assert found(model, x, {"ids": ids, "real": x[:, 0]}, hints=True) == []


def test_less_certain_problems_are_hints(compiled, dense, found, table):
    x, ids = table
    model = compiled(dense(), dense(3, "sigmoid"), loss="bce", metrics=["accuracy"])
    several = (x[:, :3] > 0) * 1
    assert ("unfit_metric", "hint") in found(model, x, several, hints=True)
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", metrics=["accuracy"])
    rare = (np.arange(200) < 4) * 1
    assert ("unfit_metric", "hint") in found(model, x, rare, hints=True)
    assert found(model, x, (ids == 0) * 1, hints=True) == []
