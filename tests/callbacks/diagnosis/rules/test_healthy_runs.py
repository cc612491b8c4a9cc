"""Short training runs that end well, although single figures look like faults."""

import keras
import numpy as np
import pytest

from callbacks import Diagnosis

pytestmark = [pytest.mark.heavy, pytest.mark.one_backend]


def _noisy_clicks(rng):
    x = rng.normal(size=(4000, 8)).astype("float32")
    return x, (rng.random(4000) < 1 / (1 + np.exp(3 - 0.4 * x[:, 0]))).astype("int32")


def _rare_class(rng):
    x = rng.normal(size=(4000, 8)).astype("float32")
    return x, (x[:, 0] + 0.5 * rng.normal(size=4000) > 1.8).astype("int32")


@pytest.mark.parametrize(
    ("data", "optimizer", "options"),
    [
        (_noisy_clicks, "sgd", {"batch_size": 128, "epochs": 6}),
        (
            _rare_class,
            "adam",
            {
                "epochs": 6,
                "class_weight": {0: 0.5, 1: 10.0},
                "validation_split": 0.25,
            },
        ),
        (
            _rare_class,
            "adam",
            {
                "epochs": 100,
                "validation_split": 0.5,
                "callbacks": [
                    keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
                ],
            },
        ),
    ],
)
def test_healthy_runs_have_no_finding(data, optimizer, options):
    keras.utils.set_random_seed(0)
    x, y = data(np.random.default_rng(0))
    layers = [
        keras.Input((8,)),
        keras.layers.Dense(64, "relu"),
        keras.layers.Dense(1, "sigmoid"),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    diagnosis = Diagnosis(verbose=0, every=10)
    callbacks = [*options.get("callbacks", []), diagnosis]
    model.fit(x, y, verbose=0, **options | {"callbacks": callbacks})
    found = diagnosis.report.findings
    assert [one.cause for one in found if one.severity != "hint"] == []
