"""Base class of attack algorithms."""

import abc
from typing import Self

import numpy as np
from keras import ops

from ...differentiation import input_gradient
from ...utils.arguments import check_choice, check_integer, invalid_argument
from .. import norms
from . import objectives
from .attack_arguments import check_bounds, check_epsilon, check_mask, check_mask_shape


class AttackAlgorithm(abc.ABC):
    """Base class of attack algorithms.

    The class defines the settings, the initial state and a single step of an attack.
    The loops over the steps are in `Attack.perturb` (for training) and in the `search`
    module (for evaluation).

    Subclasses implement `begin`, which returns the initial state of a search, and
    `step`, which computes one update. Algorithms with the same `kind` share compiled
    searches.
    """

    algorithm: str
    loss = "cross_entropy"
    supported_norms: tuple[str, ...] = norms.NORMS
    points_per_step = 1  # number of model evaluations per example and step

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
        self.norm = check_choice("norm", norm, self.supported_norms)
        self.epsilon = check_epsilon(epsilon, norm, bounds)
        self.steps = check_integer("steps", steps, minimum=1)
        self.random_start = check_choice("random_start", random_start, (True, False))
        self.restarts = check_integer("restarts", restarts, minimum=1)
        if restarts > 1 and not random_start and self.loss != "targeted_dlr":
            fix = "Without a random start, all restarts are identical."
            raise invalid_argument("restarts", "1", restarts, fix)
        self.mask = check_mask(mask)
        self.targeted = check_choice("targeted", targeted, (True, False))
        self.seed = check_integer("seed", seed, minimum=0)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises an error if epsilon or the mask is incompatible with `shape`."""
        check_epsilon(self.epsilon, self.norm, self.bounds, shape)
        if self.mask is not None:
            check_mask_shape(self.mask.shape, shape)

    def is_successful(self, logits, y):
        """Returns, for each example, whether the attack succeeded.

        The attack succeeds if the example is misclassified or, in a targeted attack, if
        the target class is predicted.
        """
        predicted = ops.cast(ops.argmax(logits, axis=1), y.dtype)
        return (predicted == y) if self.targeted else (predicted != y)

    def noise(self, shape, restarts: np.ndarray, examples: np.ndarray) -> np.ndarray:
        """Returns the noise from which `start` computes the starting points.

        If `random_start` is false, the starting points are the inputs themselves.
        """
        if self.random_start:
            return norms.draw_for_examples(
                self.norm, shape, self.seed, restarts, examples
            )
        return norms.center(self.norm, shape, len(examples))

    def noise_for_batch(self, x, seed):
        """Draws noise in a compiled step; returns `None` if `random_start` is false."""
        return norms.draw_for_batch(self.norm, x, seed) if self.random_start else None

    def settings(self, scale=1.0) -> dict:
        """Returns, as tensors, the settings that are passed to a compiled search."""
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
        """Returns the key under which a compiled search is cached.

        Settings that are not part of the key are passed to the search as arguments.
        """
        return self.algorithm, self.norm, self.loss, self.targeted

    def objective(self, logits_of, x, y, rank=0):
        """Returns the function of logits that this attack maximizes.

        Args:
            logits_of: Function that maps inputs to logits.
            x: Float tensor of shape `(batch, ...)`.
            y: Integer tensor of shape `(batch,)`.
            rank: Integer scalar or tensor of shape `(batch,)`: rank of the wrong class
                that "targeted_dlr" targets, modulo the number of wrong classes.
                Defaults to `0`: the most likely wrong class.
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

    def start(self, x, noise, settings):
        """Returns the starting points for `begin`.

        Some algorithms return a tuple of the points and the noise.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            noise: Result of `noise` or `noise_for_batch`. If it is `None`, the search
                starts at `x`.
            settings: Result of `settings`.
        """
        if noise is None:
            return x
        point = norms.unit_ball(self.norm, noise, x, settings.get("mask"))
        return self._project(x + settings["epsilon"] * point, x, settings)

    @abc.abstractmethod
    def begin(self, start, settings: dict) -> tuple:
        """Returns the initial state of a search: a tuple that begins with the points.

        Args:
            start: Result of `start`.
            settings: Result of `settings`.
        """

    def differentiate(self, logits_of, objective, state, index, scale, settings):
        """Returns the objective, its gradient times `scale`, and the logits.

        Args:
            logits_of: Function that maps inputs to logits.
            objective: Function that maps logits to the values to maximize.
            state: Current state of the search.
            index: Number of steps taken so far: an integer scalar, or one integer per
                example.
            scale: Factor by which the objective of each example is multiplied.
            settings: Result of `settings`.
        """

        def function(points):
            logits = logits_of(points)
            return objective(logits) * scale, logits

        loss, gradient, logits = input_gradient(function, state[0], has_auxiliary=True)
        return loss / scale, gradient, logits

    @abc.abstractmethod
    def step(self, index, state, loss, gradient, x, settings) -> tuple:
        """Computes one update from the objective and gradient at the current points."""

    def last_points(self, state):
        """Returns the result of `Attack.perturb`, given the final state of a search."""
        return state[0]

    def _uphill(self, points, gradient, settings):
        """Returns the direction of an ascent step as a perturbation of norm 1."""
        mask = settings.get("mask")
        if self.norm == "l1":
            # A sparse step must not spend its budget on features at their bounds.
            is_free = ops.where(
                gradient > 0, points < settings["high"], points > settings["low"]
            )
            is_free = ops.cast(is_free, gradient.dtype)
            mask = is_free if mask is None else mask * is_free
        return norms.direction(self.norm, gradient, mask)

    def _project(self, points, x, settings):
        bounds = settings["low"], settings["high"]
        return norms.project(self.norm, points, x, settings["epsilon"], *bounds)

    def get_config(self) -> dict:
        """Returns the arguments from which `from_config` recreates the attack."""
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
    def from_config(cls, config: dict) -> Self:
        """Creates an attack from its config."""
        return cls(**config)

    def with_epsilon(self, epsilon: float) -> Self:
        """Returns a copy of the attack with a different epsilon."""
        return self.from_config({**self.get_config(), "epsilon": epsilon})

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({given})"
