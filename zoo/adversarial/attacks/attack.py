"""The base class of all attacks, with their evaluation and training modes."""

import keras
import numpy as np
from keras import ops

from ...utils.arguments import check_integer
from ..classifier.classifier import Classifier
from ..classifier.float_inputs import as_floats
from .attack_algorithm import AttackAlgorithm
from .objective_scale import first_scale, smaller_scale
from .run_attack import run_attack


class Attack(AttackAlgorithm):
    """Searches for small perturbations that change the prediction of a classifier.

    An attack has two modes. *Evaluation*, a call of the attack, keeps the best point of
    every example over all steps and restarts. A misclassified point is better than any
    other; otherwise the larger objective is better. Misclassified examples are not
    updated further. *Training*, the method `perturb`, takes a fixed number of steps and
    returns the last point, like the inner maximization of Madry et al. (2018).

    The model runs in inference mode. Its variables, including its random state, do not
    change. The attack maximizes a function of the logits, so it omits a final softmax
    or sigmoid.

    Subclasses implement `begin`, the first state of a search, and `step`, one update.
    Attacks with the same `algorithm` name, norm and loss share compiled searches.
    """

    _classifier: Classifier | None = None

    def __call__(self, model: keras.Model, x, y, *, batch_size: int = 256):
        """Returns the best adversarial examples found (evaluation mode).

        Args:
            model: Classifier with one input. The search is compiled on the first call
                and reused in further calls with the same model.
            x: Array of shape `(examples, ...)`, within the bounds.
            y: True classes, or the classes to reach if `targeted=True`: integers of
                shape `(examples,)`, or one-hot rows of shape `(examples, classes)`.
            batch_size: Integer >= 1: number of examples that are attacked at once. It
                affects only the running time. Defaults to `256`.

        Returns:
            A float32 NumPy array with the shape of `x`.

        Raises:
            ValueError: If the data or the model is invalid.
        """
        check_integer("batch_size", batch_size, minimum=1)
        if self._classifier is None or self._classifier.model is not model:
            self._classifier = Classifier(model)
        x, y = self._classifier.check_data(x, y, self.bounds)
        self.check_shape(x.shape[1:])
        results = run_attack(self, self._classifier, x, y, batch_size=batch_size)
        return results.adversarial

    def perturb(self, logits_of, x, objective, *, noise=None, scale=1.0):
        """Returns the last point of a fixed number of steps (training mode).

        The method uses only Keras operations and runs inside a training step.

        Args:
            logits_of: Function that maps inputs to logits.
            x: Tensor of numbers of shape `(batch, ...)`.
            objective: Function that maps logits to the values to maximize, of shape
                `(batch,)`.
            noise: Result of `noise_for_batch`. Defaults to `None`: start at `x`.
            scale: Factor on epsilon and the step size, such as in a warm-up. Defaults
                to `1.0`.

        Returns:
            A tensor with the shape of `x`, in float64 if `x` is, otherwise in float32.
        """
        inputs = ops.cast(x, "float32")
        settings = self.settings(scale)
        start = self.start(inputs, noise, settings)

        def proceed(index, scale, state):
            return index < self.steps

        def body(index, scale, state):
            loss, gradient, _ = self.differentiate(
                logits_of, objective, state, index, scale, settings
            )
            smaller = smaller_scale(scale, loss, gradient)
            overflows = ops.any(smaller < scale)
            state = ops.cond(
                overflows,
                lambda: state,
                lambda: self.step(index, state, loss, gradient, inputs, settings),
            )
            return index + ops.cast(~overflows, "int32"), smaller, state

        index = ops.convert_to_tensor(np.int32(0))
        scale = first_scale(inputs)
        state = self.begin(start, settings)
        *_, state = ops.while_loop(proceed, body, (index, scale, state))
        return as_floats(ops.stop_gradient(self.last_points(state)), x)
