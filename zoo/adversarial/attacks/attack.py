"""Base class of all attacks, with an evaluation mode and a training mode."""

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

    An attack has two modes:

    - *Evaluation*: calling the attack returns, for each example, the best point that
      was found in all steps and restarts. The search for an example ends as soon as it
      finds a point at which the attack succeeds. If no such point is found, the best
      point is the one with the largest objective.
    - *Training*: the `perturb` method takes a fixed number of steps and returns the
      last point, as in the inner maximization of Madry et al. (2018). The exception is
      `Square`, which returns the best point.

    The model runs in inference mode, and its variables, including its random state, do
    not change. The attack maximizes a function of the logits, so it bypasses a final
    softmax or sigmoid.

    Subclasses implement `begin`, which returns the initial state of a search, and
    `step`, which computes one update. Attacks with the same `kind` share compiled
    searches. By default, `kind` consists of the name of the algorithm, the norm, the
    loss and `targeted`.
    """

    _classifier: Classifier | None = None

    def __call__(self, model: keras.Model, x, y, *, batch_size: int = 256):
        """Attacks a dataset, and returns the best points (evaluation mode).

        Args:
            model: Classifier with one input. The search is compiled on the first call
                and reused in later calls with the same model.
            x: Array of shape `(examples, ...)`, with values within the bounds.
            y: True classes, or target classes if `targeted=True`: integers of
                shape `(examples,)`, or one-hot rows of shape `(examples, classes)`.
            batch_size: Integer >= 1: number of examples that are attacked at the same
                time. The batch size affects the running time and the memory usage, but
                not the results. Defaults to `256`.

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
        """Takes a fixed number of steps and returns the last point (training mode).

        The method uses only Keras operations, so it can run inside a compiled training
        step.

        Args:
            logits_of: Function that maps inputs to logits.
            x: Numeric tensor of shape `(batch, ...)`.
            objective: Function that maps logits to a tensor of shape `(batch,)`, which
                contains the values to maximize.
            noise: Result of `noise_for_batch`; required by `Square`. Defaults to
                `None`: the search starts at `x`.
            scale: Factor by which epsilon and the step size are multiplied, for example
                during a warm-up. Defaults to `1.0`.

        Returns:
            A tensor with the shape of `x`. Its dtype is float64 if `x` is float64, and
            float32 otherwise.
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
