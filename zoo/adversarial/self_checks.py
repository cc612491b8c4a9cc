"""What can make an attack fail on a model that is not robust, looked for."""

from collections.abc import Iterator

import numpy as np

from . import norms
from .apgd import APGD
from .attacked_model import AttackedModel
from .fgsm import FGSM
from .gradient_checks import FEW, UPPER_BOUND, check_gradients
from .pgd import PGD
from .square import Square

SQUARE_STEPS = 300  # on the sample, for each example that withstood all else
FEW_BY_SQUARE = 0.02  # of the examples: what more steps along gradients might break


def check_constant(
    target: AttackedModel,
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    *,
    steps: int,
    batch_size: int,
    **settings,
) -> Iterator[str]:
    """Finds a model that predicts one class wherever it is asked.

    Args:
        target: The model.
        x: Float32 array of all inputs.
        y: Int32 array of their classes.
        rows: Rows of a sample, which is classified correctly.
        steps: Steps of the attacks.
        batch_size: Examples that are attacked at a time.
        **settings: What else attacks take: norm, bounds, mask and seed.
    """
    if len(np.unique(y[rows])) > 1:
        return
    tried = _tried(x, settings)
    if len(np.unique(target.predict(tried, batch_size))) > 1:
        return
    widest = _widest(x, settings)
    square = Square(widest, steps=SQUARE_STEPS, **settings)
    for search in (*_searches(widest, steps, settings), square):
        found = target.attack(search, x, y, rows=rows, batch_size=batch_size)
        if found.broken[rows].any():
            return
    yield (
        f"The model predicts class {y[rows[0]]} at all {len(tried)} inputs that were "
        f"tried, {len(tried) - len(x)} random ones among them. With epsilon "
        f"{widest:.4g}, the largest that the bounds admit, no attack finds another "
        "class either: there seems to be nothing to break, and the robust accuracy is "
        "that of a constant prediction."
    )


def check_attacks(
    target: AttackedModel,
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    epsilon: float,
    *,
    random: bool,
    steps: int,
    batch_size: int,
    **settings,
) -> Iterator[str]:
    """Finds signs that gradients do not lead to adversarial examples that exist.

    Args:
        target: The model, whose predictions are not constant.
        x: Float32 array of all inputs.
        y: Int32 array of their classes.
        rows: Rows of a sample, which is classified correctly.
        epsilon: The largest epsilon of the evaluation, > 0.
        random: Whether the model is random in inference mode.
        steps: Steps of the attacks.
        batch_size: Examples that are attacked at a time.
        **settings: What else attacks take: norm, bounds, mask and seed.
    """

    def attack(attack, rows=rows):
        return target.attack(attack, x, y, rows=rows, batch_size=batch_size)

    size, few = len(rows), FEW * len(rows)
    if random:
        yield (
            "Two calls in inference mode on the same inputs differ: the model is "
            "random. It is taken to predict the class that most draws predict, with "
            "and without an attack. Most stages follow one draw, the stage "
            '"smoothed" the average of several. Switch the randomness off for a number '
            f"that can be reproduced. {UPPER_BOUND}"
        )
    else:
        yield from check_gradients(
            target, x[rows], y[rows], epsilon, batch_size=batch_size, **settings
        )
    single = attack(FGSM(epsilon, **settings))
    many = attack(PGD(epsilon, steps=steps, random_start=False, **settings))
    better = int((single.broken & ~many.broken)[rows].sum())
    if better > few:
        yield (
            f"A single step breaks {better} of {size} examples that {steps} steps "
            "within the same epsilon do not: the gradient points in directions that do "
            f"not last. {UPPER_BOUND}"
        )
    is_still = (many.adversarial == x).all(axis=tuple(range(1, x.ndim)))
    still = int((is_still & ~many.broken)[rows].sum())
    if still > few:
        yield (
            f"The attack left {still} of {size} examples where they were: no point "
            f"that it tried was worse for the model. {UPPER_BOUND}"
        )
    if settings["mask"] is not None:
        return
    left, widest = rows, _widest(x, settings)
    for search in _searches(widest, steps, settings):
        left = left[~attack(search, left).broken[left]]
    if len(left) > few:
        yield (
            f"With epsilon {widest:.4g}, at which every input can become any other, "
            f"{len(left)} of {size} examples are still classified correctly, although "
            "the model predicts other classes at other inputs: the attacks along "
            f"gradients fail, whatever epsilon. {UPPER_BOUND}"
        )


def _widest(x: np.ndarray, settings: dict) -> float:
    return norms.widest(settings["norm"], x.shape[1:], settings["bounds"])


def _searches(epsilon: float, steps: int, settings: dict) -> tuple[PGD, APGD]:
    return (
        PGD(epsilon, steps=steps, **settings),
        APGD(epsilon, loss="dlr", steps=steps, **settings),
    )


def _tried(x: np.ndarray, settings: dict) -> np.ndarray:
    """Returns all inputs, and as many that are random where they may change."""
    generator = np.random.default_rng(settings["seed"])
    noise = generator.uniform(*settings["bounds"], x.shape).astype("float32")
    mask = True if settings["mask"] is None else np.asarray(settings["mask"], bool)
    return np.concatenate([x, np.where(mask, noise, x)])


def are_finite(outputs: np.ndarray) -> np.ndarray:
    """Whether the outputs of each example say what it is classified as."""
    # Minus infinity rules a class out, which leaves the others as they are.
    return (outputs < np.inf).all(axis=1)


def check_finite(outputs: np.ndarray) -> Iterator[str]:
    """Finds outputs that are not finite, with which nothing can be classified."""
    finite = are_finite(outputs)
    if not finite.all():
        yield (
            f"The outputs are not finite (NaN or infinity) at {(~finite).sum()} of "
            f"{len(finite)} inputs without any attack: what is predicted there means "
            "nothing. Look for weights that diverged, an overflow, or a division by "
            "zero in the model."
        )


def check_square(broken: int, size: int) -> Iterator[str]:
    """Compares the search without gradients with the attacks along them.

    Args:
        broken: How many examples it broke that withstood all other stages.
        size: How many examples the sample has, all classified correctly.
    """
    if broken > FEW_BY_SQUARE * size:
        yield (
            f"A search that takes no gradients broke {broken} of {size} examples that "
            "withstood all attacks along gradients: the model hides its gradients. "
            f'The stage "square" counts what this search breaks. {UPPER_BOUND}'
        )


def check_transfer(predicted: np.ndarray, y: np.ndarray) -> Iterator[str]:
    """Compares what the model itself predicts with what broke in the attack."""
    right = int((predicted == y).sum())
    if right > FEW * len(y):
        yield (
            f"{right} of {len(y)} adversarial examples are classified correctly when "
            "the model sees them again: its predictions are not reproducible."
        )
