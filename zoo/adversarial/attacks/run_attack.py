"""A function that attacks a dataset in full batches, using compiled searches."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from .. import norms
from ..classifier.classifier import Classifier
from .attack_algorithm import AttackAlgorithm
from .attack_results import AttackResults
from .batch_slots import BatchSlots
from .search import begin_search, continue_search


def run_attack(
    attack: AttackAlgorithm,
    classifier: Classifier,
    x: np.ndarray,
    y: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    batch_size: int = 256,
    on_progress: Callable[[float], None] = lambda share: None,
) -> AttackResults:
    """Runs an attack on a dataset in evaluation mode.

    Args:
        attack: The attack.
        classifier: The wrapped model, which caches the compiled searches.
        x: Float32 array, within the bounds.
        y: Int32 array of true classes, or of target classes.
        rows: Indices of the examples to attack. Defaults to `None`: the correctly
            classified examples or, if the attack is targeted, the examples that are
            not yet classified as their target class.
        batch_size: Integer >= 1: number of points that are passed to the model at once.
            Defaults to `256`.
        on_progress: Function that is called repeatedly with the fraction of the attack
            that was completed since the previous call. Defaults to a function that does
            nothing.

    Returns:
        The `AttackResults`. Examples that are not attacked are unchanged and count as
        broken.
    """
    if rows is None:
        is_target = classifier.predict(x, batch_size) == y
        rows = np.flatnonzero(~is_target if attack.targeted else is_target)
    results = AttackResults.before_attack(x, rows)
    if not len(rows):
        return results
    size = min(len(x), max(1, batch_size // attack.points_per_step))
    slots = BatchSlots(attack, x, y, rows, size)
    resume = classifier.compile(attack.kind(), _resumption(attack, classifier))
    settings = attack.settings()
    state = slots.empty_state(settings)
    while slots.fill():
        state = resume(*slots.arguments(), state, settings)
        is_going, broken, *others = (
            np.asarray(ops.convert_to_numpy(state[key]))
            for key in ("is_going", "is_successful", "points", "objective", "is_finite")
        )
        done, examples, restarts = slots.leave(is_going, broken)
        results.merge(examples, *(values[done] for values in (broken, *others)))
        on_progress(restarts.sum() / len(rows) / attack.restarts)
    return results


def _resumption(attack: AttackAlgorithm, classifier: Classifier) -> Callable:
    """Returns a function that resumes the searches of a batch.

    The function begins a new search in each slot that has just been filled, and then
    continues the searches in all slots.
    """

    def resume(x, y, restart, noise, active, is_fresh, waiting, state, settings):
        begun = begin_search(attack, x, active, noise, settings)
        state = keras.tree.map_structure(
            lambda new, old: ops.where(norms.expand(is_fresh, new), new, old),
            begun,
            state,
        )
        return continue_search(
            attack, classifier.logits, x, y, restart, state, waiting, settings
        )

    return resume
