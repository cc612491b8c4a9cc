"""Trains a copy of a model on one small batch, which it must be able to memorize."""

import contextlib
import random
from collections.abc import Iterator

import keras
import numpy as np

from zoo.backend import preserve_generator
from zoo.utils.copy_model import copy_model

from .data.data_facts import describe_data
from .data.sample_data import Sample
from .facts import Facts
from .finding import Evidence, Finding, finding
from .run.trivial import trivial_loss

EXAMPLES = 16
STEPS = 300
REMAINING = 0.5  # of the trivial loss: memorizing removes nearly all of it


def overfit_one_batch(
    model: keras.Model, sample: Sample, facts: Facts
) -> list[Finding]:
    """Returns a finding if a copy of the model cannot memorize 16 examples.

    The copy is trained for 300 steps with the optimizer and the loss of the model. The
    loss only has to fall to half of that of a constant predictor, because penalties,
    dropout or few features can keep a healthy model from memorizing everything.
    """
    batch = sample.first(EXAMPLES)
    trivial = trivial_loss(facts.model, describe_data(batch))
    if not trivial:
        return []
    with _unchanged_seeds():
        losses = _train(model, batch)
    last = losses[-1]
    if np.isfinite(last) and last <= REMAINING * trivial:
        return []
    return [
        finding(
            "not_learning",
            "warning",
            "model",
            Evidence(
                f"In {len(losses)} steps on {len(batch)} examples the loss of a copy "
                f"went from {losses[0]:.3g} to {last:.3g}; a constant predictor has "
                f"{trivial:.3g}.",
                last,
                REMAINING * trivial,
                step=len(losses) - 1,
            ),
            f"model.compile(optimizer={facts.model.optimizer.code(1e-3)}, "
            "loss=model.loss)",
            "If other rates do not help either, the model or the loss is at fault.",
            picture="loss",
        )
    ]


def _train(model: keras.Model, batch: Sample) -> list[float]:
    copy = copy_model(model)
    optimizer = keras.optimizers.deserialize(
        keras.optimizers.serialize(model.optimizer)
    )
    copy.compile(optimizer, loss=model.loss)
    losses = []
    for _ in range(STEPS):
        copy.reset_metrics()
        logs = copy.train_on_batch(
            batch.x, batch.y, batch.sample_weight, return_dict=True
        )
        losses.append(float(logs["loss"]))
    return losses


@contextlib.contextmanager
def _unchanged_seeds() -> Iterator[None]:
    """Restores the random states that seeds of new layers are drawn from."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with preserve_generator():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
