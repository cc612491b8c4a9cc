"""What can make an attack fail on a model that is not robust, looked for."""

from collections.abc import Iterator

import numpy as np
from keras import ops

from ..differentiation import input_gradient, unchanged_state
from . import norms, objectives
from .apgd import APGD
from .attack import SCALE
from .attacked_model import AttackedModel
from .fgsm import FGSM
from .pgd import PGD

FEW = 0.05  # of the examples: what may be so by chance
UPPER_BOUND = "The robust accuracy is an upper bound."


def check_attacks(
    target: AttackedModel,
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    epsilon: float,
    *,
    steps: int,
    batch_size: int,
    **settings,
) -> Iterator[str]:
    """Finds signs that gradients do not lead to adversarial examples that exist.

    Args:
        target: The model.
        x: Float32 array of all inputs.
        y: Int32 array of their classes.
        rows: Rows of a sample, which is classified correctly.
        epsilon: The largest epsilon of the evaluation, > 0.
        steps: Steps of the attacks.
        batch_size: Examples that are attacked at a time.
        **settings: What else attacks take: norm, bounds, mask and seed.
    """

    def attack(attack, rows=rows):
        return target.attack(attack, x, y, rows=rows, batch_size=batch_size)

    size, few = len(rows), FEW * len(rows)
    if _is_random(target, x[rows]):
        yield (
            "Two calls in inference mode on the same inputs differ: the model is "
            "random, and the attack saw one draw of it. Average over draws, or switch "
            f"the randomness off. {UPPER_BOUND}"
        )
    zero, vanishing = _count_flat(target, x[rows], y[rows], settings)
    if zero > few:
        yield (
            f"The gradient with respect to the input is exactly zero at {zero} of "
            f"{size} examples: something in the model rounds, clips, casts or "
            f"saturates, and attacks along gradients cannot work. {UPPER_BOUND}"
        )
    elif zero + vanishing > few:
        yield (
            f"The gradient with respect to the input nearly vanishes at "
            f"{zero + vanishing} of {size} examples: followed through the whole "
            f"range of the inputs, it would not change a prediction. {UPPER_BOUND}"
        )
    single = attack(FGSM(epsilon, **settings))
    many = attack(PGD(epsilon, steps=steps, random_start=False, **settings))
    better = int((single.broken & ~many.broken)[rows].sum())
    if better > few:
        yield (
            f"A single step finds {better} of {size} examples that {steps} steps of "
            f"the same reach do not: gradients point the wrong way. {UPPER_BOUND}"
        )
    is_still = (many.adversarial == x).all(axis=tuple(range(1, x.ndim)))
    still = int((is_still & ~many.broken)[rows].sum())
    if still > few:
        yield (
            f"The attack moved {still} of {size} examples nowhere, since nothing it "
            f"met was worse than the input itself. {UPPER_BOUND}"
        )
    if settings["mask"] is not None:
        return
    widest = norms.widest(settings["norm"], x.shape[1:], settings["bounds"])
    left = rows
    for search in (
        PGD(widest, steps=steps, **settings),
        APGD(widest, loss="dlr", steps=steps, **settings),
    ):
        left = left[~attack(search, left).broken[left]]
    if len(left) > few:
        yield (
            f"With epsilon {widest:.4g}, at which every input can become any other, "
            f"{len(left)} of {size} examples are still classified correctly: the "
            f"attack fails, whatever epsilon. {UPPER_BOUND}"
        )


def check_transfer(predicted: np.ndarray, y: np.ndarray) -> Iterator[str]:
    """Compares what the model itself predicts with what broke in the attack."""
    right = int((predicted == y).sum())
    if right > FEW * len(y):
        yield (
            f"{right} of {len(y)} adversarial examples are classified correctly when "
            "the model sees them again: its predictions are not reproducible."
        )


def _count_flat(target, x, y, settings) -> tuple[int, int]:
    """Counts examples with a gradient of zero, and those with one that is tiny.

    Tiny is relative: that of a linear function that does not change by a tenth of the
    log-odds against the label while the input crosses all of its bounds.
    """
    norm, mask = settings["norm"], settings["mask"]
    mask = None if mask is None else ops.convert_to_tensor(np.float32(mask))

    def reach_and_odds(x, y):
        odds, gradient = input_gradient(
            lambda x: objectives.cross_entropy(target.logits(x), y) * SCALE, x
        )
        uphill = norms.direction(norm, gradient, mask)
        reach = ops.sum(uphill * gradient, axis=tuple(range(1, len(x.shape))))
        return ops.stack([reach, odds]) / SCALE

    reach, odds = target.compute_once(reach_and_odds, x, y)
    widest = norms.widest(norm, x.shape[1:], settings["bounds"])
    reach = np.nan_to_num(reach) * widest
    zero = reach == 0
    return int(zero.sum()), int((~zero & (reach < 0.1 * np.abs(odds))).sum())


def _is_random(target, x) -> bool:
    with unchanged_state():
        first, second = (
            np.asarray(ops.convert_to_numpy(target.logits(x))) for _ in range(2)
        )
    spread = np.abs(first - first.mean(axis=1, keepdims=True)).max()
    return bool(np.abs(first - second).max() > 1e-3 * spread)
