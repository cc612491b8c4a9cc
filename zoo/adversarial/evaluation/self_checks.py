"""Checks for faults that make attacks fail even though the model is not robust."""

from collections.abc import Iterator

import numpy as np

from .. import norms
from ..attacks.apgd import APGD
from ..attacks.attack import Attack
from ..attacks.fgsm import FGSM
from ..attacks.pgd import PGD
from ..attacks.run_attack import run_attack
from ..attacks.square import Square
from ..classifier.classifier import Classifier
from .gradient_checks import FEW, UPPER_BOUND, check_gradients

SQUARE_STEPS = 300  # steps of the Square attack on the sample
# Tolerated fraction of examples that only Square breaks. More gradient steps might
# break them, too.
FEW_BY_SQUARE = 0.02


def check_constant(
    classifier: Classifier,
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    *,
    steps: int,
    batch_size: int,
    **settings,
) -> Iterator[str]:
    """Checks whether the model always predicts the same class.

    Args:
        classifier: The model.
        x: Float32 array of all inputs.
        y: Int32 array of the true classes.
        rows: Indices of a sample of correctly classified inputs.
        steps: Number of steps of the attacks.
        batch_size: Number of examples that are attacked at the same time.
        **settings: Other settings of the attacks: norm, bounds, mask and seed.

    Yields:
        A warning if the prediction is constant.
    """
    if len(np.unique(y[rows])) > 1:
        return
    tried = _tried(x, settings)
    if len(np.unique(classifier.predict(tried, batch_size))) > 1:
        return
    widest = _widest(x, settings)
    searches: list[Attack] = [*_searches(widest, steps, settings)]
    if settings["norm"] in Square.supported_norms:
        searches.append(Square(widest, steps=SQUARE_STEPS, **settings))
    for search in searches:
        found = run_attack(search, classifier, x, y, rows=rows, batch_size=batch_size)
        if found.broken[rows].any():
            return
    yield (
        f"The model predicts class {y[rows[0]]} at all {len(tried)} inputs that were "
        f"tried, including {len(tried) - len(x)} random inputs. With epsilon "
        f"{widest:.4g}, which spans the full range of the bounds, no attack finds a "
        "different class either. There seems to be nothing to break: the robust "
        "accuracy is that of a constant prediction."
    )


