"""Models with nothing wrong, of which no warning may be given."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from zoo import mlp, res_mlp
from zoo.adversarial import PGD, AdversarialTrainer, evaluate_robustness

LOADERS = {"digits": load_digits, "wine": load_wine, "cancer": load_breast_cancer}
MODELS = {
    "linear": lambda shape, classes: mlp(shape, classes, units=()),
    "small": lambda shape, classes: mlp(shape, classes, units=(16,)),
    "wide": lambda shape, classes: mlp(shape, classes, units=(256,)),
    "deep": lambda shape, classes: mlp(
        shape, classes, units=(64, 64, 64), normalization="batch", dropout=0.2
    ),
    "residual": lambda shape, classes: res_mlp(shape, classes, units=32, num_blocks=2),
    "tanh": lambda shape, classes: mlp(shape, classes, units=(32,), activation="tanh"),
}
# Of every dataset, model and training at least one; ten are trained adversarially.
CASES = [
    *(("digits", model, epsilon, 0) for model in MODELS for epsilon in (0.0, 0.1)),
    ("wine", "small", 0.0, 0),
    ("wine", "deep", 0.05, 1),
    ("wine", "residual", 0.05, 2),
    ("cancer", "linear", 0.0, 3),
    ("cancer", "small", 0.05, 4),
    ("cancer", "tanh", 0.0, 5),
    ("digits", "small", 0.2, 6),
    ("digits", "wide", 0.0, 7),
]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "kind", "epsilon", "seed"), CASES)
def test_no_warning(data, kind, epsilon, seed):
    x, y = LOADERS[data](return_X_y=True)
    x = ((x - x.min(axis=0)) / np.maximum(np.ptp(x, axis=0), 1e-6)).astype("float32")
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    keras.utils.set_random_seed(seed)
    model = MODELS[kind](x.shape[1:], int(y.max()) + 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained = AdversarialTrainer(model, PGD(epsilon, steps=5)) if epsilon else model
    trained.compile(keras.optimizers.Adam(3e-3), loss)
    size = min(150, len(x) // 3)
    epochs = 15 if len(x) > 1000 else 50
    trained.fit(x[size:], y[size:], epochs=epochs, batch_size=32, verbose=0)
    model.compile(loss=loss)
    report = evaluate_robustness(
        model, (x[:size], y[:size]), (0.02, 0.1), steps=50, restarts=2, verbose=0
    )
    assert report.clean_accuracy > 0.7
    assert report.warnings == []


def test_there_are_twenty():
    assert len(set(CASES)) == 20
