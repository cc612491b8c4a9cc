"""Runs the stages and checks of `evaluate_robustness`."""

import time

import keras
import numpy as np

from ...utils.confidence_intervals import wilson_interval
from .. import norms
from ..attacks.attack import Attack
from ..attacks.minimal_norm import find_smallest
from ..attacks.run_attack import run_attack
from ..attacks.smoothed import WIDTHS, Smoothed
from ..attacks.square import Square
from ..classifier.classifier import Classifier
from .gradient_checks import is_random
from .robustness_plot import MAX_SHOWN
from .self_checks import (
    FEW,
    SQUARE_STEPS,
    UPPER_BOUND,
    are_finite,
    check_attacks,
    check_constant,
    check_square,
    check_transfer,
)

SAMPLE = 200  # number of examples in the self-checks
SMOOTHED_STEPS = 50
STAGE_STEPS = 1000  # steps of the stage "square"
DRAWS = 101  # number of draws in a majority vote of a stochastic model
TOLERANCE = 1e-5  # for float32 rounding, relative to the width of the bounds


class StageRunner:
    """Runs the stages, and stores the adversarial examples.

    Args:
        classifier: The wrapped model, after a call to `classifier.check_data`.
        x: Float32 array of all inputs.
        y: Int32 array of the true classes.
        settings: Settings of all attacks: norm, bounds, mask and seed.
        batch_size: Number of examples that are attacked at the same time.

    Attributes:
        outputs: Array of the model's outputs for `x`; for a stochastic model, the
            outputs of a single call.
        clean: Int array of the classes that the model predicts for `x`.
        rows: Rows of the report: a list of dicts, as described in `RobustnessReport`.
        left_at: Dict that maps each epsilon to a bool array: the examples that
            withstood all attacks.
    """

    def __init__(
        self,
        classifier: Classifier,
        x: np.ndarray,
        y: np.ndarray,
        settings: dict,
        batch_size: int,
    ):
        self.classifier, self.x, self.y = classifier, x, y
        self.settings, self.batch_size = settings, batch_size
        self.rows: list[dict] = []
        self.adversarial = x.copy()
        start = time.perf_counter()
        self.outputs = classifier.compute(classifier.outputs, x, batch_size)
        self.random = is_random(classifier, x[:SAMPLE])
        self.clean = (
            self._vote(x) if self.random else classifier.head.classes(self.outputs)
        )
        self.clean_seconds = time.perf_counter() - start
        self.left = self.clean == y
        self.left_at: dict[float, np.ndarray] = {}

    def run(self, epsilons: list[float], stages: dict[str, Attack], verbose) -> None:
        """Runs the stages, each on the examples that withstood all earlier stages."""
        bar = _Bar(len(epsilons) * len(stages), verbose)
        for epsilon in epsilons:
            clean = int((self.clean == self.y).sum())
            self._add_row(epsilon, "clean", len(self.x), clean, self.clean_seconds)
            self.clean_seconds = 0.0  # counted only once, at the first epsilon
            for stage, attack in stages.items():
                bar.begin(stage, epsilon)
                self._attack(stage, attack.with_epsilon(epsilon), bar.advance)
            self.left_at[epsilon] = self.left
        bar.finish()

    def run_minimal(self, epsilons: list[float], steps: int) -> np.ndarray:
        """Adds a stage that searches for the smallest perturbation of each example.

        Args:
            epsilons: Epsilons of the evaluation, in increasing order.
            steps: Number of steps of the attack.

        Returns:
            The norms of the smallest perturbations: 0 for misclassified examples, and
            infinity if no perturbation was found.
        """
        start = time.perf_counter()
        rows = np.flatnonzero(self.clean == self.y)
        settings = {key: self.settings[key] for key in ("norm", "bounds", "mask")}
        options = {"steps": steps, "batch_size": self.batch_size, **settings}
        points = self.x.copy()
        points[rows] = find_smallest(self.classifier, self.x, self.y, rows, **options)
        sizes = norms.sizes(settings["norm"], points, self.x)
        sizes[self._predict(points) == self.y] = np.inf
        for epsilon in epsilons:
            left = self.left_at[epsilon]
            broken = left & (sizes <= epsilon)
            self.left = self.left_at[epsilon] = left & ~broken
            self.adversarial[broken] = points[broken]
            self._add_row(
                epsilon,
                "minimal",
                int(left.sum()),
                int(self.left.sum()),
                time.perf_counter() - start,
                broken=int(broken.sum()),
                largest=float(sizes[broken].max(initial=0.0)),
            )
            start = time.perf_counter()
        self.rows.sort(key=lambda row: row["epsilon"])
        return sizes

    def check(self, epsilons: list[float], steps: int) -> list[str]:
        """Checks the attacks on a sample, and adds stages if the attacks fail.

        Args:
            epsilons: Epsilons of the evaluation, in increasing order.
            steps: Number of steps of the attacks.

        Returns:
            A list of warnings.
        """
        correct = np.flatnonzero(self.clean == self.y)[:SAMPLE]
        if not len(correct):
            return ["No example is classified correctly, without any attack."]
        sample = correct[are_finite(self.outputs[correct])]
        if not len(sample) or not epsilons[-1] > 0:
            return []
        data = self.classifier, self.x, self.y, sample
        options = {"steps": steps, "batch_size": self.batch_size, **self.settings}
        constant = list(check_constant(*data, **options))
        if constant:
            return constant + self._verify(epsilons[-1])
        found = list(check_attacks(*data, epsilons[-1], random=self.random, **options))
        broken = self._count_broken_by_square(sample, epsilons[-1])
        if not self.random:  # for a stochastic model, other stages follow a single draw
            found += check_square(broken, len(sample))
        self._add_stages(
            self._last_stages(found, broken, epsilons[-1], steps), epsilons
        )
        return found + self._verify(epsilons[-1])

    def _count_broken_by_square(self, sample, epsilon) -> int:
        """Counts examples that only Square breaks; 0 if it does not have the norm."""
        if self.settings["norm"] not in Square.supported_norms:
            return 0
        left = sample[self.left[sample]]
        square = Square(epsilon, steps=SQUARE_STEPS, **self.settings)
        return int(self._find(square, left).broken[left].sum())

    def _last_stages(self, found, broken, epsilon, steps) -> dict[str, Attack]:
        stages: dict[str, Attack] = {}
        if found:
            options = {"steps": min(steps, SMOOTHED_STEPS), "restarts": len(WIDTHS)}
            stages["smoothed"] = Smoothed(
                epsilon, random=self.random, **options, **self.settings
            )
        if broken:
            stages["square"] = Square(epsilon, steps=STAGE_STEPS, **self.settings)
        return stages

    def _add_stages(self, stages, epsilons) -> None:
        """Runs additional stages at every epsilon, after all other stages."""
        before = np.ones(len(self.x), bool)
        for epsilon in epsilons:
            self.left = before & self.left_at[epsilon]
            for stage, attack in stages.items():
                self._attack(stage, attack.with_epsilon(epsilon))
            before = self.left_at[epsilon] = self.left
        self.rows.sort(key=lambda row: row["epsilon"])

    def _verify(self, epsilon) -> list[str]:
        """Verifies the adversarial examples, and returns a warning for each problem."""
        broken = (self.clean == self.y) & ~self.left
        warnings: list[str] = []
        if broken.any() and not self.random:  # randomness has its own warning
            predicted = self.classifier.predict(
                self.adversarial[broken], self.batch_size
            )
            warnings += check_transfer(predicted, self.y[broken])
        attacked = [row for row in self.rows if row["attacked"]]
        lost = [row for row in attacked if row["non_finite"] > FEW * row["attacked"]]
        if lost:
            worst = max(lost, key=lambda row: row["non_finite"])
            warnings.append(
                f"In the stage {worst['stage']} at epsilon {worst['epsilon']:g}, an "
                "objective or a gradient was not finite (NaN or infinity) at "
                f"{worst['non_finite']} of {worst['attacked']} examples, so the attack "
                f"could not make progress there. {UPPER_BOUND}"
            )
        low, high = self.settings["bounds"]
        slack = TOLERANCE * (high - low)
        largest = max(row["largest_perturbation"] for row in self.rows)
        inside = (self.adversarial >= low) & (self.adversarial <= high)
        if largest > epsilon + slack or not inside.all():
            warnings.append(
                "A perturbation is larger than epsilon or leaves the bounds. This is a "
                "bug in the evaluation, not a fault of the model. Please report it."
            )
        return warnings

    def examples(self, epsilon: float) -> dict:
        """Returns the first few adversarial examples, for the plot of the report."""
        shown = np.flatnonzero((self.clean == self.y) & ~self.left)[:MAX_SHOWN]
        adversarial = self.adversarial[shown]
        fooled = self._predict(adversarial) if len(shown) else self.y[:0]
        return {
            "epsilon": epsilon,
            "x": self.x[shown],
            "adversarial": adversarial,
            "label": self.y[shown],
            "predicted": self.clean[shown],
            "fooled": fooled,
        }

    def _predict(self, x):
        if self.random:
            return self._vote(x)
        return self.classifier.predict(x, self.batch_size)

    def _vote(self, x):
        return self.classifier.vote(x, DRAWS, self.batch_size)

    def _find(self, attack, rows, **options):
        options = {"rows": rows, "batch_size": self.batch_size, **options}
        found = run_attack(attack, self.classifier, self.x, self.y, **options)
        if self.random and len(rows):
            found.broken[rows] = self._vote(found.adversarial[rows]) != self.y[rows]
        return found

    def _attack(self, stage, attack, on_progress=lambda share: None):
        start = time.perf_counter()
        rows = np.flatnonzero(self.left) if attack.epsilon > 0 else np.arange(0)
        found = self._find(attack, rows, on_progress=on_progress)
        self.left = self.left.copy()
        self.left[rows] = ~found.broken[rows]
        broken = rows[found.broken[rows]]
        self.adversarial[broken] = found.adversarial[broken]
        self._add_row(
            attack.epsilon,
            stage,
            len(rows),
            int(self.left.sum()),
            time.perf_counter() - start,
            broken=len(broken),
            largest=self._largest(found.adversarial[rows], rows),
            non_finite=int(found.non_finite.sum()),
        )

    def _largest(self, points, rows) -> float:
        if not len(rows):
            return 0.0
        return float(norms.sizes(self.settings["norm"], points, self.x[rows]).max())

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
    """A progress bar over all stages that also advances within a stage."""

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
