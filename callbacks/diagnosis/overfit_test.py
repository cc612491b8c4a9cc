"""Trains copies of a model on one small batch, which they must be able to memorize."""

import contextlib
import random
from collections.abc import Iterator

import keras
import numpy as np

from zoo.backend import preserve_generator
from zoo.backend.keras_internals import loss_weights
from zoo.utils.copy_model import copy_model

from .data.rows import row_hashes
from .data.sample_data import Sample
from .facts import Facts
from .finding import Evidence, Finding, finding
from .run.trivial import measure_trivial

EXAMPLES = 16
FEATURES = 4  # fewer need not tell 16 examples apart
STEPS = 300
USUAL_RATE = 1e-3  # default of Adam, whose size does not depend on the loss
REMAINING = 0.5  # of the trivial loss: memorizing removes nearly all of it


def overfit_one_batch(
    model: keras.Model, sample: Sample, facts: Facts
) -> list[Finding]:
    """Returns a finding if a copy of the model cannot memorize 16 examples.

    A copy is trained for 300 steps with the optimizer and the loss of the model. If it
    fails, another one is trained with Adam at its default rate: if that one succeeds,
    the learning rate is at fault, as it may well be on purpose in fine-tuning.

    The loss in inference mode or in training, without penalties, only has to fall to
    half of that of a constant predictor, because penalties and dropout can keep a
    healthy model from memorizing everything. The 16 examples must differ, have at least
    4 features and not all have the same target.
    """
    batch = sample.first(EXAMPLES)
    trivial = measure_trivial(model, facts.model, batch, len(batch))
    if trivial is None or not _can_be_memorized(batch):
        return []
    if not trivial.value > trivial.floor:
        return []
    limit = trivial.floor + REMAINING * (trivial.value - trivial.floor)
    with _unchanged_seeds():
        first, last = _train(model, batch, _copy_of(model.optimizer))
        if last <= limit:
            return []
        usual = _train(model, batch, keras.optimizers.Adam(USUAL_RATE))[1]
    is_rate = usual <= limit
    texts = [
        f"In {STEPS} steps on {len(batch)} examples the loss of a copy went from "
        f"{first:.3g} to {last:.3g}; a constant predictor has {trivial.value:.3g}."
    ]
    if is_rate:
        texts.append(f"With keras.optimizers.Adam({USUAL_RATE:g}), it is {usual:.3g}.")
    evidence = [
        Evidence(texts[0], last, limit, step=STEPS - 1),
        *map(Evidence, texts[1:]),
    ]
    if is_rate:
        fixes = (
            f"model.compile(keras.optimizers.Adam({USUAL_RATE:g}), loss=model.loss)",
            "Keep a small rate for fine-tuning.",
        )
    else:
        fixes = (
            "model.summary()",
            "Other rates do not help either: the model or the loss is at fault.",
        )
    cause = "learning_rate_too_low" if is_rate else "not_learning"
    return [finding(cause, "warning", "model", evidence, *fixes, picture="loss")]


def _can_be_memorized(batch: Sample) -> bool:
    x = keras.tree.flatten(batch.x)
    size = sum(np.size(one) for one in x) // max(1, len(batch))
    is_distinct = len(set(row_hashes(batch.x))) == len(batch)
    has_targets = len(set(row_hashes(batch.y))) > 1
    return len(batch) == EXAMPLES and size >= FEATURES and is_distinct and has_targets


def _train(model, batch: Sample, optimizer) -> tuple[float, float]:
    """Returns the first loss, and the last one or that in inference mode.

    The second value is the smaller of the two, without the penalties on weights.
    """
    copy = copy_model(model)
    copy.compile(optimizer, loss=model.loss, loss_weights=loss_weights(model))
    losses = []
    for _ in range(STEPS):
        copy.reset_metrics()
        logs = copy.train_on_batch(
            batch.x, batch.y, batch.sample_weight, return_dict=True
        )
        losses.append(float(logs["loss"]))
    copy.reset_metrics()
    logs = copy.test_on_batch(batch.x, batch.y, batch.sample_weight, return_dict=True)
    penalty = sum(float(keras.ops.convert_to_numpy(one)) for one in copy.losses)
    known = [one for one in (losses[-1], float(logs["loss"])) if np.isfinite(one)]
    return losses[0], min(known, default=float("inf")) - penalty


def _copy_of(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    return keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))


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
