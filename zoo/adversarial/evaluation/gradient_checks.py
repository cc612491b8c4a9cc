"""Checks that the gradients of a classifier predict how its outputs change."""

from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from ...differentiation import compile_function, input_gradient, unchanged_state
from .. import norms
from ..attacks import objectives
from ..attacks.objective_scale import SCALE, SMALLEST_SCALE
from ..classifier.classifier import Classifier

FEW = 0.05  # tolerated fraction of examples that fail a check
UPPER_BOUND = "The reported robust accuracy is only an upper bound."
DIRECTIONS = 4  # number of random directions in which changes are compared
SCALES = (1 / 64, 1 / 16, 1 / 4, 1)  # step sizes of the comparison, relative to epsilon
MISMATCH = 0.5  # tolerated error, relative to the change predicted by the gradient
ROUNDING = {  # relative rounding error of the logits
    "float32": 1e-5,
    "float16": 5e-3,
    "bfloat16": 4e-2,
    "int8": 5e-2,
}


def is_random(classifier: Classifier, x: np.ndarray) -> bool:
    """Returns whether a model is stochastic in inference mode.

    A model counts as stochastic if two calls return logits that differ by more than
    rounding errors.
    """
    with unchanged_state():
        first, second = (
            np.asarray(ops.convert_to_numpy(classifier.logits(x))) for _ in range(2)
        )
    finite = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not finite.any():
        return False
    first, second = first[finite], second[finite]
    spread = np.abs(first - first.mean(axis=1, keepdims=True)).max()
    return bool(np.abs(first - second).max() > 1e-3 * spread)


def check_gradients(
    classifier: Classifier,
    x: np.ndarray,
    y: np.ndarray,
    epsilon: float,
    *,
    batch_size: int,
    **settings,
) -> Iterator[str]:
    """Detects gradients that do not predict how the outputs change.

    Args:
        classifier: The model, which must be deterministic in inference mode.
        x: Float32 array: a sample of correctly classified inputs.
        y: Int32 array of the classes of these inputs.
        epsilon: Number > 0: the largest epsilon of the evaluation.
        batch_size: Number of examples per gradient computation.
        **settings: Settings of the attacks: norm, bounds, mask and seed.

    Yields:
        A warning for each problem that is found.
    """
    size, few = len(x), FEW * len(x)
    slopes_of = _slopes_of(classifier, batch_size)
    odds, slopes = slopes_of(x, y)
    finite = np.isfinite(slopes).reshape(size, -1).all(axis=1)
    if size - finite.sum() > few:
        yield (
            "The gradient with respect to the input is not finite (NaN or infinity) "
            f"at {size - finite.sum()} of {size} examples. Gradient-based attacks "
            "cannot work there. Look in the model for a square root, a logarithm or a "
            f"division at zero, or for an overflow. {UPPER_BOUND}"
        )
    if not finite.any():
        return
    zero, vanishing = _count_flat(odds[finite], slopes[finite], settings)
    if zero > few:
        yield (
            f"The gradient with respect to the input is exactly zero at {zero} of "
            f"{size} examples. An operation in the model rounds, clips, casts or "
            f"saturates, so gradient-based attacks cannot work. {UPPER_BOUND}"
        )
        return
    if zero + vanishing > few:
        yield (
            "The gradient with respect to the input nearly vanishes at "
            f"{zero + vanishing} of {size} examples. A linear function with this slope "
            f"could not change the prediction anywhere within the bounds. {UPPER_BOUND}"
        )
    mismatches = _count_mismatches(
        classifier, x, y, epsilon, slopes_of, batch_size, settings
    )
    if mismatches > few:
        yield (
            f"The gradient does not predict how the outputs change at {mismatches} of "
            f"{size} examples. For all step sizes from "
            f"{SCALES[0] * epsilon:.2g} to {epsilon:.2g}, the actual change "
            f"differs by more than {MISMATCH:.0%} from the predicted change. "
            "An operation in the model rounds, oscillates or stops gradients. "
            f"{UPPER_BOUND}"
        )


