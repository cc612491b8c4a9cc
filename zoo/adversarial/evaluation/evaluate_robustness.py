"""A function that evaluates a classifier under attack and checks the attacks."""

from collections.abc import Sequence
from numbers import Real

import keras
import numpy as np

from ...utils.arguments import check_choice, check_integer, invalid_argument
from .. import norms
from ..attacks.apgd import APGD
from ..attacks.attack import Attack
from ..attacks.attack_arguments import check_bounds, check_epsilon
from ..attacks.fgsm import FGSM
from ..attacks.pgd import PGD
from ..classifier.classifier import Classifier
from ..classifier.classifier_trainer import ClassifierTrainer
from ..classifier.float_inputs import only
from .head_checks import check_accuracy, check_head
from .robustness_report import RobustnessReport
from .self_checks import check_finite
from .stage_runner import SAMPLE, StageRunner

TARGETS = 9  # maximum number of classes that the targeted stage tries


def evaluate_robustness(
    model: keras.Model,
    data,
    epsilons: float | Sequence[float],
    *,
    norm: str = "linf",
    bounds: tuple[float, float] = (0.0, 1.0),
    mask=None,
    steps: int = 100,
    restarts: int = 5,
    batch_size: int = 256,
    seed: int = 0,
    verbose: int = 1,
) -> RobustnessReport:
    """Attacks a classifier in stages, and checks that the attacks are effective.

    The stages are "clean"; "fgsm", a single step; "pgd", with restarts; and "apgd_ce",
    "apgd_dlr" and "apgd_targeted", as in AutoAttack (Croce & Hein, 2020). Each stage
    attacks only the examples that withstood all earlier stages. An example broken at
    one epsilon counts as broken at all larger ones. The attacks use logits, even if
    the model ends in a softmax or sigmoid. Their objectives have gradients that do not
    vanish at any scale of the logits.

    NOTE[DIFF] AutoAttack also runs FAB, and always runs the gradient-free Square
    attack. This function first runs 300 steps of Square at the largest epsilon, on the
    examples that withstood the other attacks in a sample of 200. If they break any,
    1,000 steps of Square become the stage "square", for all examples and epsilons. The
    extra cost thus arises only if gradients do not suffice.

    If a check finds that attacks fail, the stage "smoothed" follows gradients averaged
    over random points, and over several draws of a random model. The prediction of a
    random model is the majority vote of 101 draws.

    The checks test, mostly on a sample of 200 examples, that

    - gradients do not vanish and predict the change of the outputs,
    - many steps find what a single step finds, and attacks move the inputs,
    - no example is robust with epsilon as wide as the bounds,
    - outputs are finite, predictions are not constant and inference is not random,
    - the compiled loss matches the head, and the clean accuracy matches the compiled
      metrics.

    `report.warnings` lists the checks that failed.

    With several outputs, the largest one is the prediction. A single output predicts
    class 1 above a threshold. The threshold is 0.5 for a sigmoid, a squared error, and
    other losses that drive outputs to 0 and 1. It is 0 for logits, hinge losses, labels
    -1 and 1, and models that are not compiled. A threshold other than 0.5 in a compiled
    `BinaryAccuracy` takes precedence.

    The weights, batch statistics and random state of the model do not change.

    Args:
        model: Built classifier with one input and one output that ends in logits,
            softmax or sigmoid. For an `AdversarialTrainer`, its inner model is
            evaluated. Images may be integers, `keras.Input(..., dtype="uint8")`; they
            are perturbed as floats.
        data: Arrays `(x, y)`, or an iterable of such batches, such as `data.test`.
            Labels are integers, booleans or one-hot rows. For a single output trained
            with a hinge loss or a squared error, they may be -1 and 1.
        epsilons: Number or sequence of numbers >= 0: the largest norms of a
            perturbation, in the units of the inputs.
        norm: "linf" or "l2". Defaults to `"linf"`.
        bounds: The minimum and maximum value of an input. Defaults to `(0.0, 1.0)`.
        mask: Booleans that broadcast to the shape of an example: the features that
            may change. Defaults to `None`: all.
        steps: Integer >= 1: steps of each search in "pgd" and the stages "apgd_*";
            "smoothed" takes at most 50. Defaults to `100`.
        restarts: Integer >= 1: restarts of "pgd". Defaults to `5`.
        batch_size: Integer >= 1: number of examples that are attacked at once. It does
            not affect the results, up to rounding. Defaults to `256`.
        seed: Integer >= 0: seed of the random numbers. Defaults to `0`.
        verbose: 0 is silent, 1 shows a progress bar. Defaults to `1`.

    Returns:
        A `RobustnessReport`, with `robust_accuracy`, `warnings`, `to_frame()` and
        `plot()`. `print` shows it as a table.

    Raises:
        ValueError: If an argument is invalid, or the data do not fit the model.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([-0.5, 0.5])])
    >>> x = np.array([[0.625, 0.5], [0.125, 0.5], [0.75, 0.0], [0.25, 0.75]])
    >>> report = evaluate_robustness(
    ...     model, (x, np.array([0, 1, 0, 1])), epsilons=(0.0, 0.2, 0.3), verbose=0
    ... )
    >>> report.robust_accuracy
    {0.0: 1.0, 0.2: 0.75, 0.3: 0.25}
    >>> report.warnings
    []
    """
    bounds = check_bounds(bounds)
    check_choice("norm", norm, norms.NORMS)
    epsilons = _check_epsilons(epsilons)
    for name, value, least in (
        ("steps", steps, 1),
        ("restarts", restarts, 1),
        ("batch_size", batch_size, 1),
        ("seed", seed, 0),
    ):
        check_integer(name, value, minimum=least)
    check_choice("verbose", verbose, (0, 1))
    if isinstance(model, ClassifierTrainer):
        model = model.model
    classifier = Classifier(model)
    x, given = _arrays(data)
    x, y = classifier.check_data(x, given, bounds)
    for epsilon in epsilons:
        check_epsilon(epsilon, norm, bounds, x.shape[1:], name="epsilons")
    settings = {"norm": norm, "bounds": bounds, "mask": mask, "seed": seed}
    FGSM(epsilons[-1], **settings).check_shape(x.shape[1:])
    runner = StageRunner(classifier, x, y, settings, batch_size)
    sample = runner.outputs[:SAMPLE]
    warnings = [
        *check_head(classifier, sample),
        *check_finite(sample),
        *check_accuracy(model, classifier.head, given, y, runner.outputs),
    ]
    num_classes = classifier.head.num_classes
    stages = _stages(epsilons[-1], settings, steps, restarts, num_classes)
    runner.run(epsilons, stages, verbose)
    warnings += runner.check(epsilons, steps)
    return RobustnessReport(
        tuple(runner.rows), warnings, norm, runner.examples(epsilons[-1])
    )


