"""Whether the gradients of a classifier say how its outputs change."""

from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from ..differentiation import compile_function, input_gradient, unchanged_state
from . import norms, objectives
from .attacked_model import AttackedModel
from .objective_scale import SCALE, SMALLEST_SCALE

FEW = 0.05  # of the examples: what may be so by chance
UPPER_BOUND = "The robust accuracy is an upper bound."
DIRECTIONS = 4  # random ones, in which changes are compared
SCALES = (1 / 64, 1 / 16, 1 / 4, 1)  # of epsilon, at which they are compared
MISMATCH = 0.5  # of the change that the gradient promises
ROUNDING = {  # of the logits
    "float32": 1e-5,
    "float16": 5e-3,
    "bfloat16": 4e-2,
    "int8": 5e-2,
}


def is_random(target: AttackedModel, x: np.ndarray) -> bool:
    """Whether two calls in inference mode on the same inputs differ."""
    with unchanged_state():
        first, second = (
            np.asarray(ops.convert_to_numpy(target.logits(x))) for _ in range(2)
        )
    finite = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not finite.any():
        return False
    first, second = first[finite], second[finite]
    spread = np.abs(first - first.mean(axis=1, keepdims=True)).max()
    return bool(np.abs(first - second).max() > 1e-3 * spread)


def check_gradients(
    target: AttackedModel,
    x: np.ndarray,
    y: np.ndarray,
    epsilon: float,
    *,
    batch_size: int,
    **settings,
) -> Iterator[str]:
    """Finds gradients that do not say how the outputs change.

    Args:
        target: The model, which is not random.
        x: Float32 array of a sample, which is classified correctly.
        y: Int32 array of its classes.
        epsilon: The largest epsilon of the evaluation, > 0.
        batch_size: Examples that are differentiated at a time.
        **settings: What attacks take: norm, bounds, mask and seed.
    """
    size, few = len(x), FEW * len(x)
    slopes_of = _slopes_of(target, batch_size)
    odds, slopes = slopes_of(x, y)
    finite = np.isfinite(slopes).reshape(size, -1).all(axis=1)
    if size - finite.sum() > few:
        yield (
            "The gradient with respect to the input is not finite (NaN or infinity) "
            f"at {size - finite.sum()} of {size} examples: attacks along gradients "
            "cannot work there. Look for a root, a logarithm or a division at zero, or "
            f"for an overflow. {UPPER_BOUND}"
        )
    if not finite.any():
        return
    zero, vanishing = _count_flat(odds[finite], slopes[finite], settings)
    if zero > few:
        yield (
            f"The gradient with respect to the input is exactly zero at {zero} of "
            f"{size} examples: something in the model rounds, clips, casts or "
            f"saturates, and attacks along gradients cannot work. {UPPER_BOUND}"
        )
        return
    if zero + vanishing > few:
        yield (
            "The gradient with respect to the input nearly vanishes at "
            f"{zero + vanishing} of {size} examples: followed through the whole "
            f"range of the inputs, it would not change a prediction. {UPPER_BOUND}"
        )
    mismatches = _count_mismatches(
        target, x, y, epsilon, slopes_of, batch_size, settings
    )
    if mismatches > few:
        yield (
            f"The gradient does not say how the outputs change at {mismatches} of "
            f"{size} examples: whether steps are as small as "
            f"{SCALES[0] * epsilon:.2g} or as large as {epsilon:.2g}, the real change "
            f"differs by more than {MISMATCH:.0%} from what the gradient promises. "
            "Something in the model rounds, oscillates or stops gradients. "
            f"{UPPER_BOUND}"
        )


def _slopes_of(target, batch_size) -> Callable:
    """Returns a function to the log-odds against each label, and their gradients.

    Gradients that overflow are computed again, with the objective at smaller scales.
    """

    def scaled(x, y, scale):
        return input_gradient(
            lambda x: objectives.cross_entropy(target.logits(x), y) * scale, x
        )

    compiled = compile_function(scaled, target.model.variables)

    def slopes(x, y):
        odds, gradients = np.empty(len(x)), np.empty(x.shape)
        for rows in _batches(len(x), batch_size):
            scale = np.full(len(rows), SCALE, "float32")
            while True:
                values, found = (
                    np.asarray(ops.convert_to_numpy(part), "float64")
                    for part in compiled(x[rows], y[rows], scale)
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
    """Counts examples with a gradient of zero, and those with one that is tiny.

    Tiny is relative: that of a linear function that does not change by a tenth of the
    log-odds against the label while the input crosses all of its bounds.
    """
    if settings["mask"] is not None:
        slopes = slopes * np.asarray(settings["mask"])
    order = 1 if settings["norm"] == "linf" else 2  # of the dual norm
    reach = np.linalg.norm(slopes.reshape(len(slopes), -1), order, axis=1)
    zero = reach == 0
    reach = reach * norms.widest(settings["norm"], slopes.shape[1:], settings["bounds"])
    return int(zero.sum()), int((~zero & (reach < 0.1 * np.abs(odds))).sum())


def _count_mismatches(target, x, y, epsilon, slopes_of, batch_size, settings) -> int:
    """Counts examples whose outputs change otherwise than the gradient promises.

    From a random point in the ball, changes in random directions are compared with
    those of the tangent plane. A smooth model agrees with it at small scales, one that
    computes in few digits at large ones: an agreement at one scale is enough.
    """
    generator = np.random.default_rng((settings["seed"], len(x)))
    low, high = settings["bounds"]
    mask = True if settings["mask"] is None else np.asarray(settings["mask"], bool)
    unit = 1.0 if settings["norm"] == "linf" else np.prod(x.shape[1:]) ** -0.5

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
            logits = target.compute(target.logits, points, batch_size)
            errors += (_log_odds(logits, y) - before - promised) ** 2
            promises += promised**2
        rounding = ROUNDING[_coarsest(target.model)] * np.abs(logits).max(axis=1)
        allowed = MISMATCH * np.sqrt(promises) + rounding * np.sqrt(DIRECTIONS)
        least = np.minimum(least, np.sqrt(errors) - allowed)
    return int((least > 0).sum())


def _log_odds(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns what `objectives.cross_entropy` does, in float64."""
    rows, others = np.arange(len(y)), logits.astype("float64")
    own = others[rows, y]
    others[rows, y] = -np.inf
    return np.logaddexp.reduce(others, axis=1) - own


def _coarsest(layer) -> str:
    """Returns the coarsest dtype that a layer, or one inside it, computes in.

    Quantized layers round their inputs, also those of which Keras says that they
    compute in float32.
    """
    policy = getattr(layer, "dtype_policy", None)
    quantized = getattr(policy, "quantization_mode", None)
    dtypes = [getattr(layer, "compute_dtype", "float32")]
    dtypes += ["int8"] if quantized else []
    dtypes += [_coarsest(inner) for inner in getattr(layer, "layers", ())]
    known = [dtype for dtype in dtypes if dtype in ROUNDING]
    return max(known, key=lambda dtype: ROUNDING[dtype], default="float32")


def _batches(size: int, batch_size: int) -> list[np.ndarray]:
    """Returns rows in batches of one shape: the last ones come twice if need be."""
    batch_size = min(size, batch_size)
    starts = range(0, size, batch_size)
    return [np.arange(batch_size) + min(s, size - batch_size) for s in starts]