def _slopes_of(classifier, batch_size) -> Callable:
    """Returns a function that computes log-odds and their gradients in batches.

    The function takes inputs and labels, and computes the log-odds against the labels.
    If a gradient overflows, the function computes it again with a smaller scale of the
    objective.
    """

    def scaled(x, y, scale):
        return input_gradient(
            lambda x: objectives.cross_entropy(classifier.logits(x), y) * scale, x
        )

    compiled = compile_function(scaled, classifier.model.variables)

    def slopes(x, y):
        odds, gradients = np.empty(len(x)), np.empty(x.shape)
        for rows in _batches(len(x), batch_size):
            scale = np.full(len(rows), SCALE, "float32")
            while True:
                values, found = (
                    np.asarray(ops.convert_to_numpy(result), "float64")
                    for result in compiled(x[rows], y[rows], scale)
                )
                finite = np.isfinite(found).reshape(len(rows), -1).all(axis=1)
                odds[rows] = values / scale
                gradients[rows] = found / scale.reshape(-1, *[1] * (x.ndim - 1))
                if finite.all() or scale.min() <= SMALLEST_SCALE:
                    break
                scale[~finite] /= SCALE
        return odds, gradients

    return slopes


def _count_flat(odds, slopes, settings) -> tuple[int, int]:
    """Counts examples with a zero gradient, and examples with a tiny gradient.

    A gradient counts as tiny if a linear function with this gradient would change by
    less than a tenth of the log-odds against the label, even over the full range of the
    bounds.
    """
    if settings["mask"] is not None:
        slopes = slopes * np.asarray(settings["mask"])
    order = {"linf": 1, "l2": 2, "l1": np.inf}[settings["norm"]]  # of the dual norm
    reach = np.linalg.norm(slopes.reshape(len(slopes), -1), order, axis=1)
    zero = reach == 0
    reach = reach * norms.widest(settings["norm"], slopes.shape[1:], settings["bounds"])
    return int(zero.sum()), int((~zero & (reach < 0.1 * np.abs(odds))).sum())


def _count_mismatches(
    classifier, x, y, epsilon, slopes_of, batch_size, settings
) -> int:
    """Counts examples whose outputs do not change as the gradient predicts.

    At a random point in the epsilon ball around each example, the function compares the
    actual changes in random directions with the changes predicted by the gradient. For
    smooth models, actual and predicted changes match at small step sizes; for
    low-precision models, they match at large step sizes. A match at one step size is
    therefore sufficient.
    """
    generator = np.random.default_rng((settings["seed"], len(x)))
    low, high = settings["bounds"]
    mask = True if settings["mask"] is None else np.asarray(settings["mask"], bool)
    unit = 1 / norms.widest(settings["norm"], x.shape[1:], (0, 1))

    def moved(points, noise):
        noise = np.where(mask, noise * (unit * epsilon), 0)
        return np.clip(points + noise, low, high).astype("float32")

    center = moved(x, generator.uniform(-1, 1, x.shape))
    before, slopes = slopes_of(center, y)
    signs = [generator.choice([-1.0, 1.0], x.shape) for _ in range(DIRECTIONS)]
    least = np.full(len(x), np.inf)
    for scale in SCALES:
        errors, promises = np.zeros((2, len(x)))
        for sign in signs:
            points = moved(center, scale * sign)
            steps = (points.astype("float64") - center) * slopes
            promised = steps.reshape(len(x), -1).sum(axis=1)
            logits = classifier.compute(classifier.logits, points, batch_size)
            errors += (_log_odds(logits, y) - before - promised) ** 2
            promises += promised**2
        rounding = ROUNDING[_coarsest(classifier.model)] * np.abs(logits).max(axis=1)
        allowed = MISMATCH * np.sqrt(promises) + rounding * np.sqrt(DIRECTIONS)
        least = np.minimum(least, np.sqrt(errors) - allowed)
    return int((least > 0).sum())


def _log_odds(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Computes the same function as `objectives.cross_entropy`, in float64."""
    rows, others = np.arange(len(y)), logits.astype("float64")
    own = others[rows, y]
    others[rows, y] = -np.inf
    return np.logaddexp.reduce(others, axis=1) - own


def _coarsest(layer) -> str:
    """Returns the least precise compute dtype among a layer and its inner layers.

    A quantized layer counts as int8, because it rounds its inputs even if its
    `compute_dtype` is float32.
    """
    policy = getattr(layer, "dtype_policy", None)
    quantized = getattr(policy, "quantization_mode", None)
    dtypes = [getattr(layer, "compute_dtype", "float32")]
    dtypes += ["int8"] if quantized else []
    dtypes += [_coarsest(inner) for inner in getattr(layer, "layers", ())]
    known = [dtype for dtype in dtypes if dtype in ROUNDING]
    return max(known, key=lambda dtype: ROUNDING[dtype], default="float32")


def _batches(size: int, batch_size: int) -> list[np.ndarray]:
    """Splits row indices into equally sized batches; the last two may overlap."""
    batch_size = min(size, batch_size)
    starts = range(0, size, batch_size)
    return [np.arange(batch_size) + min(s, size - batch_size) for s in starts]