def _stages(epsilon, settings, steps, restarts, num_classes) -> dict[str, Attack]:
    stages = {
        "fgsm": FGSM(epsilon, **settings),
        "pgd": PGD(epsilon, steps=steps, restarts=restarts, **settings),
        "apgd_ce": APGD(epsilon, steps=steps, **settings),
        "apgd_dlr": APGD(epsilon, loss="dlr", steps=steps, **settings),
    }
    if num_classes > 2:
        targets = min(TARGETS, num_classes - 1)
        options = {"loss": "targeted_dlr", "steps": steps, "restarts": targets}
        stages["apgd_targeted"] = APGD(epsilon, **options, **settings)
    return stages


def _check_epsilons(epsilons) -> list[float]:
    if isinstance(epsilons, Real):
        epsilons = [epsilons]
    if isinstance(epsilons, str) or not len(np.shape(epsilons)) == 1:
        raise invalid_argument("epsilons", "a number or several numbers", epsilons)
    if not len(epsilons):
        raise invalid_argument("epsilons", "one number at least", epsilons)
    return sorted(
        {check_epsilon(value, "l2", (0, 1), name="epsilons") for value in epsilons}
    )


def _arrays(data) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels, given a pair of arrays or batches of pairs."""
    if isinstance(data, tuple) and len(data) == 2:
        return tuple(keras.ops.convert_to_numpy(only(array)) for array in data)
    try:
        if hasattr(data, "shape"):
            raise TypeError("The labels are missing.")
        pairs = [batch[:2] for batch in data]
        x, y = (
            np.concatenate([keras.ops.convert_to_numpy(only(one)) for one in batches])
            for batches in zip(*pairs, strict=True)
        )
    except (TypeError, ValueError) as error:
        expected = "arrays (x, y), or batches of them"
        raise invalid_argument("data", expected, data, f"{error}") from None
    return x, y
