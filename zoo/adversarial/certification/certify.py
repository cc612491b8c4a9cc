"""Proofs that no perturbation within a ball changes a prediction."""

import time
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from ...arguments import (
    check_choice,
    check_integer,
    check_not_negative,
    invalid_argument,
)
from ...differentiation import float64_scope, unchanged_state
from ..adversarial_trainer import AdversarialTrainer
from ..attack import check_bounds
from ..attacked_model import AttackedModel
from ..evaluation_data import as_arrays, check_epsilons
from ..logits import find_logits
from .ball import NORMS, outward, widest
from .certificate_report import CertificateReport
from .certified_trainer import CertifiedTrainer
from .certifier import Certifier
from .decision import Decision
from .network import read_network

METHODS = ("ibp", "crown", "alpha-crown")
CHECKED = 16  # examples, and random inputs, at which the model must be what was read


def certify(
    model: keras.Model,
    data,
    epsilons: float | Sequence[float],
    norm: str = "linf",
    *,
    method: str = "crown",
    bounds: tuple[float, float] = (0.0, 1.0),
    steps: int = 20,
    batch_size: int = 256,
    verbose: int = 1,
) -> CertificateReport:
    """Proves for each example that nothing within epsilon changes its class.

    Lower bounds of all margins (the logit of the label less that of another class)
    over the ball, within the bounds of the inputs, are computed by interval
    arithmetic (IBP; Gowal et al., 2018), by linear bounds from the logits back to the
    inputs (CROWN; Zhang et al., 2018), or by the same with slopes that are optimised
    for each margin (alpha-CROWN; Xu et al., 2021). Each is at least as tight as the
    one before, and slower.

    An example is certified if all lower bounds are positive by more than rounding:
    bounds are computed in float64 and moved outwards by the largest error of their
    own computation, and by how much a model that computes in float32 can be off, in
    whatever order it adds.

    What a certificate does not say: it holds for this norm and epsilon, within these
    bounds, around these examples. It says nothing of other perturbations, such as
    rotations, nor of other data. It assumes sums of float32 products that are rounded
    to float32: not TensorFloat-32, which some GPUs use unless it is switched off. Where
    a model ends in sigmoids for several classes, it holds for the largest logit: when
    two of them saturate, their outputs can be equal. That an example is not certified
    does not say that it can be fooled.

    Args:
        model: Built functional or sequential classifier of one input of floats: of
            dense layers, `relu`, `relu6`, `leaky_relu`, `PReLU`, `sigmoid`, `tanh`,
            `zoo.layers.Maxout`, sums, batch normalization, normalization, rescaling,
            flattening and what does nothing at inference, ending in logits, softmax
            or sigmoid. Of an `AdversarialTrainer` or a `CertifiedTrainer`, its model.
        data: Arrays `(x, y)`, or batches of them, as `data.test`. Labels are integers
            or one-hot.
        epsilons: Radii of the balls, numbers >= 0 in the units of the inputs.
        norm: "linf", "l2" or "l1". Defaults to `"linf"`.
        method: "ibp", "crown" or "alpha-crown". Defaults to `"crown"`.
        bounds: The lowest and the highest value of an input. Defaults to
            `(0.0, 1.0)`.
        steps: Integer >= 1: steps of the slopes of "alpha-crown"; unused elsewhere.
            Defaults to `20`.
        batch_size: Integer >= 1: examples that are bounded at a time. With layers of
            thousands of units, fewer take less memory. Defaults to `256`.
        verbose: 0 is silent, 1 shows a progress bar. Defaults to `1`.

    Returns:
        A `CertificateReport`, with `certified_accuracy`, `certified`, `margins`,
        `to_frame()` and `plot()`; `print` shows it as a table.

    Raises:
        ValueError: If an argument is invalid, model and data do not fit, or the model
            has a layer that no bounds are known for, which is named.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([-0.5, 0.5])])
    >>> x = np.array([[0.625, 0.5], [0.125, 0.5], [0.75, 0.0], [0.25, 0.75]])
    >>> report = certify(model, (x, np.array([0, 1, 0, 1])), (0.1, 0.2, 0.3), verbose=0)
    >>> report.certified_accuracy
    {0.1: 1.0, 0.2: 0.75, 0.3: 0.25}
    >>> report.margins[0.2][0].round(4).tolist()  # 0.25 - 2 * 0.2
    [inf, -0.15]
    """
    bounds = check_bounds(bounds)
    check_choice("norm", norm, NORMS)
    check_choice("method", method, METHODS)
    epsilons = check_epsilons(epsilons)
    check_integer("steps", steps, minimum=1)
    check_integer("batch_size", batch_size, minimum=1)
    check_choice("verbose", verbose, (0, 1))
    model = plain_model(model)
    target = AttackedModel(model)
    x, y = target.check_data(*as_arrays(data), bounds)
    for epsilon in epsilons:
        _check_radius(epsilon, norm, x.shape[1:], bounds)
    network = read_network(model)
    certifier = Certifier(model, network, norm, bounds, method, steps)
    decision = Decision.of(target.head)
    certification = _Certification(certifier, x, y, decision, batch_size)
    probes = _probes(x, bounds)
    with unchanged_state():
        outputs = ops.convert_to_numpy(find_logits(model)[0](probes))
    with float64_scope():
        certification.check_reading(model.name, probes, outputs)
        certification.run(epsilons, verbose)
    return CertificateReport(
        norm,
        method,
        y,
        target.predict(x, batch_size) == y,
        certification.margins,
        certification.errors,
        certification.seconds,
    )


