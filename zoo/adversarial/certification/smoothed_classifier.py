"""A classifier that is robust because it is averaged over noise."""

import hashlib
import time

import keras
import numpy as np
from keras import ops
from scipy import stats

from ...arguments import (
    check_choice,
    check_integer,
    check_positive,
    invalid_argument,
    is_number,
)
from ...differentiation import compile_function, unchanged_state
from ..attacked_model import AttackedModel
from ..checks import are_signed, check_inputs, check_model
from ..compiled import user_metrics
from ..evaluation_data import as_arrays
from ..head import Head, probe, read_head
from .resumable_rows import ResumableRows
from .smoothing_report import ABSTAINED, SmoothingReport

ANY = (-np.inf, np.inf)


class SmoothedClassifier:
    """Predicts the class that a model returns most often under Gaussian noise.

    Whatever the model is, this classifier has a radius in l2 at every input within
    which its prediction does not change (Cohen, Rosenfeld & Kolter, "Certified
    Adversarial Robustness via Randomized Smoothing", 2019, theorem 1). Prediction and
    radius are estimated from draws: each holds with probability 1 - alpha, for each
    example by itself, over the draws. Where they are not clear enough, the classifier
    abstains.

    The radius is that of the smoothed classifier, not of the model. A model that has
    not seen noise in training is often wrong under it: put
    `keras.layers.GaussianNoise(sigma)` in front, which does nothing at inference. Noise
    leaves the bounds of the inputs, and is not clipped.

    Args:
        model: Built classifier of one input of floats, ending in logits, softmax or
            sigmoid.
        sigma: Number > 0: the standard deviation of the noise, in the units of the
            inputs. A larger one allows larger radii, and costs accuracy.

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
        self._target = AttackedModel(model, _head_of(model))
        self.model = model
        self.sigma = check_positive("sigma", sigma)
        self._generator = keras.random.SeedGenerator(0)
        self._compiled = {}

    def predict(
        self,
        x,
        *,
        n: int = 1000,
        alpha: float = 0.001,
        batch_size: int = 1000,
        seed: int = 0,
    ) -> np.ndarray:
        """Predicts classes, and abstains where two of them come too close.

        Args:
            x: Inputs of shape `(examples, ...)`.
            n: Integer >= 1: draws for each example. Defaults to `1000`.
            alpha: Number in (0, 1): the probability that a prediction is not the class
                of the smoothed classifier. Defaults to `0.001`.
            batch_size: Integer >= 1: draws at a time. Defaults to `1000`.
            seed: Integer >= 0 of the noise. Defaults to `0`.

        Returns:
            Int array of shape `(examples,)`, with -1 for abstention.

        Raises:
            ValueError: If an argument is invalid.
        """
        _check_sampling(alpha, n=n, batch_size=batch_size, seed=seed)
        shape = self._target.model.inputs[0].shape[1:]
        x = check_inputs(x, ANY, shape)
        predicted = np.full(len(x), ABSTAINED)
        for index in range(len(x)):
            counts = self._count(x, index, n, batch_size, seed, stage=0)
            second, first = np.sort(counts)[-2:]
            # Two-sided, as in the paper: which of them leads is not known before.
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
        """Certifies for each example a class and a radius around it in l2.

        `n0` draws choose the class. `n` others bound its probability from below, at
        p (Clopper & Pearson, 1934), and the radius is sigma times the normal quantile
        of p. If p is at most 1/2, the classifier abstains.

        Args:
            data: Arrays `(x, y)`, or batches of them. Labels are integers or one-hot.
            n0: Integer >= 1. Defaults to `100`.
            n: Integer >= 1: no radius is larger than that of `n` equal draws.
                Defaults to `10000`.
            alpha: Number in (0, 1): the probability that a certificate is wrong.
                Defaults to `0.001`.
            batch_size: Integer >= 1: draws at a time. Defaults to `1000`.
            seed: Integer >= 0 of the noise. Defaults to `0`.
            path: File, such as "smoothing.json", to keep finished examples in: a call
                with the same model, data and arguments goes on where it was
                interrupted. Defaults to `None`: none.
            verbose: 0 is silent, 1 shows a progress bar. Defaults to `1`.

        Returns:
            A `SmoothingReport`.

        Raises:
            ValueError: If an argument is invalid, or `path` holds the results of
                another call.
        """
        _check_sampling(alpha, n0=n0, n=n, batch_size=batch_size, seed=seed)
        check_choice("verbose", verbose, (0, 1))
        x, y = as_arrays(data)
        if are_signed(y):
            raise invalid_argument(
                "y", "labels 0 and 1", "-1 and 1", "Pass `(y + 1) / 2`."
            )
        x, y = self._target.check_data(x, y, ANY)
        settings = {
            "sigma": self.sigma,
            "n0": n0,
            "n": n,
            "alpha": alpha,
            "batch_size": batch_size,
            "seed": seed,
            "backend": keras.backend.backend(),
            "model_and_data": _digest([x, y, *self.model.get_weights()]),
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
        """Counts the classes of one example under noise of its own."""
        size = min(draws, batch_size)
        count = self._compile(size)
        total = 0
        for block, start in enumerate(range(0, draws, size)):
            words = np.random.SeedSequence((seed, index, stage, block))
            used = np.int32(min(size, draws - start))
            counts = count(x[index : index + 1], words.generate_state(2), used)
            total = total + ops.convert_to_numpy(counts).astype("int64")
        return total

    def _compile(self, size: int):
        if size not in self._compiled:

            def count(x, words, used):
                words = ops.cast(words, self._generator.state.dtype)
                with unchanged_state([(self._generator.state, words)]):
                    noise = keras.random.normal(
                        (size, *x.shape[1:]), dtype="float32", seed=self._generator
                    )
                logits = self._target.logits(x + self.sigma * noise)
                # What is not finite counts for no class, which lowers all radii.
                counts = ops.all(ops.isfinite(logits), axis=1) & (
                    ops.arange(size, dtype="int32") < used
                )
                classes = ops.one_hot(
                    ops.argmax(logits, axis=1), logits.shape[1], dtype="int32"
                )
                return ops.sum(classes * ops.cast(counts, "int32")[:, None], axis=0)

            self._compiled[size] = compile_function(
                count, [*self.model.variables, self._generator.state]
            )
        return self._compiled[size]


def _head_of(model) -> Head:
    """Returns how the outputs of a model are read, as far as it can say."""
    is_compiled = getattr(model, "compiled", False)
    return read_head(
        model,
        *probe(model, (0.0, 1.0)),
        loss=model.loss if is_compiled else None,
        metrics=user_metrics(model) if is_compiled else (),
    )


def _check_sampling(alpha, **integers) -> None:
    for name, value in integers.items():
        check_integer(name, value, minimum=0 if name == "seed" else 1)
    if not is_number(alpha) or not 0 < alpha < 1:
        raise invalid_argument("alpha", "a number between 0 and 1", alpha)


def _digest(arrays) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
