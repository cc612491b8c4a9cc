"""Search loops for a batch of examples, which run inside compiled functions."""

from keras import ops

from .. import norms
from .attack_algorithm import AttackAlgorithm
from .objective_scale import are_finite, first_scale, smaller_scale


def is_better(is_successful, objective, best_objective):
    """Returns, for each example, whether a point is better than the current best point.

    A successful point is always better; otherwise, the point with the larger objective
    is better.
    """
    return is_successful | (objective > best_objective)


def begin_search(attack: AttackAlgorithm, x, active, noise, settings) -> dict:
    """Returns the initial state of the searches for a batch.

    Args:
        attack: The attack.
        x: Float32 tensor of shape `(batch, ...)`.
        active: Bool tensor of shape `(batch,)`: whether to attack each example.
        noise: Result of `attack.noise` or `attack.noise_for_batch`.
        settings: Result of `attack.settings`.

    Returns:
        A dict whose tensors all have the shape `(batch, ...)`:

        - `points`: the best points found so far;
        - `objective`: the objective at these points;
        - `is_going`: whether the search continues;
        - `is_successful`: whether the attack has succeeded;
        - `is_finite`: whether all objectives and gradients were finite;
        - `index`: the number of steps taken so far;
        - `scale`: the factor by which the objective is multiplied;
        - `state`: the state of the algorithm, a tuple.
    """
    lowest = ops.full(ops.shape(active), -float("inf"), dtype="float32")
    return {
        "points": x,
        "objective": lowest,
        "is_going": active,
        "is_successful": ops.zeros_like(active),
        "is_finite": ops.ones_like(active),
        "index": ops.zeros_like(active, dtype="int32"),
        "scale": first_scale(x),
        "state": attack.begin(attack.start(x, noise, settings), settings),
    }


def continue_search(
    attack: AttackAlgorithm, logits_of, x, y, restart, found, waiting, settings
) -> dict:
    """Takes steps until all searches in the batch have ended.

    If other examples are waiting for a slot in the batch, the function returns as soon
    as at least a quarter of the slots are free.

    Args:
        attack: The attack.
        logits_of: Function that maps inputs to logits.
        x: Float32 tensor of shape `(batch, ...)`.
        y: Integer tensor of shape `(batch,)`.
        restart: Integer scalar or tensor of shape `(batch,)`: index of the restart,
            which selects the target class of "targeted_dlr".
        found: Result of `begin_search` or of the previous call to this function.
        waiting: Integer scalar, 0 or 1: whether other examples are waiting for a
            slot in the batch.
        settings: Result of `attack.settings`.

    Returns:
        A dict with the same entries as the result of `begin_search`.
    """
    objective = attack.objective(logits_of, x, y, restart)
    fewest = waiting * (3 * ops.shape(y)[0] // 4)

    def proceed(found):
        return ops.sum(ops.cast(found["is_going"], "int32")) > fewest

    def body(found):
        going, index, state = found["is_going"], found["index"], found["state"]
        loss, gradient, logits = attack.differentiate(
            logits_of, objective, state, index, found["scale"], settings
        )
        wins = going & attack.is_successful(logits, y)
        better = going & is_better(wins, loss, found["objective"])
        best = ops.where(norms.expand(better, x), state[0], found["points"])
        # The gradient is not needed once an attack succeeds, so it may overflow.
        scale = ops.where(
            going & ~wins,
            smaller_scale(found["scale"], loss, gradient),
            found["scale"],
        )
        overflows = ops.any(scale < found["scale"])
        is_finite = ~going | are_finite(loss, gradient) | overflows
        found = {
            "points": best,
            "objective": ops.where(better, loss, found["objective"]),
            "is_going": going & ~wins & (overflows | (index < settings["steps"])),
            "is_successful": found["is_successful"] | wins,
            "is_finite": found["is_finite"] & is_finite,
            "index": ops.where(going & ~overflows, index + 1, index),
            "scale": scale,
            "state": ops.cond(
                overflows,
                lambda: state,
                lambda: attack.step(index, state, loss, gradient, x, settings),
            ),
        }
        return (found,)

    (found,) = ops.while_loop(proceed, body, (found,))
    return found


def search_all_restarts(attack: AttackAlgorithm, logits_of, x, y):
    """Runs all restarts of an attack on a batch, and returns the best points.

    Examples that are already misclassified are not attacked. Noise is drawn for the
    whole batch at once, so it depends on the order of the examples.

    Args:
        attack: The attack.
        logits_of: Function that maps inputs to logits.
        x: Float32 tensor of shape `(batch, ...)`.
        y: Integer tensor of shape `(batch,)`.
    """
    settings = attack.settings()
    active = ops.logical_not(attack.is_successful(logits_of(x), y))
    best: dict = {}
    for restart in range(attack.restarts):
        noise = attack.noise_for_batch(x, attack.seed + restart)
        # Only better points replace the best points of earlier restarts.
        found = {**begin_search(attack, x, active, noise, settings), **best}
        found = continue_search(attack, logits_of, x, y, restart, found, 0, settings)
        best = {key: found[key] for key in ("points", "objective", "is_successful")}
        active = active & ~found["is_successful"]
    return found["points"]
