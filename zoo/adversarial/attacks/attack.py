"""The base class of all attacks."""

import abc

import keras
import numpy as np
from keras import ops

from ...differentiation import input_gradient
from ...utils.arguments import check_choice, check_integer, invalid_argument
from .. import norms
from ..classifier.float_inputs import as_floats
from . import objectives
from .attack_arguments import check_bounds, check_epsilon, check_mask, check_mask_shape
from .attacked_model import AttackedModel
from .objective_scale import are_finite, first_scale, smaller_scale


class Attack(abc.ABC):
    """Searches for small perturbations that change the prediction of a classifier.

    An attack has two modes. *Evaluation*, a call of the attack, keeps the best point of
    every example over all steps and restarts. A misclassified point is better than any
    other; otherwise the larger objective is better. Misclassified examples are not
    updated further. *Training*, the method `perturb`, takes a fixed number of steps and
    returns the last point, like the inner maximization of Madry et al. (2018).

    The model runs in inference mode. Its variables, including its random state, do not
    change. The attack maximizes a function of the logits, so it omits a final softmax
    or sigmoid.

    Subclasses implement `_begin`, the initial state of a search, and `_step`, one
    update. Attacks with the same `algorithm` name, norm and loss share compiled
    searches.
    """

    algorithm: str
    loss = "cross_entropy"
    points_per_step = 1  # evaluated points per example and step

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str,
        steps: int,
        random_start: bool,
        restarts: int,
        bounds: tuple[float, float],
        mask,
        targeted: bool,
        seed: int,
    ):
        self.bounds = check_bounds(bounds)
        self.norm = check_choice("norm", norm, norms.NORMS)
        self.epsilon = check_epsilon(epsilon, norm, bounds)
        self.steps = check_integer("steps", steps, minimum=1)
        self.random_start = check_choice("random_start", random_start, (True, False))
        self.restarts = check_integer("restarts", restarts, minimum=1)
        if restarts > 1 and not random_start and self.loss != "targeted_dlr":
            fix = "Without a random start, all restarts are the same."
            raise invalid_argument("restarts", "1", restarts, fix)
        self.mask = check_mask(mask)
        self.targeted = check_choice("targeted", targeted, (True, False))
        self.seed = check_integer("seed", seed, minimum=0)
        self._attacked: AttackedModel | None = None

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
        if self._attacked is None or self._attacked.model is not model:
            self._attacked = AttackedModel(model)
        x, y = self._attacked.check_data(x, y, self.bounds)
        self.check_shape(x.shape[1:])
        return self._attacked.attack(self, x, y, batch_size=batch_size).adversarial

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises if epsilon or the mask does not fit examples of shape `shape`."""
        check_epsilon(self.epsilon, self.norm, self.bounds, shape)
        if self.mask is not None:
            check_mask_shape(self.mask.shape, shape)

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
        start = self._start(inputs, noise, settings)

        def proceed(index, scale, state):
            return index < self.steps

        def body(index, scale, state):
            loss, gradient, _ = self._ascent(
                logits_of, objective, state, index, scale, settings
            )
            smaller = smaller_scale(scale, loss, gradient)
            overflows = ops.any(smaller < scale)
            state = ops.cond(
                overflows,
                lambda: state,
                lambda: self._step(index, state, loss, gradient, inputs, settings),
            )
            return index + ops.cast(~overflows, "int32"), smaller, state

        index = ops.convert_to_tensor(np.int32(0))
        scale = first_scale(inputs)
        state = self._begin(start, settings)
        *_, state = ops.while_loop(proceed, body, (index, scale, state))
        return as_floats(ops.stop_gradient(self._last(state)), x)

    def search(self, logits_of, x, y, active, rank, noise, settings):
        """Returns the best points of one restart for a batch (evaluation mode).

        Args:
            logits_of: Function that maps inputs to logits.
            x: Float32 tensor of shape `(batch, ...)`.
            y: Integer tensor of shape `(batch,)`.
            active: Bool tensor of shape `(batch,)`: the examples to attack.
            rank: Integer scalar or tensor of shape `(batch,)`: number of the restart,
                which selects the target class of "targeted_dlr".
            noise: Result of `noise` or `noise_for_batch`.
            settings: Result of `settings`.

        Returns:
            A tuple: the points, whether each is successful, and their objective.
        """
        found = self.begin_search(x, active, noise, settings)
        found = self.continue_search(logits_of, x, y, rank, found, 0, settings)
        return found["points"], found["is_successful"], found["objective"]

    def begin_search(self, x, active, noise, settings) -> dict:
        """Returns the state of a search before its first step.

        All entries are tensors of shape `(batch, ...)`: `points`, the best points so
        far, and their `objective`; the flags `is_going`, `is_successful` and
        `is_finite`; `index`, the number of steps taken; `scale`, the factor on the
        objective; and `state`, a tuple that belongs to the algorithm.
        """
        lowest = ops.full(ops.shape(active), -float("inf"), dtype="float32")
        return {
            "points": x,
            "objective": lowest,
            "is_going": active,
            "is_successful": ops.zeros_like(active),
            "is_finite": ops.ones_like(active),
            "index": ops.zeros_like(active, dtype="int32"),
            "scale": first_scale(x),
            "state": self._begin(self._start(x, noise, settings), settings),
        }

    def continue_search(self, logits_of, x, y, rank, found, waiting, settings) -> dict:
        """Runs steps until all examples are done, or a quarter if others are waiting.

        Args:
            logits_of: Function that maps inputs to logits.
            x: Float32 tensor of shape `(batch, ...)`.
            y: Integer tensor of shape `(batch,)`.
            rank: Same as in `search`.
            found: Result of `begin_search` or of this method.
            waiting: Integer scalar, 0 or 1: whether other examples are waiting for the
                places of those that are done.
            settings: Result of `settings`.

        Returns:
            A dict with the entries of `begin_search`.
        """
        objective = self.objective(logits_of, x, y, rank)
        fewest = waiting * (3 * ops.shape(y)[0] // 4)

        def proceed(found):
            return ops.sum(ops.cast(found["is_going"], "int32")) > fewest

        def body(found):
            going, index, state = found["is_going"], found["index"], found["state"]
            loss, gradient, logits = self._ascent(
                logits_of, objective, state, index, found["scale"], settings
            )
            wins = going & self.is_successful(logits, y)
            better = going & (wins | (loss > found["objective"]))
            best = ops.where(norms.expand(better, x), state[0], found["points"])
            # Successful examples need no gradient.
            scale = ops.where(
                going & ~wins,
                smaller_scale(found["scale"], loss, gradient),
                found["scale"],
            )
            overflows = ops.any(scale < found["scale"])
            is_finite = ~going | are_finite(loss, gradient) | overflows
            found = {
                "points": best,
                "objective": ops.where(better, loss, found["objective"]),
                "is_going": going & ~wins & (overflows | (index < settings["steps"])),
                "is_successful": found["is_successful"] | wins,
                "is_finite": found["is_finite"] & is_finite,
                "index": ops.where(going & ~overflows, index + 1, index),
                "scale": scale,
                "state": ops.cond(
                    overflows,
                    lambda: state,
                    lambda: self._step(index, state, loss, gradient, x, settings),
                ),
            }
            return (found,)

        (found,) = ops.while_loop(proceed, body, (found,))
        return found

    def is_successful(self, logits, y):
        """Returns whether the attack succeeded, for each example.

        Success is a misclassification or, if targeted, the prediction of the target.
        """
        predicted = ops.cast(ops.argmax(logits, axis=1), y.dtype)
        return (predicted == y) if self.targeted else (predicted != y)

    def noise(self, shape, restarts: np.ndarray, examples: np.ndarray) -> np.ndarray:
        """Returns noise for random starts, or else the noise of the ball's center."""
        if self.random_start:
            return norms.draw_for_examples(
                self.norm, shape, self.seed, restarts, examples
            )
        return norms.center(self.norm, shape, len(examples))

    def noise_for_batch(self, x, seed):
        """Draws noise in a compiled step; returns `None` without random starts."""
        return norms.draw_for_batch(self.norm, x, seed) if self.random_start else None

    def settings(self, scale=1.0) -> dict:
        """Returns the dict of tensors that a compiled search takes as an argument."""
        settings = self._settings(scale)
        return {key: ops.convert_to_tensor(value) for key, value in settings.items()}

    def _settings(self, scale) -> dict:
        settings = {
            "steps": self.steps,
            "epsilon": self.epsilon * scale,
            "low": self.bounds[0],
            "high": self.bounds[1],
        }
        if self.mask is not None:
            settings["mask"] = self.mask.astype("float32")
        return settings

    def kind(self) -> tuple:
        """Returns the key of a compiled search; other settings are its arguments."""
        return self.algorithm, self.norm, self.loss, self.targeted

    def get_config(self) -> dict:
        """Returns the arguments from which `from_config` creates the same attack."""
        return {
            "epsilon": self.epsilon,
            "norm": self.norm,
            "steps": self.steps,
            "random_start": self.random_start,
            "restarts": self.restarts,
            "bounds": self.bounds,
            "mask": None if self.mask is None else self.mask.tolist(),
            "targeted": self.targeted,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict) -> "Attack":
        """Creates an attack from its config."""
        return cls(**config)

    def with_epsilon(self, epsilon: float) -> "Attack":
        """Returns the same attack with another epsilon."""
        return self.from_config({**self.get_config(), "epsilon": epsilon})

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({given})"

    @abc.abstractmethod
    def _begin(self, start, settings: dict) -> tuple:
        """Returns the initial state of a search: a tuple that begins with the points.

        Args:
            start: Result of `_start`.
            settings: Result of `settings`.
        """

    @abc.abstractmethod
    def _step(self, index, state, loss, gradient, x, settings) -> tuple:
        """Returns the next state, given the objective and gradient at its points."""

    def objective(self, logits_of, x, y, rank=0):
        """Returns the function of logits that this attack maximizes.

        Args:
            logits_of: Function that maps inputs to logits.
            x: Float tensor of shape `(batch, ...)`.
            y: Integer tensor of shape `(batch,)`.
            rank: Integer scalar or tensor of shape `(batch,)`: rank of the wrong class
                that "targeted_dlr" targets. Defaults to `0`: the most likely.
        """
        if self.loss == "targeted_dlr":
            logits = logits_of(x)
            rank = rank % (logits.shape[1] - 1)
            targets = objectives.likely_others(logits, y, rank)
            return lambda logits: objectives.targeted_dlr(logits, y, targets)
        function = getattr(objectives, self.loss)
        if self.targeted:
            return lambda logits: -function(logits, y)
        return lambda logits: function(logits, y)

    def _start(self, x, noise, settings):
        if noise is None:
            return x
        point = norms.unit_ball(self.norm, noise, x, settings.get("mask"))
        return self._project(x + settings["epsilon"] * point, x, settings)

    def _project(self, points, x, settings):
        bounds = settings["low"], settings["high"]
        return norms.project(self.norm, points, x, settings["epsilon"], *bounds)

    def _last(self, state):
        """Returns the points in the last state, for `perturb`."""
        return state[0]

    def _ascent(self, logits_of, objective, state, index, scale, settings):
        """Returns the objective, its gradient times `scale`, and the logits."""

        def function(points):
            logits = logits_of(points)
            return objective(logits) * scale, logits

        loss, gradient, logits = input_gradient(function, state[0], has_auxiliary=True)
        return loss / scale, gradient, logits
