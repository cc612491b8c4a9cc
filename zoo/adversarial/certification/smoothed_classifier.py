"""A classifier that is certifiably robust because it is averaged over random noise."""

import time
from collections.abc import Callable

import keras
import numpy as np
from keras import ops
from scipy import stats

from ...backend.keras_internals import user_metrics
from ...differentiation import compile_function, unchanged_state
from ...utils.arguments import (
    check_choice,
    check_integer,
    check_positive,
    invalid_argument,
    is_number,
)
from ...utils.report_files import digest
from ..classifier.classifier import Classifier
from ..classifier.data_checks import are_signed, as_arrays, check_inputs
from ..classifier.float_inputs import graph_inputs
from ..classifier.head import Head, probe_outputs, read_head
from ..classifier.model_checks import check_model
from .resumable_rows import ResumableRows
from .smoothing_report import ABSTAINED, SmoothingReport

UNBOUNDED = (-np.inf, np.inf)


class SmoothedClassifier:
    """Predicts the class that a model returns most often under Gaussian noise.

    For any model, the prediction of this classifier is constant within an l2 ball
    around each input, whose radius can be computed from the class probabilities under
    noise (theorem 1 of Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via
    Randomized Smoothing", 2019). These probabilities are estimated from random draws.
    For each example, the prediction or the radius is therefore wrong with a probability
    of at most `alpha`. If the draws are not conclusive, the classifier abstains.

    The radius is that of the smoothed classifier, not of the model. Train the model
    with noise, because other models are often wrong under noise: pass
    `keras.layers.GaussianNoise(sigma)` as its first layer, which does nothing in
    inference mode. The noise is not clipped to the bounds of the inputs.

    Args:
        model: Built classifier with one input. The model ends in logits, a softmax or a
            sigmoid.
        sigma: Number > 0: standard deviation of the noise, in the units of the inputs.
            A larger sigma allows for larger radii, but reduces the accuracy.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([-0.5, 0.5])])
    >>> smoothed = SmoothedClassifier(model, sigma=0.25)
    >>> smoothed.predict(np.array([[1.0, 0.5], [0.0, 0.5], [0.5, 0.5]])).tolist()
    [0, 1, -1]
    >>> report = smoothed.certify((np.array([[1.0, 0.5]]), np.array([0])), verbose=0)
    >>> bool(0.4 < report.radii[0] < 0.5)  # the distance to the boundary is 0.5
    True
    """

    def __init__(self, model: keras.Model, sigma: float):
        check_model(model)
        self._classifier = Classifier(model, _head_of(model))
        self.model = model
        self.sigma = check_positive("sigma", sigma)
        self._generator = keras.random.SeedGenerator(0)
        self._counters: dict[int, Callable] = {}

    def predict(
        self,
        x,
        *,
        n: int = 1000,
        alpha: float = 0.001,
        batch_size: int = 1000,
        seed: int = 0,
    ) -> np.ndarray:
        """Predicts classes, and abstains if two classes are almost equally frequent.

        Args:
            x: Array of shape `(examples, ...)`.
            n: Integer >= 1: number of draws per example. Defaults to `1000`.
            alpha: Float in (0, 1): largest probability that a prediction is not the
                class of the smoothed classifier. Defaults to `0.001`.
            batch_size: Integer >= 1: number of draws that are passed to the model at
                the same time. Defaults to `1000`.
            seed: Integer >= 0: random seed. Defaults to `0`.

        Returns:
            An integer array of shape `(examples,)`, with -1 for abstentions.

        Raises:
            ValueError: If an argument is invalid.
        """
        _check_sampling(alpha, n=n, batch_size=batch_size, seed=seed)
        inputs = graph_inputs(self.model)
        x = check_inputs(x, UNBOUNDED, inputs[0].shape[1:] if inputs else None)
        predicted = np.full(len(x), ABSTAINED)
        for index in range(len(x)):
            counts = self._count(x, index, n, batch_size, seed, stage=0)
            second, first = np.sort(counts)[-2:]
            # The test is two-sided, because the draws also determine which class leads.
            test = stats.binomtest(int(first), int(first + second) or 1, 0.5)
            if test.pvalue <= alpha and first > second:
                predicted[index] = counts.argmax()
        return predicted

    def certify(
        self,
        data,
        *,
        n0: int = 100,
        n: int = 10_000,
        alpha: float = 0.001,
        batch_size: int = 1000,
        seed: int = 0,
        path=None,
        verbose: int = 1,
    ) -> SmoothingReport:
        """Certifies a class and an l2 radius for each example.

        The class is the most frequent one in `n0` draws. A lower confidence bound p for
        its probability is computed from `n` further draws (Clopper & Pearson, 1934).
        The radius is sigma times the normal quantile of p. The classifier abstains if p
        is at most 1/2.

        Args:
            data: Tuple of arrays `(x, y)`, or an iterable of batches of this form.
                Labels are integers, booleans or one-hot rows.
            n0: Integer >= 1: number of draws that select the class. Defaults to `100`.
            n: Integer >= 1: number of draws that determine the radius. It limits the
                largest possible radius. Defaults to `10000`.
            alpha: Float in (0, 1): largest probability that the certificate of an
                example is wrong. Defaults to `0.001`.
            batch_size: Integer >= 1: number of draws that are passed to the model at
                the same time. Defaults to `1000`.
            seed: Integer >= 0: random seed. Defaults to `0`.
            path: JSON file in which the results of finished examples are stored. A
                later call with the same model, data and arguments continues from this
                file. Defaults to `None`: nothing is stored.
            verbose: 0 for no output, 1 for a progress bar. Defaults to `1`.

        Returns:
            A `SmoothingReport`.

        Raises:
            ValueError: If an argument is invalid, or if `path` contains the results of
                a different call.
        """
        _check_sampling(alpha, n0=n0, n=n, batch_size=batch_size, seed=seed)
        check_choice("verbose", verbose, (0, 1))
        x, y = as_arrays(data)
        if are_signed(y):
            raise invalid_argument(
                "y", "labels 0 and 1", "-1 and 1", "Pass `(y + 1) / 2`."
            )
        x, y = self._classifier.check_data(x, y, UNBOUNDED)
        settings = {
            "sigma": self.sigma,
            "n0": n0,
            "n": n,
            "alpha": alpha,
            "batch_size": batch_size,
            "seed": seed,
            "backend": keras.config.backend(),
            "model_and_data": digest([x, y, *self.model.get_weights()]),
        }
        rows = ResumableRows(path, settings)
        bar = keras.utils.Progbar(len(x), verbose=verbose)
        for index in range(len(x)):
            if index >= len(rows.values):
                begin = time.perf_counter()
                predicted, radius = self._certify_one(x, index, settings)
                rows.add([predicted, radius, time.perf_counter() - begin])
            bar.update(index + 1)
        rows.save()
        predictions, radii, seconds = zip(*rows.values, strict=True)
        return SmoothingReport(
            self.sigma,
            n,
            alpha,
            y,
            np.array(predictions),
            np.array(radii),
            sum(seconds),
        )

    def _certify_one(self, x, index, settings) -> tuple[int, float]:
        batch_size, seed, n = (settings[key] for key in ("batch_size", "seed", "n"))
        chosen = self._count(x, index, settings["n0"], batch_size, seed, 0).argmax()
        count = int(self._count(x, index, n, batch_size, seed, 1)[chosen])
        lowest = stats.beta.ppf(settings["alpha"], count, n - count + 1) if count else 0
        if lowest <= 0.5:
            return ABSTAINED, 0.0
        return int(chosen), float(self.sigma * stats.norm.ppf(lowest))

    def _count(self, x, index, draws, batch_size, seed, stage) -> np.ndarray:
        """Returns how often each class is predicted for an example under noise.

        The noise depends only on the seed, the example, the stage and the batch size.
        """
        size = min(draws, batch_size)
        count = self._counter(size)
        total = np.zeros(self._classifier.head.num_classes, "int64")
        for block, start in enumerate(range(0, draws, size)):
            words = np.random.SeedSequence((seed, index, stage, block))
            used = np.int32(min(size, draws - start))
            counts = count(x[index : index + 1], words.generate_state(2), used)
            total += ops.convert_to_numpy(counts)
        return total

    def _counter(self, size: int) -> Callable:
        """Returns a compiled function that counts classes in a batch of draws."""
        if size not in self._counters:

            def count(x, words, used):
                words = ops.cast(words, self._generator.state.dtype)
                with unchanged_state([(self._generator.state, words)]):
                    noise = keras.random.normal(
                        (size, *x.shape[1:]), dtype="float32", seed=self._generator
                    )
                logits = self._classifier.logits(x + self.sigma * noise)
                # Draws with non-finite logits count for no class; radii shrink.
                counts = ops.all(ops.isfinite(logits), axis=1) & (
                    ops.arange(size, dtype="int32") < used
                )
                classes = ops.one_hot(
                    ops.argmax(logits, axis=1), logits.shape[1], dtype="int32"
                )
                return ops.sum(classes * ops.cast(counts, "int32")[:, None], axis=0)

            self._counters[size] = compile_function(
                count, [*self.model.variables, self._generator.state]
            )
        return self._counters[size]


def _head_of(model) -> Head:
    """Returns the head, as determined by the layers, the loss and the metrics."""
    is_compiled = getattr(model, "compiled", False)
    return read_head(
        model,
        *probe_outputs(model, (0.0, 1.0)),
        loss=model.loss if is_compiled else None,
        metrics=user_metrics(model) if is_compiled else (),
    )


def _check_sampling(alpha, **integers) -> None:
    for name, value in integers.items():
        check_integer(name, value, minimum=0 if name == "seed" else 1)
    if not is_number(alpha) or not 0 < alpha < 1:
        raise invalid_argument("alpha", "a float in (0, 1)", alpha)