def plain_model(model):
    """Returns the model itself, of a trainer that holds one."""
    if isinstance(model, AdversarialTrainer | CertifiedTrainer):
        return model.model
    return model


class _Certification:
    """Bounds all examples at all epsilons, in batches."""

    def __init__(self, certifier, x, y, decision, batch_size):
        self.certifier = certifier
        self.x, self.y = x.reshape(len(x), -1).astype("float64"), y
        self.batch_size = min(len(x), batch_size)
        size = certifier.network.num_outputs
        self.num_classes = max(size, 2)
        self.rows, self.others = margin_rows(y, size)
        self.shift = decision.shift(self.rows)
        self.rounding = decision.rounding
        self.margins, self.errors, self.seconds = {}, {}, {}

    def run(self, epsilons, verbose) -> None:
        norm, bounds = self.certifier.norm, self.certifier.bounds
        starts = range(0, len(self.x), self.batch_size)
        bar = keras.utils.Progbar(len(epsilons) * len(starts), verbose=verbose)
        larger = -np.inf
        # What holds in a ball holds in all balls within it.
        for epsilon in reversed(epsilons):
            begin = time.perf_counter()
            radius = outward(epsilon, norm, self.x.shape[1], bounds)
            parts = []
            for start in starts:
                parts.append(self._bound(start, self.rows, radius))
                bar.add(1)
            margins, errors = (
                np.concatenate(part) for part in zip(*parts, strict=True)
            )
            _check_finite(margins, errors)
            larger = np.maximum(margins + self.shift, larger)
            errors = errors + self.rounding
            self.margins[epsilon] = self._by_class(larger, np.inf)
            self.errors[epsilon] = self._by_class(errors, 0.0)
            self.seconds[epsilon] = time.perf_counter() - begin
        for values in (self.margins, self.errors, self.seconds):
            ordered = {epsilon: values[epsilon] for epsilon in epsilons}
            values.clear()
            values.update(ordered)

    def check_reading(self, name: str, x: np.ndarray, outputs: np.ndarray) -> None:
        """Raises if the operations do not compute what the model computes."""
        computed = outputs.astype("float64")
        flat = x.reshape(len(x), -1).astype("float64")
        lower, upper, error = self.certifier.logits(flat)
        off = np.maximum(lower - computed, computed - upper) - error
        if not (off <= 0).all():
            raise invalid_argument(
                "model",
                "a model whose outputs are what its layers say",
                f"'{name}', whose outputs are off by {np.nanmax(off):.3g}",
                "Is a layer called with training=True, or its call replaced?",
            )

    def _bound(self, start, rows, radius) -> tuple[np.ndarray, np.ndarray]:
        part = slice(start, start + self.batch_size)
        x, rows = self.x[part], rows[part]
        missing = self.batch_size - len(x)  # one shape, one compilation
        filled = (
            np.concatenate([some, np.repeat(some[:1], missing, axis=0)])
            for some in (x, rows)
        )
        return tuple(some[: len(x)] for some in self.certifier(*filled, radius))

    def _by_class(self, values, of_label) -> np.ndarray:
        full = np.full((len(self.x), self.num_classes), of_label)
        np.put_along_axis(full, self.others, values, axis=1)
        return full


def margin_rows(y: np.ndarray, num_outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the margins as linear functions of the outputs, and their classes.

    Args:
        y: Int array of shape `(examples,)`.
        num_outputs: Number of outputs; one is the logit of class 1.

    Returns:
        Float64 coefficients of shape `(examples, classes - 1, num_outputs)`, and the
        classes that the label is compared with, of shape `(examples, classes - 1)`.
    """
    if num_outputs == 1:
        return (2.0 * y - 1)[:, None, None], 1 - y[:, None]
    others = np.arange(num_outputs - 1) + (np.arange(num_outputs - 1) >= y[:, None])
    eye = np.eye(num_outputs)
    return eye[y][:, None] - eye[others], others


def _probes(x: np.ndarray, bounds) -> np.ndarray:
    """Returns a few examples, and random inputs, on which no layer does nothing."""
    generator = np.random.default_rng(0)
    drawn = generator.uniform(*bounds, (CHECKED, *x.shape[1:]))
    return np.concatenate([x[:CHECKED], drawn.astype("float32")])


def _check_radius(epsilon, norm, shape, bounds) -> None:
    check_not_negative("epsilons", epsilon)
    largest = widest(norm, shape, bounds)
    if epsilon > largest * (1 + 1e-6):
        raise invalid_argument(
            "epsilons",
            f"at most {largest:.6g}, the largest {norm} perturbation within "
            f"bounds={bounds}",
            epsilon,
            "Are the inputs in other units than epsilon? Say so with `bounds=`.",
        )


def _check_finite(margins, errors) -> None:
    if not (np.isfinite(margins).all() and np.isfinite(errors).all()):
        raise invalid_argument(
            "model",
            "a model whose bounds are finite",
            "bounds that overflow or are NaN",
            "Are all weights finite?",
        )
