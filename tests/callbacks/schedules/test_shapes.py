"""Every shape against its closed form, and against its peers in other libraries.

Every comparison is made at every step, from 0 to past the end.
"""

import math

import keras
import numpy as np
import pytest

from callbacks.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseSquareRoot,
    InverseTime,
    Linear,
    OneCycle,
    StepDecay,
)

STEPS = np.arange(131)


def half_cosine(progress):
    return (1 + np.cos(np.pi * progress)) / 2


def warmed_up(warmup, fall):
    """Linear to `warmup`, then `fall` of the steps since."""
    since = np.maximum(STEPS - warmup, 0)
    return np.where(since > 0, fall(since), np.minimum(STEPS / warmup, 1))


def one_cycle(length, peak):
    top = peak * length
    rise = 0.04 + 0.96 * half_cosine(1 - STEPS / top)
    fall = np.minimum((STEPS - top) / (length - top), 1)
    return np.where(fall > 0, 4e-6 + (1 - 4e-6) * half_cosine(fall), rise)


CLOSED_FORMS = [
    (Constant(), np.ones(131)),
    (Constant(warmup=7), np.minimum(STEPS / 7, 1)),
    (StepDecay(41), 0.1 ** (STEPS // 41)),
    (StepDecay(0.7, factor=0.99), 0.99 ** (STEPS * 10 // 7)),
    (
        StepDecay(30, factor=0.5, warmup=5),
        np.minimum(STEPS / 5, 1) * 0.5 ** (STEPS // 30),
    ),
    (
        StepDecay(boundaries=(30, 60, 80), warmup=5),
        np.minimum(STEPS / 5, 1)
        * 0.1 ** np.searchsorted([30, 60, 80], STEPS, side="right"),
    ),
    (Cosine(90), half_cosine(np.minimum(STEPS / 90, 1))),
    (
        Cosine(90, minimum=0.1, warmup=5),
        warmed_up(5, lambda t: 0.1 + 0.9 * half_cosine(np.minimum(t / 85, 1))),
    ),
    (
        Cosine(125, cycles=3, warmup=5),
        warmed_up(5, lambda t: half_cosine(np.where(t < 120, t % 40 / 40, 1))),
    ),
    (Linear(90), np.maximum(1 - STEPS / 90, 0)),
    (
        Linear(90, minimum=0.2, warmup=10),
        warmed_up(10, lambda t: 1 - 0.8 * np.minimum(t / 80, 1)),
    ),
    (Exponential(0.03), np.exp(-0.03 * STEPS)),
    (Exponential(0.03, warmup=8), warmed_up(8, lambda t: np.exp(-0.03 * t))),
    (InverseTime(0.5), 1 / (1 + 0.5 * STEPS)),
    (InverseTime(0.5, warmup=8), warmed_up(8, lambda t: 1 / (1 + 0.5 * t))),
    (
        InverseSquareRoot(warmup=16),
        np.minimum(STEPS / 16, np.sqrt(16 / np.maximum(STEPS, 1))),
    ),
    (InverseSquareRoot(9), np.sqrt(9 / (9 + STEPS))),
    (
        InverseSquareRoot(9, warmup=20),
        warmed_up(20, lambda t: np.sqrt(9 / (9 + t))),
    ),
    (OneCycle(100), one_cycle(100, 0.3)),
    (OneCycle(120, peak=0.45), one_cycle(120, 0.45)),
    (
        OneCycle(110, initial=0.5, final=0.0, warmup=10),
        np.where(
            STEPS < 10,
            STEPS / 10 * 0.5,
            np.where(
                STEPS < 40,
                0.5 + 0.5 * half_cosine(1 - (STEPS - 10) / 30),
                half_cosine(np.minimum((STEPS - 40) / 70, 1)),
            ),
        ),
    ),
]


def factors(schedule, steps=STEPS):
    return keras.ops.convert_to_numpy(schedule(steps))


def each(cases):
    return [pytest.param(*case, id=repr(case[0])) for case in cases]


@pytest.mark.parametrize(("schedule", "expected"), each(CLOSED_FORMS))
def test_closed_form(schedule, expected):
    np.testing.assert_allclose(factors(schedule), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("schedule", [case[0] for case in CLOSED_FORMS], ids=repr)
def test_one_time_is_as_good_as_an_array_of_times(schedule):
    one_by_one = [float(schedule(step)) for step in range(0, 131, 13)]
    np.testing.assert_allclose(one_by_one, factors(schedule)[::13], 1e-5, 1e-7)


@pytest.mark.parametrize("every", range(1, 131))
def test_a_drop_comes_at_its_step_for_every_period(every):
    drops = np.log(factors(StepDecay(every, factor=0.9))) / np.log(0.9)
    np.testing.assert_array_equal(np.round(drops), STEPS // every)


def test_cycles_that_grow():
    schedule = Cosine(130, cycles=3, growth=3)
    assert schedule.cycle_ends == (10, 40, 130)
    expected = [1.0, half_cosine(0.9), 1.0, half_cosine(29 / 30), 1.0, 0.0]
    np.testing.assert_allclose(
        factors(schedule)[[0, 9, 10, 39, 40, 130]], expected, atol=1e-6
    )


def test_of_cycles_the_warmup_is_no_part():
    assert Cosine(90, cycles=2, warmup=10).cycle_ends == (50, 90)
    assert Cosine(90).cycle_ends == (90,)


# Keras


def at_every_step(theirs, steps=STEPS):
    return keras.ops.convert_to_numpy(keras.ops.map(theirs, steps))


@pytest.mark.parametrize("minimum", [0.0, 0.25])
@pytest.mark.parametrize("warmup", [0, 10])
def test_cosine_is_that_of_keras(warmup, minimum):
    theirs = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else 1.0,
        decay_steps=90 - warmup,
        alpha=minimum,
        warmup_target=1.0 if warmup else None,
        warmup_steps=warmup,
    )
    expected = at_every_step(theirs)
    schedule = Cosine(90, warmup=warmup, minimum=minimum)
    np.testing.assert_allclose(factors(schedule), expected, atol=1e-6)


def test_cycles_are_those_of_keras():
    theirs = keras.optimizers.schedules.CosineDecayRestarts(1.0, 40, t_mul=1.0)
    expected = at_every_step(theirs, STEPS[:120])
    np.testing.assert_allclose(
        factors(Cosine(120, cycles=3))[:120], expected, atol=1e-5
    )


def test_decays_are_those_of_keras():
    schedules = keras.optimizers.schedules
    exponential = schedules.ExponentialDecay(1.0, 10, math.exp(-0.3))
    inverse = schedules.InverseTimeDecay(1.0, 10, 5.0)
    linear = schedules.PolynomialDecay(1.0, 90, end_learning_rate=0.2)
    for schedule, theirs in [
        (Exponential(0.03), exponential),
        (InverseTime(0.5), inverse),
        (Linear(90, minimum=0.2), linear),
    ]:
        expected = at_every_step(theirs)
        np.testing.assert_allclose(factors(schedule), expected, rtol=1e-5, atol=1e-6)


# PyTorch

TORCH = [
    (Constant(), "ConstantLR", {"factor": 1.0}, 131),
    (StepDecay(41), "StepLR", {"step_size": 41}, 131),
    (
        StepDecay(boundaries=(30, 60, 80), factor=0.3),
        "MultiStepLR",
        {"milestones": [30, 60, 80], "gamma": 0.3},
        131,
    ),
    # Past its end PyTorch's cosine rises again.
    (
        Cosine(90, minimum=0.2),
        "CosineAnnealingLR",
        {"T_max": 90, "eta_min": 0.2},
        91,
    ),
    # PyTorch's cycles go on without end.
    (
        Cosine(70, cycles=3, growth=2, minimum=0.2),
        "CosineAnnealingWarmRestarts",
        {"T_0": 10, "T_mult": 2, "eta_min": 0.2},
        70,
    ),
    (
        Linear(90, minimum=0.2),
        "LinearLR",
        {"start_factor": 1.0, "end_factor": 0.2, "total_iters": 90},
        131,
    ),
    (Exponential(0.03), "ExponentialLR", {"gamma": math.exp(-0.03)}, 131),
    (
        InverseTime(0.5),
        "LambdaLR",
        {"lr_lambda": lambda step: 1 / (1 + 0.5 * step)},
        131,
    ),
    # PyTorch counts the steps, of which the last is the end; and it refuses to go on.
    (
        OneCycle(99, peak=29 / 99),
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 100},
        100,
    ),
]


@pytest.mark.heavy
@pytest.mark.parametrize(("schedule", "name", "arguments", "num_steps"), each(TORCH))
def test_shape_is_that_of_pytorch(schedule, name, arguments, num_steps):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    theirs = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    expected = []
    for step in range(num_steps):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        if step + 1 < num_steps:
            theirs.step()
    np.testing.assert_allclose(
        factors(schedule)[:num_steps], expected, rtol=1e-5, atol=1e-6
    )


# optax

OPTAX = [
    (Constant(warmup=7), lambda optax: optax.warmup_constant_schedule(0.0, 1.0, 7)),
    (
        StepDecay(boundaries=(30, 60, 80), factor=0.3),
        lambda optax: optax.piecewise_constant_schedule(
            1.0, {30: 0.3, 60: 0.3, 80: 0.3}
        ),
    ),
    (
        Cosine(90, warmup=5, minimum=0.1),
        lambda optax: optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 90, 0.1),
    ),
    (
        Cosine(120, cycles=3),
        lambda optax: optax.sgdr_schedule(
            [
                {"init_value": 1.0, "peak_value": 1.0, "warmup_steps": 0}
                | {"decay_steps": 40}
            ]
            * 3
        ),
    ),
    (
        Linear(90, minimum=0.2, warmup=10),
        lambda optax: optax.join_schedules(
            [
                optax.linear_schedule(0.0, 1.0, 10),
                optax.linear_schedule(1.0, 0.2, 80),
            ],
            [10],
        ),
    ),
    (
        Exponential(0.03, warmup=8),
        lambda optax: optax.warmup_exponential_decay_schedule(
            0.0, 1.0, 8, 1, math.exp(-0.03)
        ),
    ),
    (
        OneCycle(100),
        lambda optax: optax.cosine_onecycle_schedule(100, 1.0),
    ),
]


@pytest.mark.heavy
@pytest.mark.parametrize(("schedule", "make"), each(OPTAX))
def test_shape_is_that_of_optax(schedule, make):
    theirs = make(pytest.importorskip("optax"))
    expected = [float(theirs(step)) for step in STEPS.tolist()]
    np.testing.assert_allclose(factors(schedule), expected, rtol=1e-5, atol=1e-6)
