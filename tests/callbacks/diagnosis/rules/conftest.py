"""Fixtures that write down the facts of a training run instead of training."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from callbacks.diagnosis.data.dependence import Dependence
from callbacks.diagnosis.ranking import judge
from callbacks.diagnosis.rules import gradients, rule, units
from callbacks.diagnosis.run.pass_facts import PassFacts
from callbacks.monitors.layer_statistics import LayerStatistics

SPARSE = "sparse_categorical_crossentropy"


class Examples:
    """Stands for a sample, of which rules read the size and the labels."""

    def __init__(self, y, size):
        self.y = y
        self.size = size

    def __len__(self):
        return self.size


@dataclass(frozen=True)
class Ending:
    """Stands for an outcome, of a run in which a constant predictor has loss 1.1."""

    first: float
    explained: float
    is_poor: bool = False
    could_be_better: bool = False
    knows_possible: bool = False

    @property
    def is_behind(self):
        return self.is_poor or self.could_be_better

    @property
    def is_harmed(self):
        return self.is_trivial or self.is_behind

    @property
    def is_trivial(self):
        return self.explained < 0.02

    @property
    def is_good(self):
        return self.explained > 0.9


@pytest.fixture
def run_facts(classifier, table, facts_of, training, monkeypatch):
    """Builds the facts of a written run of a classifier with three classes.

    The outcome follows from the last loss, unless the run is said to be poor.
    """
    outcomes = {}
    for module in (gradients, rule, units):
        monkeypatch.setattr(
            module, "outcome_of", lambda facts: outcomes[id(facts.training)]
        )

    def build(losses, *, model=None, end=None, start=None, poor=False, **options):
        model = model or classifier(3, "softmax", SPARSE)
        run = training(losses, **options)
        known = [*losses, 1.1]
        explained = 1 - known[len(losses) - 1] / 1.1
        outcomes[id(run)] = Ending(known[0], explained, poor)
        facts = facts_of(model, *table)
        return replace(facts, training=run, end=end, start=start)

    return build


@pytest.fixture
def severities():
    """Returns `[(cause, severity), ...]` of the findings of a rule."""

    def of(findings):
        return [(one.cause, one.severity) for one in findings]

    return of


@pytest.fixture
def outputs_of_layer():
    """Builds the statistics of the outputs of a layer."""

    def build(zeros, saturated=np.nan, *, name="hidden", non_finite=0):
        units = len(np.atleast_1d(zeros))
        return LayerStatistics(
            name=name,
            is_activation=True,
            edges=np.linspace(0, 1, 51),
            counts=np.zeros(50),
            mean=0.0,
            deviation=1.0,
            non_finite=non_finite,
            unit_zeros=np.asarray(zeros, float),
            unit_saturated=np.full(units, saturated),
        )

    return build


@pytest.fixture
def passed():
    """Builds the facts of a pass of 256 examples of three classes."""

    def build(*layers, loss=1.0, labels=None, outputs=None, size=256, **more):
        rng = np.random.default_rng(0)
        labels = np.arange(size) % 3 if labels is None else labels
        outputs = rng.normal(size=(size, 3)) if outputs is None else outputs
        more = {"training_loss": loss} | more
        sample = Examples(labels, size)
        return PassFacts(loss, outputs=(outputs,), layers=layers, sample=sample, **more)

    return build


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


@pytest.fixture
def pass_of():
    """Builds the facts of passing 256 examples through a model of three outputs."""

    def build(*layers, loss=None, training_loss=None, penalty=0.0, **more):
        outputs = (np.random.default_rng(0).normal(size=(256, 3)),)
        return PassFacts(
            loss,
            training_loss,
            penalty,
            outputs,
            layers,
            sample=Examples(np.arange(256) % 3, 256),
            **more,
        )

    return build
