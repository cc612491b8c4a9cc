"""A function that evaluates a classifier under attack and checks the attacks."""

from collections.abc import Sequence

import keras
import numpy as np

from ...utils.arguments import check_choice, check_integer
from ...utils.paired_arguments import takes_pair
from ...utils.report_files import digest
from .. import norms
from ..attacks.apgd import APGD
from ..attacks.attack import Attack
from ..attacks.attack_arguments import (
    check_bounds,
    check_epsilon,
    check_epsilons,
    check_mask,
)
from ..attacks.fgsm import FGSM
from ..attacks.pgd import PGD
from ..certification.run_certification import run_certification
from ..classifier.classifier import Classifier
from ..classifier.classifier_trainer import trained_model
from ..classifier.data_checks import as_arrays
from .head_checks import check_accuracy, check_head
from .robustness_report import RobustnessReport
from .self_checks import check_certificates, check_finite
from .stage_runner import SAMPLE, StageRunner

TARGETS = 9  # maximum number of target classes in the stage "apgd_targeted"


@takes_pair("evaluate_robustness(model, (x, y), epsilons=0.06)")
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
    certify: bool = False,
    minimal: bool = False,
    seed: int = 0,
    verbose: int = 1,
) -> RobustnessReport:
    """Attacks a classifier in stages, and checks that the attacks are effective.

    The stages are:

    - "clean", without an attack,
    - "fgsm", a single step,
    - "pgd", several steps, with restarts,
    - "apgd_ce", "apgd_dlr" and, for more than two classes, "apgd_targeted", as in
      AutoAttack (Croce & Hein, 2020).

    Each stage attacks only the examples that withstood all earlier stages. An example
    that is broken (successfully attacked) at one epsilon counts as broken at all larger
    epsilons. The attacks use logits, even if the model ends in a softmax or sigmoid.
    The gradients of the attack objectives do not vanish, regardless of the scale of the
    logits.

    NOTE[DIFF] AutoAttack also runs FAB, and always runs the gradient-free Square
    attack. This function does not run FAB. It takes a sample of 200 examples, and first
    runs 300 steps of Square at the largest epsilon on those that withstood the other
    attacks. If this breaks any example, a "square" stage with 1,000 steps is added for
    all epsilons and all remaining examples. The full cost of Square is therefore
    incurred only if the gradient-based attacks are insufficient. Square does not
    support l1, so for l1 nothing reveals masked gradients except the checks below.

    If a check indicates that the attacks are ineffective, a "smoothed" stage is added.
    This stage follows gradients that are averaged over random points and, for a
    stochastic model, over several calls to the model. The prediction of a stochastic
    model is the majority vote over 101 calls.

    The checks verify the following conditions, mostly on a sample of 200 examples:

    - gradients do not vanish, and they correctly predict how the outputs change,
    - an attack with many steps breaks every example that a single step breaks, and
      attacks do change the inputs,
    - no example withstands an attack whose epsilon spans the full range of the bounds,
    - outputs are finite, predictions are not constant and inference is deterministic,
    - the loss that the model was compiled with matches the head (the final activation),
      and the clean accuracy matches the metrics that the model was compiled with.

    The `warnings` attribute of the report contains a warning for each failed check.

    A model with several outputs predicts the class with the largest output. A model
    with a single output predicts class 1 if the output exceeds a threshold:

    - The threshold is 0.5 for a sigmoid, for a squared error, and for other losses that
      drive outputs toward 0 and 1.
    - The threshold is 0 for logits, hinge losses and labels of -1 and 1, and for models
      that are not compiled and do not end in a sigmoid.
    - If the model was compiled with a `BinaryAccuracy` whose threshold is not 0.5, that
      threshold takes precedence.

    The weights, batch statistics and random state of the model do not change.

    Args:
        model: Built classifier with one input and one output. The model must end in
            logits, a softmax or a sigmoid. For an `AdversarialTrainer` or a
            `CertifiedTrainer`, the wrapped model is evaluated. Inputs may be integers,
            such as images with `keras.Input(..., dtype="uint8")`; they are perturbed as
            floats.
        data: Tuple of arrays `(x, y)`, or an iterable of batches of this form, such as
            `data.test`. Labels are integers, booleans or one-hot rows. If the model has
            a single output and was trained with a hinge loss or a squared error, the
            labels may be -1 and 1.
        epsilons: Number >= 0, or a sequence of such numbers: the maximum norm of a
            perturbation, in the units of the inputs. The model is evaluated at each
            epsilon.
        norm: "linf", "l2" or "l1". Defaults to `"linf"`.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        mask: Boolean array that broadcasts to the shape of an example and is true for
            the features that may change. Defaults to `None`: all features.
        steps: Integer >= 1: number of steps per restart of "pgd" and of the "apgd_*"
            stages; "smoothed" takes at most 50. Defaults to `100`.
        restarts: Integer >= 1: number of restarts of "pgd". Defaults to `5`.
        batch_size: Integer >= 1: number of examples that are attacked at the same time.
            The batch size does not affect the results, except for rounding errors.
            Defaults to `256`.
        certify: Whether to also compute the certified accuracy, with linear bounds, as
            `zoo.adversarial.certify` does. It is a lower bound for the accuracy under
            any attack. The layers of the model must be supported by `certify`. Defaults
            to `False`.
        minimal: Whether to also search for the smallest perturbation of each example,
            as `minimal_perturbations` does, in an additional stage "minimal". Defaults
            to `False`.
        seed: Integer >= 0: random seed. Defaults to `0`.
        verbose: 0 for no output, 1 for a progress bar. Defaults to `1`.

    Returns:
        A `RobustnessReport`, with `robust_accuracy`, `warnings`, `to_frame()`, `plot()`
        and `save()`. `print` shows the report as a table. `compare` compares two
        reports.

    Raises:
        ValueError: If an argument is invalid, if the data do not match the model, or if
            `certify` is true and the model contains a layer that is not supported.
        TypeError: If inputs and labels are passed as two arguments.

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
    epsilons = check_epsilons(epsilons)
    for name, value, least in (
        ("steps", steps, 1),
        ("restarts", restarts, 1),
        ("batch_size", batch_size, 1),
        ("seed", seed, 0),
    ):
        check_integer(name, value, minimum=least)
    check_choice("certify", certify, (True, False))
    check_choice("minimal", minimal, (True, False))
    check_choice("verbose", verbose, (0, 1))
    model = trained_model(model)
    classifier = Classifier(model)
    x, given = as_arrays(data)
    x, y = classifier.check_data(x, given, bounds)
    for epsilon in epsilons:
        check_epsilon(epsilon, norm, bounds, x.shape[1:], name="epsilons")
    settings = {"norm": norm, "bounds": bounds, "mask": mask, "seed": seed}
    FGSM(epsilons[-1], **settings).check_shape(x.shape[1:])
    certificate = None
    if certify:
        certificate = run_certification(
            classifier,
            x,
            y,
            epsilons,
            norm=norm,
            bounds=bounds,
            mask=check_mask(mask),
            batch_size=batch_size,
        )
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
    distances = runner.run_minimal(epsilons, 2 * steps) if minimal else None
    warnings += runner.check(epsilons, steps)
    if distances is not None:
        # Other stages may have found smaller perturbations.
        for epsilon, robust in runner.left_at.items():
            distances[~robust] = np.minimum(distances[~robust], epsilon)
    if certificate is not None:
        warnings += check_certificates(certificate.certified, runner.left_at)
    return RobustnessReport(
        tuple(runner.rows),
        warnings,
        norm,
        runner.examples(epsilons[-1]),
        runner.clean == y,
        runner.left_at,
        digest([x, y]),
        certificate,
        distances,
        {
            "steps": steps,
            "restarts": restarts,
            "bounds": list(bounds),  # as read from a file
            "mask": None if mask is None else _describe_mask(mask, x.shape[1:]),
        },
    )


def _describe_mask(mask, shape: tuple[int, ...]) -> str:
    mask = np.broadcast_to(check_mask(mask), shape)
    return f"{mask.sum()} of {mask.size} features ({digest([mask])[:8]})"


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
