"""A diagnosis of a training run that is resumed, beside an uninterrupted one."""

import dataclasses

import keras
import numpy as np
import pytest

from callbacks import Diagnosis

pytestmark = pytest.mark.heavy


def make(run):
    """A model that cannot learn: its outputs are logits, its loss expects others."""
    model = run.build(keras.optimizers.Adam(3.0))
    model.compile(keras.optimizers.Adam(3.0), "sparse_categorical_crossentropy")
    return model


def diagnosed(run, folder=None, **options):
    """Returns the diagnosis of a `fit`, which may be interrupted."""
    diagnosis = Diagnosis(every=2)
    run.train(folder, [diagnosis], make=lambda: make(run), **options)
    return diagnosis


def assert_same(found, expected):
    report, other = found.report, expected.report
    assert [one.cause for one in other.findings] != []
    assert report.findings == other.findings  # with the figures of the evidence
    assert str(report) == str(other)
    np.testing.assert_equal(
        dataclasses.asdict(report.facts), dataclasses.asdict(other.facts)
    )


@pytest.fixture(scope="module")
def straight(run):
    """Diagnoses of uninterrupted training runs, by the kind of data."""
    found = {}

    def diagnosis(kind):
        if kind not in found:
            found[kind] = diagnosed(run, kind=kind)
        return found[kind]

    return diagnosis


@pytest.mark.filterwarnings(
    "ignore:Your input ran out of data", "ignore:Training can be saved only at the ends"
)
@pytest.mark.parametrize(
    ("stop", "every", "kind"),
    [
        (8, 1, "zoo"),
        (1, 1, "zoo"),  # before the look at the initial weights
        (4, 3, "unknown length"),
        (12, "epoch", "unknown length"),
    ],
)
def test_the_report_is_that_of_an_uninterrupted_run(
    stop, every, kind, run, straight, tmp_path
):
    options = {"every": every, "kind": kind}
    diagnosed(run, tmp_path, stop=stop, **options)
    assert_same(diagnosed(run, tmp_path, **options), straight(kind))
    assert_same(diagnosed(run, tmp_path, **options), straight(kind))  # after the end


def test_findings_are_printed_once(run, tmp_path, capsys):
    diagnosed(run)
    expected = capsys.readouterr().out
    assert expected.count("loss_head_mismatch") == 1
    diagnosed(run, tmp_path, stop=8)
    before = capsys.readouterr().out
    diagnosed(run, tmp_path)
    message, after = capsys.readouterr().out.split("\n", 1)
    assert message.startswith("Resuming training at epoch 2")
    assert before + after == expected


def test_a_longer_run_is_judged_by_its_own_length(run, straight, tmp_path):
    diagnosed(run, tmp_path, epochs=2)
    assert_same(diagnosed(run, tmp_path), straight("zoo"))
