"""The message of an error shows the call to write, and that call works."""

import keras
import numpy as np
import pytest

import callbacks
from callbacks import schedules
from callbacks.schedule_argument import EXAMPLES

pytestmark = pytest.mark.one_backend

NAMES = {"keras": keras, "np": np, **vars(schedules), **vars(callbacks)}
FIXES = {
    "EarlyStopping(5)": "EarlyStopping(patience=5)",
    "EarlyStopping(keras.metrics.AUC(name='auc'))": "EarlyStopping('val_auc')",
    "ScheduleLearningRate(0.1)": "ScheduleLearningRate(Cosine(90))",
    "ScheduleLearningRate('cosine')": "ScheduleLearningRate(Cosine(90))",
    "ScheduleMomentum(0.9, 0.5)": "ScheduleMomentum(Cosine(90), minimum=0.5)",
    "ScheduleMomentum(StepDecay, 0.5)": "ScheduleMomentum(StepDecay(30), minimum=0.5)",
    "ResumeTraining(5)": "ResumeTraining('backup', every=5)",
    "Snapshots(5)": "Snapshots('snapshots', every=5)",
    "UpdateRatio('logs')": "UpdateRatio(log_dir='logs')",
    "GradientHistograms('logs')": "GradientHistograms(log_dir='logs')",
    "GradientHistograms('update')": "GradientHistograms(of='update')",
    "Diagnosis(20)": "Diagnosis(every=20)",
}
FIXES |= {
    f"ScheduleLearningRate({name})": f"ScheduleLearningRate({example})"
    for name, example in EXAMPLES.items()
}


def call(code):
    return eval(code, dict(NAMES))


def message_of(code):
    with pytest.raises(ValueError, match="Invalid value for argument") as error:
        call(code)
    return str(error.value)


@pytest.mark.parametrize("mistake", FIXES)
def test_the_call_to_write_is_shown_and_works(mistake):
    assert f"`{FIXES[mistake]}`" in message_of(mistake)
    call(FIXES[mistake])


def test_every_schedule_has_an_example():
    public = {name for name in schedules.__all__ if name[0].isupper()}
    assert set(EXAMPLES) == public - {"Schedule"}


@pytest.mark.parametrize(
    ("mistake", "fix"),
    [
        ("ScheduleLearningRate(0.1)", "`model.compile(keras.optimizers.Adam(0.1), "),
        ("ScheduleMomentum(0.9, 0.5)", "keras.optimizers.SGD(0.1, momentum=0.9), "),
        ("ScheduleLearningRate('cosin')", "Did you mean 'Cosine'?"),
        ("ScheduleLearningRate(abs)", "keras.callbacks.LearningRateScheduler"),
        ("ScheduleLearningRate(Schedule)", "`ScheduleLearningRate(Schedule(...))`"),
        ("UpdateRatio(keras.Sequential())", "callbacks=[UpdateRatio()])`"),
        ("Diagnosis(keras.Sequential())", "callbacks=[Diagnosis()])`"),
        ("ResumeTraining([UpdateRatio()])", "'backup', callbacks=[...])`"),
        ("ResumeTraining('x', callbacks=[UpdateRatio])", "`UpdateRatio(...)`"),
    ],
)
def test_hints(mistake, fix):
    assert fix in message_of(mistake)


@pytest.mark.parametrize(
    "mistake",
    [
        "EarlyStopping(None)",
        "ScheduleLearningRate(None)",
        "UpdateRatio(1.5)",
        "UpdateRatio(0)",
        "ResumeTraining(1.5)",
        "Snapshots(None, every=5)",
        "Diagnosis(None)",
    ],
)
def test_without_a_guess_nothing_is_proposed(mistake):
    assert "`" not in message_of(mistake).partition("Expected")[2]
