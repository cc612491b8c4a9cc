"""Labels whose shape does not fit the loss."""

import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import PGD, AdversarialTrainer, CertifiedTrainer

X, Y = np.full((6, 2), 0.5, "float32"), np.arange(6) % 3
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
DENSE = keras.losses.CategoricalCrossentropy(from_logits=True)
ONE_HOT = r"`keras.utils.to_categorical\(y, 3\)`.*compile\(.*Sparse"


def compiled(kind, loss):
    trainer = kind(mlp((2,), 3, units=()))
    trainer.compile("sgd", loss)
    return trainer


def adversarial(model):
    return AdversarialTrainer(model, PGD(0.1, steps=1))


def certified(model):
    return CertifiedTrainer(model, 0.1)


@pytest.mark.parametrize(
    ("kind", "loss", "y", "fix"),
    [
        (adversarial, "mse", Y, ONE_HOT),
        (adversarial, "mse", Y[:, None], ONE_HOT),
        (adversarial, SPARSE, np.eye(3)[Y], r"`y.argmax\(axis=1\)`"),
        (certified, DENSE, Y, ONE_HOT),
    ],
)
def test_labels_that_do_not_fit_the_loss_are_refused(kind, loss, y, fix):
    with pytest.raises(ValueError, match=f"(?s)argument `y`.*{fix}"):
        compiled(kind, loss).fit(X, y, verbose=0)


@pytest.mark.parametrize("loss", ["mse", lambda y, outputs: outputs[:, 0] * y[:, 0]])
def test_labels_that_may_fit_the_loss_are_accepted(loss):
    logs = compiled(adversarial, loss).fit(X, np.eye(3)[Y], verbose=0).history
    assert np.isfinite(logs["loss"]).all()
