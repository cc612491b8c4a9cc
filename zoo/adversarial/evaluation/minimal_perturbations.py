"""A function that searches for the smallest adversarial perturbations."""

import time

import keras
import numpy as np

from ...utils.arguments import check_choice, check_integer
from ...utils.paired_arguments import takes_pair
from .. import norms
from ..attacks.attack_arguments import check_bounds, check_mask, check_mask_shape
from ..attacks.minimal_norm import find_smallest
from ..classifier.classifier import Classifier
from ..classifier.classifier_trainer import trained_model
from ..classifier.data_checks import as_arrays
from .perturbation_report import PerturbationReport


@takes_pair("minimal_perturbations(model, (x, y))")
def minimal_perturbations(
    model: keras.Model,
    data,
    norm: str = "l2",
    *,
    steps: int = 200,
    bounds: tuple[float, float] = (0.0, 1.0),
    mask=None,
    batch_size: int = 256,
    verbose: int = 1,
) -> PerturbationReport:
    """Searches for the smallest perturbation that changes each prediction.

    Attacks with a fixed epsilon only show whether a perturbation up to this size
    exists. This function runs the fast minimum-norm attack (Pintor, Roli, Brendel &
    Biggio, 2021), which minimizes the size itself. The result shows how close the
    examples are to the decision boundary, and the accuracy at every epsilon.

    The sizes are upper bounds, because the attack may miss smaller perturbations. The
    model must be deterministic in inference mode.

    Args:
        model: Built classifier with one input and one output, as in
            `evaluate_robustness`. For an `AdversarialTrainer` or a `CertifiedTrainer`,
            the wrapped model is attacked.
        data: Tuple of arrays `(x, y)`, or an iterable of batches of this form, such as
            `data.test`. Labels are integers, booleans or one-hot rows.
        norm: "linf", "l2" or "l1". Defaults to `"l2"`.
        steps: Integer >= 1: number of steps. Defaults to `200`.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        mask: Boolean array that broadcasts to the shape of an example and is true for
            the features that may change. Defaults to `None`: all features.
        batch_size: Integer >= 1: number of examples that are attacked at the same time.
            Defaults to `256`.
        verbose: 0 for no output, 1 for a progress bar. Defaults to `1`.

    Returns:
        A `PerturbationReport`, with `distances`, `median`, `adversarial`,
        `robust_accuracy(epsilon)`, `to_frame()` and `plot()`. `print` shows the report
        as a table.

    Raises:
        ValueError: If an argument is invalid or the data do not match the model.
        TypeError: If inputs and labels are passed as two arguments.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([-0.5, 0.5])])
    >>> x = np.array([[0.625, 0.5], [0.25, 0.75], [0.75, 0.0]])
    >>> report = minimal_perturbations(model, (x, np.array([0, 1, 1])), verbose=0)
    >>> report.distances.round(3).tolist()  # the boundary is at 0.5
    [0.125, 0.25, 0.0]
    """
    bounds = check_bounds(bounds)
    check_choice("norm", norm, norms.NORMS)
    mask = check_mask(mask)
    check_integer("steps", steps, minimum=1)
    check_integer("batch_size", batch_size, minimum=1)
    check_choice("verbose", verbose, (0, 1))
    model = trained_model(model)
    classifier = Classifier(model)
    x, y = classifier.check_data(*as_arrays(data), bounds)
    if mask is not None:
        check_mask_shape(mask.shape, x.shape[1:])
    start = time.perf_counter()
    rows = np.flatnonzero(classifier.predict(x, batch_size) == y)
    bar = keras.utils.Progbar(len(x), verbose=verbose)
    bar.update(len(x) - len(rows), finalize=False)
    adversarial = x.copy()
    adversarial[rows] = find_smallest(
        classifier,
        x,
        y,
        rows,
        norm=norm,
        bounds=bounds,
        mask=mask,
        steps=steps,
        batch_size=batch_size,
        on_progress=lambda share: bar.add(round(share * len(rows))),
    )
    fooled = classifier.predict(adversarial, batch_size)
    distances = norms.sizes(norm, adversarial, x)
    distances[fooled == y] = np.inf
    seconds = time.perf_counter() - start
    return PerturbationReport(norm, y, fooled, distances, adversarial, seconds)
