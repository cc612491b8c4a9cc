"""A function that proves predictions to be constant on balls of inputs."""

from collections.abc import Sequence

import keras

from ...utils.arguments import check_choice, check_integer
from ...utils.paired_arguments import takes_pair
from .. import norms
from ..attacks.attack_arguments import (
    check_bounds,
    check_epsilon,
    check_epsilons,
    check_mask,
    check_mask_shape,
)
from ..classifier.classifier import Classifier
from ..classifier.classifier_trainer import trained_model
from ..classifier.data_checks import as_arrays
from .certificate_report import CertificateReport
from .run_certification import run_certification

METHODS = ("ibp", "crown", "alpha-crown")


@takes_pair("certify(model, (x, y), 0.06)")
def certify(
    model: keras.Model,
    data,
    epsilons: float | Sequence[float],
    norm: str = "linf",
    *,
    method: str = "crown",
    bounds: tuple[float, float] = (0.0, 1.0),
    mask=None,
    steps: int = 20,
    batch_size: int = 64,
    verbose: int = 1,
) -> CertificateReport:
    """Proves that no perturbation up to epsilon changes the prediction of a classifier.

    The margin of a class is the logit of the label minus the logit of that class. This
    function computes lower bounds for all margins over the ball of radius epsilon,
    within the bounds of the inputs. There are three methods, each of which is at least
    as tight as the previous one, and slower:

    - "ibp": interval arithmetic (Gowal et al., 2018),
    - "crown": linear bounds, computed backwards from the logits (Zhang et al., 2018),
    - "alpha-crown": linear bounds with slopes that are optimized for each margin (Xu et
      al., 2021).

    An example is certified if it is classified correctly and all lower bounds are
    positive. The certificates allow for rounding: the bounds are computed in float64
    and widened by their own rounding errors, and each bound must exceed the largest
    rounding error of the model in float32, for any order of summation.

    Limits of a certificate:

    - It holds for the given norm, epsilon and bounds, and for the given examples. It
      says nothing about other perturbations, such as rotations, or about other data.
    - It assumes that float32 products are summed with float32 precision. This excludes
      TensorFloat-32, which some GPUs use unless it is disabled.
    - If a model ends in sigmoids for several classes, the certificate refers to the
      largest logit. The outputs of saturated sigmoids can be equal.
    - An example that is not certified may still be robust.

    Args:
        model: Built functional or sequential classifier with one input and one output.
            It consists of dense layers, `relu`, `relu6`, `leaky_relu`, `PReLU`,
            `sigmoid`, `tanh`, `Maxout`, sums, batch normalization, normalization,
            whitening, rescaling, flattening, and layers that do nothing in inference
            mode. It ends in logits, a softmax or a sigmoid. For an `AdversarialTrainer`
            or a `CertifiedTrainer`, the wrapped model is certified.
        data: Tuple of arrays `(x, y)`, or an iterable of batches of this form, such as
            `data.test`. Labels are integers, booleans or one-hot rows.
        epsilons: Number >= 0, or a sequence of such numbers: the radii of the balls, in
            the units of the inputs.
        norm: "linf", "l2" or "l1". Defaults to `"linf"`.
        method: "ibp", "crown" or "alpha-crown". Defaults to `"crown"`.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        mask: Boolean array that broadcasts to the shape of an example and is true for
            the features that may change. Defaults to `None`: all features.
        steps: Integer >= 1: number of optimization steps of "alpha-crown". Defaults to
            `20`.
        batch_size: Integer >= 1: number of examples that are bounded at the same time.
            For layers with thousands of units, smaller batches need less memory.
            Defaults to `64`.
        verbose: 0 for no output, 1 for a progress bar. Defaults to `1`.

    Returns:
        A `CertificateReport`, with `certified_accuracy`, `certified`, `margins`,
        `to_frame()` and `plot()`. `print` shows the report as a table.

    Raises:
        ValueError: If an argument is invalid, if the data do not match the model, or if
            the model contains a layer that is not supported. The message names the
            layer.
        TypeError: If inputs and labels are passed as two arguments.

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
    check_choice("norm", norm, norms.NORMS)
    check_choice("method", method, METHODS)
    epsilons = check_epsilons(epsilons)
    mask = check_mask(mask)
    check_integer("steps", steps, minimum=1)
    check_integer("batch_size", batch_size, minimum=1)
    check_choice("verbose", verbose, (0, 1))
    model = trained_model(model)
    classifier = Classifier(model)
    x, y = classifier.check_data(*as_arrays(data), bounds)
    for epsilon in epsilons:
        check_epsilon(epsilon, norm, bounds, x.shape[1:], name="epsilons")
    if mask is not None:
        check_mask_shape(mask.shape, x.shape[1:])
    return run_certification(
        classifier,
        x,
        y,
        epsilons,
        norm=norm,
        bounds=bounds,
        mask=mask,
        method=method,
        steps=steps,
        batch_size=batch_size,
        verbose=verbose,
    )
