"""The rule on targets in units that are too large for the outputs."""

import keras
import numpy as np

from ..data.sample_data import Sample
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from .harm import is_harmed, is_over
from .outputs import Output, bounds_of, outputs_of
from .rule import rule

# Outputs start near 0 with a spread of about 1; smaller targets are reached anyway.
LARGE_TARGET = 100.0
ABSOLUTE = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")


@rule("model")
def targets_not_scaled(facts: Facts) -> list[Finding]:
    """Targets of large units are out of reach for outputs that start near 0.

    Units by themselves are no fault, so this is a hint. It becomes a warning if a run
    shows the harm:

    - the outputs are off by more than one standard deviation of the targets on average,
      which neither the mean nor the median is: both are within one of each other;
    - the model is worse than a linear model;
    - with an optimizer such as SGD, whose updates grow with the error, the loss is not
      finite, or the model ends no better than a constant.
    """
    found = []
    for output in outputs_of(facts):
        target, node = output.target, output.head.node
        is_free = output.head.activation is not None
        is_free = is_free and bounds_of(output.head.activation)[1] == np.inf
        is_absolute = output.loss.name in ABSOLUTE
        if target is None or node is None or not (is_free and is_absolute):
            continue
        rms = float(np.sqrt((target.values**2).mean()))
        if rms <= LARGE_TARGET:
            continue
        evidence = [
            Evidence(
                f"The root mean square of the targets is {rms:.3g}, while the outputs "
                "start near 0.",
                rms,
                LARGE_TARGET,
            )
        ]
        error, spread = _mean_error(facts, output)
        if error > spread:
            evidence.append(
                Evidence(
                    f"The outputs differ from the targets by {error:.3g} on average at "
                    f"the end, and the standard deviation of the targets is "
                    f"{spread:.3g}.",
                    error,
                    spread,
                )
            )
        is_warning = error > spread or _has_failed(facts)
        found.append(
            finding(
                "labels_out_of_range",
                "warning" if is_warning else "hint",
                f"data `{target.name}`",
                evidence,
                f"{target.name} = ({target.name} - {target.name}.mean()) / "
                f"{target.name}.std()",
                "Scale the predictions back with the same numbers.",
                picture="outputs",
            )
        )
    return found


def _mean_error(facts: Facts, output: Output) -> tuple[float, float]:
    """Returns how far the mean output is off at the end, and the targets' spread.

    Both are 0 if this is unknown.
    """
    end = facts.end
    sample = end.sample if end is not None else None
    if end is None or not isinstance(sample, Sample) or sample.y is None:
        return 0.0, 0.0
    targets = keras.tree.flatten(sample.y)
    if len(targets) != len(end.outputs) or len(targets) <= output.index:
        return 0.0, 0.0
    outputs = end.outputs[output.index].reshape(len(targets[output.index]), -1)
    values = np.asarray(targets[output.index]).reshape(len(outputs), -1)
    values = values.astype("float64")
    if values.shape != outputs.shape or len(values) < 8:
        return 0.0, 0.0
    error = np.linalg.norm(outputs.mean(axis=0) - values.mean(axis=0))
    return float(error), float(np.linalg.norm(values.std(axis=0)))


def _has_failed(facts: Facts) -> bool:
    """Returns whether the run shows what targets of a large unit do."""
    if facts.training is None or not facts.training.num_epochs:
        return False
    if is_over(facts) and outcome_of(facts).is_poor:
        return True
    is_finite = np.isfinite(facts.training.curve("loss")).all()
    grows = not facts.model.optimizer.is_sign_like
    return grows and (not is_finite or (is_over(facts) and is_harmed(facts)))


RULES = (targets_not_scaled,)