def check_attacks(
    classifier: Classifier,
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
    """Detects signs that gradient-based attacks miss adversarial examples.

    Args:
        classifier: The model. Its predictions must not be constant.
        x: Float32 array of all inputs.
        y: Int32 array of the true classes.
        rows: Indices of a sample of correctly classified inputs.
        epsilon: Number > 0: the largest epsilon of the evaluation.
        random: Whether the model is stochastic in inference mode.
        steps: Number of steps of the attacks.
        batch_size: Number of examples that are attacked at the same time.
        **settings: Other settings of the attacks: norm, bounds, mask and seed.

    Yields:
        A warning for each problem that is found.
    """

    def attack(attack, rows=rows):
        return run_attack(attack, classifier, x, y, rows=rows, batch_size=batch_size)

    size, few = len(rows), FEW * len(rows)
    if random:
        yield (
            "Two calls in inference mode give different outputs for the same inputs: "
            "the model is random. Its prediction, with and without an attack, is the "
            "majority vote of several draws. Most stages follow a single draw; the "
            'stage "smoothed" follows the average of several. Turn off the randomness '
            f"to get the same outputs in every call. {UPPER_BOUND}"
        )
    else:
        yield from check_gradients(
            classifier, x[rows], y[rows], epsilon, batch_size=batch_size, **settings
        )
    single = attack(FGSM(epsilon, **settings))
    many = attack(PGD(epsilon, steps=steps, random_start=False, **settings))
    better = int((single.broken & ~many.broken)[rows].sum())
    if better > few:
        yield (
            f"A single step breaks {better} of {size} examples that {steps} steps with "
            "the same epsilon do not break. The direction of the gradient is not "
            f"consistent from step to step. {UPPER_BOUND}"
        )
    is_still = (many.adversarial == x).all(axis=tuple(range(1, x.ndim)))
    still = int((is_still & ~many.broken)[rows].sum())
    if still > few:
        yield (
            f"The attack left {still} of {size} examples unchanged: no point that it "
            f"tried increased the objective. {UPPER_BOUND}"
        )
    if settings["mask"] is not None:
        return
    left, widest = rows, _widest(x, settings)
    for search in _searches(widest, steps, settings):
        left = left[~attack(search, left).broken[left]]
    if len(left) > few:
        yield (
            f"With epsilon {widest:.4g}, which allows any change within the bounds, "
            f"{len(left)} of {size} examples are still classified correctly, although "
            "the model predicts other classes for other inputs. Gradient-based attacks "
            f"fail regardless of epsilon. {UPPER_BOUND}"
        )


def _widest(x: np.ndarray, settings: dict) -> float:
    return norms.widest(settings["norm"], x.shape[1:], settings["bounds"])


def _searches(epsilon: float, steps: int, settings: dict) -> tuple[PGD, APGD]:
    return (
        PGD(epsilon, steps=steps, **settings),
        APGD(epsilon, loss="dlr", steps=steps, **settings),
    )


def _tried(x: np.ndarray, settings: dict) -> np.ndarray:
    """Returns all inputs, followed by copies with random values.

    Features that the mask excludes keep their values in the copies.
    """
    generator = np.random.default_rng(settings["seed"])
    noise = generator.uniform(*settings["bounds"], x.shape).astype("float32")
    mask = True if settings["mask"] is None else np.asarray(settings["mask"], bool)
    return np.concatenate([x, np.where(mask, noise, x)])


def are_finite(outputs: np.ndarray) -> np.ndarray:
    """Returns, for each example, whether its outputs determine a class.

    The class is undefined if any output is NaN or positive infinity.
    """
    # Negative infinity only excludes a class; the other outputs determine the class.
    return (outputs < np.inf).all(axis=1)


def check_finite(outputs: np.ndarray) -> Iterator[str]:
    """Detects outputs that do not determine a class: NaN and positive infinity."""
    finite = are_finite(outputs)
    if not finite.all():
        yield (
            f"The outputs are not finite (NaN or infinity) at {(~finite).sum()} of "
            f"{len(finite)} inputs, even without an attack. Predictions for these "
            "inputs are meaningless. Look for diverged weights, an overflow or a "
            "division by zero in the model."
        )


def check_square(broken: int, size: int) -> Iterator[str]:
    """Compares the gradient-free Square attack with gradient-based attacks.

    Args:
        broken: Number of examples that only the Square attack broke.
        size: Number of examples in the sample, all of which are correctly classified.

    Yields:
        A warning if the Square attack broke too many examples.
    """
    if broken > FEW_BY_SQUARE * size:
        yield (
            f"A search that takes no gradients broke {broken} of {size} examples that "
            "withstood all gradient-based attacks: the model masks its gradients. "
            f'The stage "square" adds this search to the evaluation. {UPPER_BOUND}'
        )


def check_transfer(predicted: np.ndarray, y: np.ndarray) -> Iterator[str]:
    """Checks whether adversarial examples are misclassified when evaluated again.

    Args:
        predicted: Classes that the model predicts for the adversarial examples.
        y: True classes of these examples.

    Yields:
        A warning if the model classifies too many of the examples correctly.
    """
    right = int((predicted == y).sum())
    if right > FEW * len(y):
        yield (
            f"{right} of {len(y)} adversarial examples are classified correctly when "
            "the model is evaluated again: its predictions are not reproducible."
        )


def check_certificates(
    certified: dict[float, np.ndarray], robust: dict[float, np.ndarray]
) -> Iterator[str]:
    """Checks that no attack has broken a certified example.

    Args:
        certified: Dict that maps each epsilon to a bool array: the certified examples.
        robust: Dict that maps each epsilon to a bool array: the examples that withstood
            all attacks.

    Yields:
        A warning if an example is certified and broken.
    """
    for epsilon, withstood in robust.items():
        count = int((certified[epsilon] & ~withstood).sum())
        if count:
            yield (
                f"At epsilon {epsilon:g}, attacks have broken {count} certified "
                "examples. Does the device compute in TensorFloat-32? Otherwise, this "
                "is a bug in the certificates. Please report it."
            )
