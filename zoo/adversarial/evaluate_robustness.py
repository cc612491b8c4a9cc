"""The accuracy of a classifier under attack, with checks that attacks work."""

import time
from collections.abc import Sequence
from numbers import Real

import keras
import numpy as np

from ..arguments import check_choice, check_integer, invalid_argument
from . import norms
from .adversarial_trainer import AdversarialTrainer
from .apgd import APGD
from .attack import Attack, check_bounds, check_epsilon
from .attacked_model import AttackedModel
from .fgsm import FGSM
from .gradient_checks import is_random
from .head_checks import check_accuracy, check_head
from .model_call import only
from .pgd import PGD
from .robustness_report import MAX_SHOWN, RobustnessReport, wilson_interval
from .self_checks import (
    FEW,
    SQUARE_STEPS,
    UPPER_BOUND,
    are_finite,
    check_attacks,
    check_constant,
    check_finite,
    check_square,
    check_transfer,
)
from .smoothed import WIDTHS, Smoothed
from .square import Square

SAMPLE = 200  # examples of the self-checks
SMOOTHED_STEPS = 50
DRAWS = 15  # of a random model: what most of them misclassify is broken
STAGE_STEPS = 1000  # of the Square attack, where it breaks more than others do
TARGETS = 9  # classes that the targeted stage tries
TOLERANCE = 1e-5  # of the bounds: the rounding of float32


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
    """Attacks a classifier in stages, and checks that the attacks can work on it.

    The stages are "clean"; "fgsm", a single step; "pgd", with restarts; "apgd_ce",
    "apgd_dlr" and "apgd_targeted", as in AutoAttack (Croce & Hein, 2020). Each attacks
    only what withstood all before it, and what is broken at one epsilon counts as
    broken at all larger ones. Logits are attacked, also where the model ends in a
    softmax or sigmoid, with objectives whose gradients no scale of the logits makes
    vanish.

    NOTE[DIFF] AutoAttack also runs FAB, and always the Square attack, which takes no
    gradients. Here 300 steps of it run on what withstood in a sample of 200 examples,
    at the largest epsilon. If they break any, 1,000 steps become the stage "square",
    for all examples and epsilons: it costs more only where gradients are not enough.
    Where a check finds that attacks fail, the stage "smoothed" follows gradients that
    are averaged over random points, and over draws of a random model. Of a random
    model an example counts as broken if most of 15 draws misclassify it.

    On a sample of the examples it is checked that gradients do not vanish and say how
    the outputs change, that many steps find what one does, that attacks move inputs,
    that nothing is robust with epsilon as wide as the bounds, that outputs are finite
    and inference is not random; that the compiled loss fits the head, and that the
    clean accuracy is that of the compiled metrics. What fails is in `report.warnings`.

    Of several outputs the largest is the prediction. A single one predicts class 1
    above a threshold: 0.5 for a sigmoid, and for a squared error or another loss that
    drives outputs to 0 and 1; 0 for logits, for hinge losses, and for a model that is
    not compiled; that of a compiled `BinaryAccuracy` where it is not 0.5.

    The model stays as it is: weights, batch statistics, random state.

    Args:
        model: Built classifier of one input and one output, ending in logits, softmax
            or sigmoid; of an `AdversarialTrainer`, its model. Images may come in as
            integers, `keras.Input(..., dtype="uint8")`: they are perturbed as floats.
        data: Arrays `(x, y)`, or batches of them, as `data.test`. Labels are integers,
            booleans or one-hot; for a single output trained with a hinge or a squared
            error they may be -1 and 1.
        epsilons: The largest norms of a perturbation, numbers >= 0 in the units of
            the inputs.
        norm: "linf" or "l2". Defaults to `"linf"`.
        bounds: The lowest and the highest value of an input. Defaults to
            `(0.0, 1.0)`.
        mask: Booleans that broadcast to the shape of an example: the features that
            may change. Defaults to `None`: all.
        steps: Integer >= 1: steps of each search after the first stage. Defaults to
            `100`.
        restarts: Integer >= 1: restarts of "pgd". Defaults to `5`.
        batch_size: Integer >= 1: examples that are attacked at a time; the results
            do not depend on it, up to rounding. Defaults to `256`.
        seed: Integer >= 0 of the random starts. Defaults to `0`.
        verbose: 0 is silent, 1 shows a progress bar. Defaults to `1`.

    Returns:
        A `RobustnessReport`, with `robust_accuracy`, `warnings`, `to_frame()` and
        `plot()`; `print` shows it as a table.

    Raises:
        ValueError: If an argument is invalid, or model and data do not fit.

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
    if isinstance(model, AdversarialTrainer):
        model = model.model
    target = AttackedModel(model)
    x, given = _arrays(data)
    x, y = target.check_data(x, given, bounds)
    for epsilon in epsilons:
        check_epsilon(epsilon, norm, bounds, x.shape[1:], name="epsilons")
    settings = {"norm": norm, "bounds": bounds, "mask": mask, "seed": seed}
    FGSM(epsilons[-1], **settings).check_shape(x.shape[1:])
    warnings = list(check_head(target, x[:SAMPLE]))
    warnings += check_finite(target.compute(target.logits, x[:SAMPLE], batch_size))
    evaluation = _Evaluation(target, x, y, settings, batch_size)
    warnings += check_accuracy(model, target.head, given, y, evaluation.outputs)
    num_classes = max(2, target.head.num_outputs)
    stages = _stages(epsilons[-1], settings, steps, restarts, num_classes)
    evaluation.run(epsilons, stages, verbose)
    correct = np.flatnonzero(evaluation.clean == y)[:SAMPLE]
    if not len(correct):
        warnings.append("No example is classified correctly, without any attack.")
    else:
        logits = target.compute(target.logits, x[correct], batch_size)
        correct = correct[are_finite(logits)]
    if len(correct) and epsilons[-1] > 0:
        options = {"steps": steps, "batch_size": batch_size, **settings}
        warnings += evaluation.check(correct, epsilons, options)
        warnings += evaluation.verify(epsilons[-1])
    return RobustnessReport(
        tuple(evaluation.rows), warnings, norm, evaluation.examples(epsilons[-1])
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


class _Evaluation:
    """Runs the stages, and keeps what broke."""

    def __init__(self, target, x, y, settings, batch_size):
        self.target, self.x, self.y = target, x, y
        self.settings, self.batch_size = settings, batch_size
        self.rows = []
        self.adversarial = x.copy()
        start = time.perf_counter()
        self.outputs = target.compute(target.outputs, x, batch_size)
        self.random = is_random(target, x[:SAMPLE])
        self.clean = target.head.classes(self.outputs)
        self.clean_seconds = time.perf_counter() - start
        self.left = self.clean == y
        self.left_at = {}  # every epsilon

    def run(self, epsilons, stages, verbose) -> None:
        bar = _Bar(len(epsilons) * len(stages), verbose)
        for epsilon in epsilons:
            clean = int((self.clean == self.y).sum())
            self._add_row(epsilon, "clean", len(self.x), clean, self.clean_seconds)
            self.clean_seconds = 0.0  # of the later epsilons: it was computed once
            for stage, attack in stages.items():
                bar.begin(stage, epsilon)
                self._attack(stage, attack.with_epsilon(epsilon), bar.advance)
            self.left_at[epsilon] = self.left
        bar.finish()

    def check(self, sample, epsilons, options) -> list[str]:
        """Checks the attacks, and where they fail runs those that need no gradients."""
        data = self.target, self.x, self.y, sample
        constant = list(check_constant(*data, **options))
        if constant:
            return constant
        random = {"random": self.random}
        found = list(check_attacks(*data, epsilons[-1], **random, **options))
        left = sample[self.left[sample]]
        square = Square(epsilons[-1], steps=SQUARE_STEPS, **self.settings)
        broken = int(self._find(square, left).broken[left].sum())
        found += check_square(broken, len(sample))
        stages = {}
        if found:
            steps = min(options["steps"], SMOOTHED_STEPS)
            smoothed = {
                "steps": steps,
                "restarts": len(WIDTHS),
                "random": self.random,
            }
            stages["smoothed"] = Smoothed(epsilons[-1], **smoothed, **self.settings)
        if broken:
            stages["square"] = Square(epsilons[-1], steps=STAGE_STEPS, **self.settings)
        self._run_again(epsilons, stages)
        return found

    def _run_again(self, epsilons, stages) -> None:
        """Adds stages at the end of those of every epsilon."""
        before = np.ones(len(self.x), bool)
        for epsilon in epsilons:
            self.left = before & self.left_at[epsilon]
            for stage, attack in stages.items():
                self._attack(stage, attack.with_epsilon(epsilon))
            before = self.left
        self.rows.sort(key=lambda row: row["epsilon"])

    def verify(self, epsilon) -> list[str]:
        """Looks again at what broke, as the model itself sees it."""
        broken = (self.clean == self.y) & ~self.left
        warnings = []
        if broken.any():
            predicted = self.target.predict(self.adversarial[broken], self.batch_size)
            warnings += check_transfer(predicted, self.y[broken])
        attacked = [row for row in self.rows if row["attacked"]]
        lost = [row for row in attacked if row["non_finite"] > FEW * row["attacked"]]
        if lost:
            worst = max(lost, key=lambda row: row["non_finite"])
            warnings.append(
                f"In the stage {worst['stage']} at epsilon {worst['epsilon']:g}, an "
                "objective or a gradient was not finite (NaN or infinity) at "
                f"{worst['non_finite']} of {worst['attacked']} examples: the attack "
                f"could not follow it. {UPPER_BOUND}"
            )
        low, high = self.settings["bounds"]
        slack = TOLERANCE * (high - low)
        largest = max(row["largest_perturbation"] for row in self.rows)
        inside = (self.adversarial >= low) & (self.adversarial <= high)
        if largest > epsilon + slack or not inside.all():
            warnings.append(
                "A perturbation is larger than epsilon or leaves the bounds. This is "
                "an error of the evaluation, not of the model: please report it."
            )
        return warnings

    def examples(self, epsilon) -> dict:
        """Returns what the panel shows: the first examples that broke."""
        shown = np.flatnonzero((self.clean == self.y) & ~self.left)[:MAX_SHOWN]
        adversarial = self.adversarial[shown]
        fooled = self.target.predict(adversarial) if len(shown) else self.y[:0]
        return {
            "epsilon": epsilon,
            "x": self.x[shown],
            "adversarial": adversarial,
            "label": self.y[shown],
            "predicted": self.clean[shown],
            "fooled": fooled,
        }

    def _find(self, attack, rows, **options):
        options = {"rows": rows, "batch_size": self.batch_size, **options}
        found = self.target.attack(attack, self.x, self.y, **options)
        if self.random:
            votes = self.target.draws(found.adversarial[rows], DRAWS, self.batch_size)
            found.broken[rows] = (votes != self.y[rows]).mean(axis=0) > 0.5
        return found

    def _attack(self, stage, attack, on_progress=lambda share: None):
        start = time.perf_counter()
        rows = np.flatnonzero(self.left) if attack.epsilon > 0 else np.arange(0)
        found = self._find(attack, rows, on_progress=on_progress)
        self.left = self.left.copy()
        self.left[rows] = ~found.broken[rows]
        self.adversarial[rows] = found.adversarial[rows]
        self._add_row(
            attack.epsilon,
            stage,
            len(rows),
            int(self.left.sum()),
            time.perf_counter() - start,
            broken=int(found.broken[rows].sum()),
            largest=self._largest(rows),
            non_finite=int(found.non_finite.sum()),
        )

    def _largest(self, rows) -> float:
        if not len(rows):
            return 0.0
        delta = self.adversarial[rows].astype("float64") - self.x[rows]
        order = np.inf if self.settings["norm"] == "linf" else 2
        sizes = np.linalg.norm(delta.reshape(len(delta), -1), order, axis=1)
        return float(sizes.max())

    def _add_row(
        self,
        epsilon,
        stage,
        attacked,
        correct,
        seconds,
        broken=0,
        largest=0.0,
        non_finite=0,
    ):
        low, high = wilson_interval(correct, len(self.x))
        self.rows.append(
            {
                "epsilon": epsilon,
                "stage": stage,
                "accuracy": correct / len(self.x),
                "low": low,
                "high": high,
                "attacked": attacked,
                "broken": broken,
                "largest_perturbation": largest,
                "non_finite": non_finite,
                "seconds": seconds,
                "seed": self.settings["seed"],
            }
        )


class _Bar:
    """A progress bar of stages, which shows a share of the stage that runs."""

    def __init__(self, stages: int, verbose: int):
        self._bar = keras.utils.Progbar(100 * stages, verbose=verbose)
        self._done, self._begun = 0.0, -100

    def begin(self, stage: str, epsilon: float) -> None:
        self._begun += 100
        self._done = float(self._begun)

    def advance(self, share: float) -> None:
        self._done += 100 * share
        self._bar.update(int(min(self._done, self._bar.target - 1)), finalize=False)

    def finish(self) -> None:
        self._bar.update(self._bar.target, finalize=True)


def _check_epsilons(epsilons) -> list[float]:
    if isinstance(epsilons, Real):
        epsilons = [epsilons]
    if isinstance(epsilons, str) or not len(np.shape(epsilons)) == 1:
        raise invalid_argument("epsilons", "a number or several", epsilons)
    if not len(epsilons):
        raise invalid_argument("epsilons", "one number at least", epsilons)
    return sorted(
        {check_epsilon(value, "l2", (0, 1), name="epsilons") for value in epsilons}
    )


def _arrays(data) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels of a pair of arrays, or of batches of pairs."""
    if isinstance(data, tuple) and len(data) == 2:
        return tuple(keras.ops.convert_to_numpy(only(part)) for part in data)
    try:
        if hasattr(data, "shape"):
            raise TypeError("The labels are missing.")
        pairs = [batch[:2] for batch in data]
        x, y = (
            np.concatenate([keras.ops.convert_to_numpy(only(part)) for part in parts])
            for parts in zip(*pairs, strict=True)
        )
    except (TypeError, ValueError) as error:
        expected = "arrays (x, y), or batches of them"
        raise invalid_argument("data", expected, data, f"{error}") from None
    return x, y
