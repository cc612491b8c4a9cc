from dataclasses import replace

import numpy as np
import pytest

from callbacks.diagnosis import CAUSES, DiagnosisReport, Evidence, Finding
from callbacks.diagnosis.data.dependence import Dependence
from callbacks.diagnosis.ranking import EXPLAINS, ORDER, rank
from callbacks.diagnosis.report.report import report_of

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"

NAMES = [
    "loss_head_mismatch",
    "wrong_output_activation",
    "wrong_num_outputs",
    "inputs_not_scaled",
    "labels_out_of_range",
    "labels_independent_of_inputs",
    "linear_hidden_stack",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "not_finite",
    "exploding_gradients",
    "vanishing_gradients",
    "saturated_units",
    "dead_units",
    "bad_initialization",
    "symmetric_units",
    "too_few_steps",
    "underfitting",
    "overfitting",
    "over_regularized",
    "unfit_batch_size",
    "unfit_optimizer",
    "unfit_metric",
    "misused_layer",
    "train_and_inference_differ",
    "data_bug",
    "frozen_weights",
    "not_learning",
]


def make(cause, severity="warning", where="model"):
    return Finding(cause, severity, where, (Evidence("Seen."),), ("model.fit(x)",))


def test_the_vocabulary_is_complete_and_documented():
    assert set(CAUSES) == set(NAMES) == set(ORDER)
    for name, cause in CAUSES.items():
        assert cause.name == name
        assert cause.summary.endswith(".")
        assert cause.reference
    assert set(EXPLAINS) | {one for few in EXPLAINS.values() for one in few} <= set(
        CAUSES
    )


def test_causes_explain_only_later_ones():
    for root, explained in EXPLAINS.items():
        for one in explained:
            assert ORDER.index(root) < ORDER.index(one), (root, one)


def test_a_finding_prints_everything():
    evidence = Evidence("The ratio is 0.5.", 0.5, 0.1, step=50, epoch=1)
    one = Finding("dead_units", "error", "layer 'a'", (evidence,), ("fix()", "other"))
    text = str(one)
    for part in ("error: dead_units (layer 'a')", "limit 0.1, step 50, epoch 1"):
        assert part in text
    assert text.index("fix()") < text.index("other")
    assert "Dying ReLU" in text


@pytest.mark.parametrize(("cause", "severity"), [("x", "error"), ("dead_units", "x")])
def test_unknown_words_are_rejected(cause, severity):
    with pytest.raises(ValueError, match="Unknown"):
        make(cause, severity)


def test_severe_findings_and_root_causes_come_first():
    found = rank([make("unfit_metric"), make("overfitting"), make("data_bug", "error")])
    assert [one.cause for one in found] == ["data_bug", "unfit_metric"]
    found = rank([make("not_learning", "error"), make("vanishing_gradients")])
    assert [one.cause for one in found] == ["vanishing_gradients"]


def test_a_finding_inherits_what_it_explains():
    symptom = Finding("not_learning", "error", "model", (Evidence("Flat."),), ("a",))
    hint = Finding("underfitting", "hint", "model", (Evidence("Falls."),), ("b",))
    (found,) = rank([make("linear_hidden_stack"), symptom, hint])
    assert (found.cause, found.severity) == ("linear_hidden_stack", "error")
    assert [one.text for one in found.evidence] == ["Seen.", "Flat."]
    assert found.advice == ("model.fit(x)",)


def test_explanations_reach_through_other_findings():
    chain = [
        make("dead_units", where="layer 'a'"),
        make("vanishing_gradients", where="layer 'a'"),
        make("learning_rate_too_low", "error", where="argument `optimizer`"),
    ]
    (found,) = rank(chain)
    assert (found.cause, found.severity) == ("dead_units", "error")


def test_explanations_stay_in_their_layer():
    head = make("wrong_output_activation", "error", where="layer 'a'")
    symptoms = [
        make("dead_units", where="layer 'a'"),
        make("dead_units", where="layer 'block/b'"),
        make("not_learning"),
    ]
    found = rank([head, *symptoms])
    assert [(one.cause, one.where) for one in found] == [
        ("wrong_output_activation", "layer 'a'"),
        ("dead_units", "layer 'block/b'"),
    ]


def test_hints_explain_nothing_and_come_last():
    found = rank([make("inputs_not_scaled", "hint"), make("not_learning", "error")])
    assert [one.cause for one in found] == ["not_learning", "inputs_not_scaled"]


def test_repeated_findings_are_merged():
    found = rank(
        [make("dead_units"), make("dead_units"), make("dead_units", where="b")]
    )
    assert [one.where for one in found] == ["model", "b"]


def test_the_verdict_of_a_report():
    assert "nothing was looked at" in str(DiagnosisReport(()))
    seen = "10 examples", "the model"
    report = DiagnosisReport((), seen, ("validation data",))
    assert str(report).startswith("healthy: nothing wrong in 10 examples and the model")
    assert "Not seen: validation data." in str(report)
    report = DiagnosisReport((), seen, ("the loss",))
    assert str(report) == (
        "nothing found in 10 examples and the model; not seen: the loss."
    )
    assert report.is_healthy
    hints = DiagnosisReport((make("unfit_metric", "hint"),), ("the model",))
    assert hints.is_healthy
    report = DiagnosisReport((make("dead_units", "error"),), ("the model",))
    assert report.verdict.startswith("error: Most units of a layer are zero")
    assert repr(report) == f"DiagnosisReport: {report.verdict}"
    assert "dead_units" in str(report)


def test_a_frame_has_one_row_per_finding():
    report = DiagnosisReport((make("dead_units"), make("not_finite")), ("x",))
    frame = report.to_frame()
    assert list(frame["cause"]) == ["dead_units", "not_finite"]
    assert list(frame.columns)[:3] == ["cause", "severity", "where"]
    assert len(DiagnosisReport(()).to_frame()) == 0
    assert np.all(frame["advice"] == "model.fit(x)")


@pytest.mark.parametrize(
    ("last", "possible", "start"),
    [
        (0.5, None, "healthy: "),
        (1.05, None, "nothing found in "),
        (1.05, 0.05, "healthy: "),
        (1.05, 0.8, "nothing found in "),
    ],
)
def test_a_run_that_has_learned_little_is_not_called_healthy(
    facts_of, classifier, table, training, last, possible, start
):
    facts = facts_of(classifier(3, "softmax", SPARSE), *table)
    if possible is not None:
        test = Dependence(*[possible] * 3, 0.0, 0.01, 600, significance=20.0)
        facts = replace(facts, data=replace(facts.data, dependence=test))
    run = training((1.1, last), val_loss=(1.1, last))
    report = report_of(replace(facts, training=run), ())
    assert report.verdict.startswith(start)
    assert ("hardly better than a constant" in report.verdict) == (start[0] == "n")


def test_the_page_needs_a_path():
    with pytest.raises(ValueError, match="the path of a file. Received: path=3"):
        DiagnosisReport(()).to_html(3)
