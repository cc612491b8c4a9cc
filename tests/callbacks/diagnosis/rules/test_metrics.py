import numpy as np
import pytest

SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("units", "activation", "loss", "metric", "y", "expected"),
    [
        (1, None, "mse", "accuracy", "real", ["unfit_metric"]),
        (1, None, "mse", "mae", "real", []),
        (1, None, "mse", "accuracy", "binary", []),
        (1, "sigmoid", "bce", "accuracy", "binary", []),
        (1, "sigmoid", "bce", "categorical_accuracy", "binary", ["unfit_metric"]),
        (3, "softmax", SPARSE, "accuracy", "ids", []),
        (3, "softmax", SPARSE, "categorical_accuracy", "ids", ["unfit_metric"]),
        (3, "softmax", "categorical_crossentropy", "categorical_accuracy", "hot", []),
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
        "hot": np.eye(3)[ids],
    }[y]
    model = compiled(dense(), dense(units, activation), loss=loss, metrics=[metric])
    assert [one for one, _ in found(model, x, y)] == expected
