import ast

import keras
import numpy as np
import pytest

from callbacks import Diagnosis
from callbacks.diagnosis.rules.frozen import (
    frozen_head,
    frozen_initial_weights,
    no_gradient,
    nothing_trainable,
)

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)


@pytest.fixture
def frozen(dense):
    """Builds a classifier whose first two layers are frozen."""

    def build(initializer="glorot_uniform", trained=False):
        base = [
            dense(64, kernel_initializer=initializer, name=f"base_{i}")
            for i in range(2)
        ]
        model = keras.Sequential([keras.Input((4,)), *base, dense(3, "softmax")])
        if trained:
            rng = np.random.default_rng(0)
            shapes = [one.shape for one in model.get_weights()]
            model.set_weights([0.3 * rng.laplace(size=shape) for shape in shapes])
        for layer in base:
            layer.trainable = False
        model.compile("adam", SPARSE)
        return model

    return build


def test_a_model_without_trainable_weights_is_found(facts_of, severities, classifier):
    model = classifier(3, "softmax", SPARSE)
    assert not nothing_trainable(facts_of(model))
    model.trainable = False
    model.compile("adam", SPARSE)
    found = nothing_trainable(facts_of(model))
    assert severities(found) == [("frozen_weights", "error")]


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal"])
def test_frozen_random_layers_are_found(facts_of, severities, frozen, initializer):
    model = frozen(initializer)
    found = frozen_initial_weights(facts_of(model))
    assert severities(found) == [("frozen_weights", "warning")]
    exec(found[0].advice[0], {"model": model})
    assert any(layer.trainable for layer in model.layers[:2])


def test_frozen_trained_layers_are_no_fault(facts_of, frozen):
    assert not frozen_initial_weights(facts_of(frozen(trained=True)))


def test_a_frozen_discriminator_or_teacher_is_no_fault(facts_of, dense):
    inputs = keras.Input((16,))
    student = dense(64, name="student")(inputs)
    teacher = dense(64, name="teacher")
    model = keras.Model(inputs, [student, teacher(inputs)])
    teacher.trainable = False
    model.compile("adam", ["mse", "mse"])
    assert not frozen_initial_weights(facts_of(model))
    judge = dense(64, name="judge")
    end = dense(1, "sigmoid", name="end")
    model = keras.Model(inputs, end(judge(dense(64, name="generator")(inputs))))
    judge.trainable = end.trainable = False
    model.compile("adam", "binary_crossentropy")
    assert not frozen_initial_weights(facts_of(model))


def test_a_frozen_output_layer_is_a_hint(facts_of, severities, classifier):
    model = classifier(3, "softmax", SPARSE)
    assert not frozen_head(facts_of(model))
    model.get_layer("output").trainable = False
    model.compile("adam", SPARSE)
    assert severities(frozen_head(facts_of(model))) == [("frozen_weights", "hint")]


NAMES = ("hidden/kernel", "output/kernel", "spare/kernel")


def missing(*gradient):
    """Returns arguments of a run in which some kernels have no gradient."""
    update = 0.01 * np.array(gradient) * np.ones((20, 1))
    return {"gradient": gradient, "update_norm": update, "variables": NAMES}


def test_a_kernel_whose_gradient_is_cut_is_found(run_facts, severities):
    facts = run_facts(FALLING, **missing(np.nan, 1.0, 1.0))
    (found,) = no_gradient(facts)
    assert (found.cause, found.severity) == ("frozen_weights", "warning")
    assert found.where == "variable 'hidden/kernel'"
    ast.parse(found.advice[0])
    assert not no_gradient(run_facts(FALLING, **missing(1.0, 1.0, 1.0)))


def test_unused_layers_are_a_fault_if_they_are_large(run_facts, severities):
    run = missing(1.0, 1.0, np.nan)
    for shape, severity in (((64, 64), "warning"), ((2, 2), "hint")):
        facts = run_facts(FALLING, **run, shapes=((16, 16), (16, 16), shape))
        assert severities(no_gradient(facts)) == [("frozen_weights", severity)]


def test_an_output_without_a_loss_is_a_hint(run_facts, severities, dense):
    inputs = keras.Input((4,))
    hidden = dense(name="hidden")(inputs)
    main = dense(3, "softmax", name="output")(hidden)
    model = keras.Model(inputs, [main, dense(16, name="spare")(hidden)])
    model.compile("adam", [SPARSE, None])
    facts = run_facts(FALLING, model=model, **missing(1.0, 1.0, np.nan))
    assert severities(no_gradient(facts)) == [("frozen_weights", "hint")]


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore:.*Gradients do not exist:UserWarning")
def test_an_output_without_a_loss_gives_no_warning(dense):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 4)).astype("float32")
    inputs = keras.Input((4,))
    hidden = dense(32)(inputs)
    model = keras.Model(inputs, [dense(1, None)(hidden), dense(32)(hidden)])
    model.compile(keras.optimizers.Adam(0.01), ["mse", None])
    diagnosis = Diagnosis(verbose=0, every=5)
    y = x[:, :1] * x[:, 1:2]
    model.fit(x, [y, y], epochs=5, verbose=0, callbacks=[diagnosis])
    causes = [one.cause for one in diagnosis.report.findings if one.severity != "hint"]
    assert "frozen_weights" not in causes
