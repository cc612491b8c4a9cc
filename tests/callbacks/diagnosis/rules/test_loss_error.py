from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks import Diagnosis, diagnose
from callbacks.diagnosis.rules.loss_error import loss_raises
from callbacks.diagnosis.run.pass_facts import PassFacts

SPARSE = "sparse_categorical_crossentropy"


def test_targets_that_the_loss_cannot_take_are_an_error_with_both_shapes(
    classifier, table
):
    report = diagnose(classifier(2, "softmax", "mse"), table[0], np.eye(200, 3))
    assert not report.is_healthy
    assert "(2,)" in str(report)
    assert "(3,)" in str(report)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="on JAX and PyTorch, Keras computes the loss before any callback begins",
)
def test_the_report_on_a_step_that_failed_has_both_shapes(classifier, table):
    diagnosis = Diagnosis(verbose=0)
    model = classifier(2, "softmax", "mse")
    with pytest.raises(ValueError, match="Dimensions must be equal"):
        model.fit(table[0], np.eye(200, 3), verbose=0, callbacks=[diagnosis])
    text = str(diagnosis.report)
    assert text.startswith("error")
    assert "(2,)" in text
    assert "(3,)" in text


def test_several_columns_for_a_sparse_loss(classifier, table):
    targets = np.random.default_rng(0).integers(0, 2, size=(200, 3))
    report = diagnose(classifier(2, "softmax", SPARSE), table[0], targets)
    assert "outputs of shape (2,) and targets of shape (3,)" in str(report)
    assert report.findings[0].severity == "error"


def test_targets_that_the_loss_can_take_are_no_error(classifier, table):
    x, y = table
    assert diagnose(classifier(3, "softmax", SPARSE), x, y[:, None]).is_healthy
    one_hot = keras.utils.to_categorical(y)
    report = diagnose(classifier(3, "softmax", "categorical_crossentropy"), x, one_hot)
    assert report.is_healthy


def test_an_error_for_another_reason_is_left_to_other_rules(
    classifier, table, facts_of
):
    facts = facts_of(classifier(3, "softmax", SPARSE), *table)
    outputs = (np.zeros((200, 3)),)
    facts = replace(facts, start=PassFacts(None, outputs=outputs, error="any"))
    assert loss_raises(facts) == []
    facts = replace(facts, start=replace(facts.start, outputs=(np.zeros((200, 3, 3)),)))
    assert [one.cause for one in loss_raises(facts)] == ["loss_head_mismatch"]
