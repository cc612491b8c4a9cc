"""A function that certifies checked examples at several epsilons, in batches."""

import time

import keras
import numpy as np
from keras import ops

from ...differentiation import float64_scope, unchanged_state
from ...utils.arguments import invalid_argument
from ..classifier.classifier import Classifier
from ..classifier.logits import find_logits
from .bounds.ball import outward
from .bounds.read_network import read_network
from .certificate_report import CertificateReport
from .certifier import Certifier
from .decision import Decision

CHECKED = 16  # numbers of examples and of random inputs at which outputs are compared


def run_certification(
    classifier: Classifier,
    x: np.ndarray,
    y: np.ndarray,
    epsilons: list[float],
    *,
    norm: str,
    bounds: tuple[float, float],
    mask: np.ndarray | None = None,
    method: str = "crown",
    steps: int = 20,
    batch_size: int = 64,
    verbose: int = 0,
) -> CertificateReport:
    """Certifies examples, as described in `certify`.

    Args:
        classifier: The wrapped model, after a call to `classifier.check_data`.
        x: Float32 array of inputs.
        y: Int32 array of the true classes.
        epsilons: Radii of the balls, in increasing order.
        norm: "linf", "l2" or "l1".
        bounds: Minimum and maximum allowed input values.
        mask: Bool array that broadcasts to the shape of an example. Defaults to `None`.
        method: "ibp", "crown" or "alpha-crown". Defaults to `"crown"`.
        steps: Number of optimization steps of "alpha-crown". Defaults to `20`.
        batch_size: Number of examples that are bounded at the same time. Defaults to
            `64`.
        verbose: 0 for no output, 1 for a progress bar. Defaults to `0`.

    Raises:
        ValueError: If the model contains a layer that is not supported, or if the
            bounds are not finite.
    """
    model = classifier.model
    if mask is not None:
        mask = np.broadcast_to(mask, x.shape[1:]).ravel()
    network = read_network(model)
    certifier = Certifier(model, network, norm, bounds, method, steps, mask)
    decision = Decision.of(classifier.head)
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
        classifier.predict(x) == y,
        certification.margins,
        certification.errors,
        certification.seconds,
    )


class _Certification:
    """Bounds the margins of all examples at all epsilons, in batches."""

    def __init__(self, certifier, x, y, decision, batch_size):
        self.certifier = certifier
        self.x, self.y = x.reshape(len(x), -1).astype("float64"), y
        self.batch_size = min(len(x), batch_size)
        size = certifier.network.num_outputs
        self.num_classes = max(size, 2)
        self.rows, self.others = _margin_rows(y, size)
        self.shift = decision.shift(self.rows)
        self.rounding = decision.rounding
        self.margins, self.errors, self.seconds = ({}, {}, {})

    def run(self, epsilons, verbose) -> None:
        norm, bounds = self.certifier.norm, self.certifier.bounds
        starts = range(0, len(self.x), self.batch_size)
        bar = keras.utils.Progbar(len(epsilons) * len(starts), verbose=verbose)
        larger = -np.inf
        # A bound for a ball is also a bound for all smaller balls.
        for epsilon in reversed(epsilons):
            begin = time.perf_counter()
            radius = outward(epsilon, norm, self.x.shape[1], bounds)
            parts = []
            for start in starts:
                parts.append(self._bound(start, radius))
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
        for name in ("margins", "errors", "seconds"):
            values = getattr(self, name)
            setattr(self, name, {epsilon: values[epsilon] for epsilon in epsilons})

    def check_reading(self, name: str, x: np.ndarray, outputs: np.ndarray) -> None:
        """Raises an error if the operations do not compute the model's outputs."""
        computed = outputs.astype("float64")
        flat = x.reshape(len(x), -1).astype("float64")
        lower, upper, error = self.certifier.logits(flat)
        off = np.maximum(lower - computed, computed - upper) - error
        if not (off <= 0).all():
            raise invalid_argument(
                "model",
                "a model whose outputs follow from its layers",
                f"'{name}', whose outputs differ by up to {np.nanmax(off):.3g}",
                "Does it call a layer with training=True, or override `call`?",
            )

    def _bound(self, start, radius) -> tuple[np.ndarray, np.ndarray]:
        part = slice(start, start + self.batch_size)
        x, rows = self.x[part], self.rows[part]
        missing = self.batch_size - len(x)  # batches of one shape, compiled only once
        filled = (
            np.concatenate([some, np.repeat(some[:1], missing, axis=0)])
            for some in (x, rows)
        )
        lower, error = self.certifier(*filled, radius)
        return lower[: len(x)], error[: len(x)]

    def _by_class(self, values, of_label) -> np.ndarray:
        full = np.full((len(self.x), self.num_classes), of_label)
        np.put_along_axis(full, self.others, values, axis=1)
        return full


def _margin_rows(y: np.ndarray, num_outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the margins as linear functions of the outputs.

    Args:
        y: Int array of shape `(examples,)`.
        num_outputs: Number of outputs. A single output is the logit of class 1.

    Returns:
        A tuple: the float64 coefficients, of shape
        `(examples, classes - 1, num_outputs)`, and the class that the label is compared
        with in each margin, of shape `(examples, classes - 1)`.
    """
    if num_outputs == 1:
        return (2.0 * y - 1)[:, None, None], 1 - y[:, None]
    others = np.arange(num_outputs - 1) + (np.arange(num_outputs - 1) >= y[:, None])
    eye = np.eye(num_outputs)
    return eye[y][:, None] - eye[others], others


def _probes(x: np.ndarray, bounds) -> np.ndarray:
    """Returns the first examples and random inputs, at which outputs are compared."""
    generator = np.random.default_rng(0)
    drawn = generator.uniform(*bounds, (CHECKED, *x.shape[1:]))
    return np.concatenate([x[:CHECKED], drawn.astype("float32")])


def _check_finite(margins, errors) -> None:
    if not (np.isfinite(margins).all() and np.isfinite(errors).all()):
        raise invalid_argument(
            "model",
            "a model with finite bounds",
            "bounds that overflow or are NaN",
            "Are all weights finite?",
        )
