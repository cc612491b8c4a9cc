"""Fixtures that judge training runs that are written down instead of trained."""

from dataclasses import replace

import numpy as np
import pytest

from callbacks.diagnosis.data.dependence import Dependence
from callbacks.diagnosis.ranking import judge
from callbacks.diagnosis.run.pass_facts import PassFacts
from callbacks.monitors.layer_statistics import LayerStatistics

SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture
def findings(classifier, table, facts_of, training):
    """Returns the ranked findings of a written training run.

    `possible` is the share of the trivial loss that all simple models remove.
    """

    def run(
        losses, *, end=None, start=None, possible=None, model=None, data=None, **options
    ):
        model = model or classifier(3, "softmax", SPARSE)
        facts = facts_of(model, *(data or table))
        if possible is not None:
            test = Dependence(possible, possible, possible, 0.0, 0.02, 600)
            facts = replace(facts, data=replace(facts.data, dependence=test))
        size = options.pop("size", None) or facts.data.size
        batch_size = options.pop("batch_size", facts.data.batch_size)
        facts = replace(
            facts, data=replace(facts.data, size=size, batch_size=batch_size)
        )
        accuracies = {
            name: np.broadcast_to(options.pop(name), len(losses)).tolist()
            for name in ("accuracy", "val_accuracy")
            if name in options
        }
        record = training(losses, **options)
        record.logs.update(accuracies)
        return judge(replace(facts, training=record, end=end, start=start))

    return run


@pytest.fixture
def judged(findings):
    """Returns `[(cause, severity), ...]`, without hints, of a written training run."""

    def run(losses, **options):
        return [
            (one.cause, one.severity)
            for one in findings(losses, **options)
            if one.severity != "hint"
        ]

    return run


class _Examples:
    def __len__(self):
        return 256


@pytest.fixture
def passed():
    """Builds the facts of passing 256 examples through a model of three outputs."""

    def build(*layers, loss=None, training_loss=None, penalty=0.0, **more):
        outputs = (np.random.default_rng(0).normal(size=(256, 3)),)
        return PassFacts(
            loss,
            training_loss,
            penalty,
            outputs,
            layers,
            sample=_Examples(),
            **more,
        )

    return build


@pytest.fixture
def unit_outputs():
    """Builds the statistics of a layer from the share of zeros of each unit."""

    def build(zeros, saturated=np.nan, name="hidden"):
        units = len(np.atleast_1d(zeros))
        return LayerStatistics(
            name=name,
            is_activation=True,
            edges=np.linspace(0, 1, 51),
            counts=np.zeros(50),
            mean=0.0,
            deviation=1.0,
            non_finite=0,
            unit_zeros=np.asarray(zeros, float),
            unit_saturated=np.full(units, saturated),
        )

    return build
