"""The Square attack, which uses no gradients."""

import math

import keras
import numpy as np
from keras import ops

from .. import norms
from .attack import Attack
from .random_windows import Squares, Subsets


@keras.saving.register_keras_serializable(package="kerascope")
class Square(Attack):
    """Changes random squares of an image, and keeps changes that increase the margin.

    The class implements algorithms 1 to 3 of Andriushchenko, Croce, Flammarion & Hein,
    "Square Attack: a Query-efficient Black-box Adversarial Attack via Random Search"
    (2020). The attack uses only the outputs of the model, so it is not affected by
    masked gradients. It needs more steps than gradient-based attacks, but each step
    requires only a forward pass.

    Examples of shape `(rows, columns)` or `(rows, columns, channels)` are treated as
    images. If the image data format of Keras is "channels_first", channels come first.

    NOTE[DIFF] Examples of other shapes, such as rows of a table, contain no squares.
    For such examples, the attack changes random subsets of the features instead. Under
    linf, it moves each of these features by plus or minus epsilon. Under l2, it takes
    random steps that shrink on the same schedule as the squares.

    Args:
        epsilon: Number >= 0: the maximum norm of a perturbation, in the units of the
            inputs.
        norm: "linf" or "l2". Defaults to `"linf"`.
        steps: Integer >= 1: number of model evaluations per example, not counting the
            starting point. The schedule of the square sizes scales with this number.
            Defaults to `1000`.
        restarts: Integer >= 1: number of searches per example in evaluation mode, each
            from a different starting point. Defaults to `1`.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        mask: Boolean array that broadcasts to the shape of an example and is true for
            the features that may change. Defaults to `None`: all features.
        targeted: Whether the labels are target classes instead of true classes.
            Defaults to `False`.
        seed: Integer >= 0. In evaluation mode, the search for an example depends only
            on the seed, the index of the restart and the index of the example in the
            data. Defaults to `0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros(2)])
    >>> found = Square(epsilon=0.25, steps=20)(model, [[0.125, 0.5]], [0])
    >>> bool(model.predict(found, verbose=0).argmax() == 0)  # epsilon is too small
    True
    """

    algorithm = "square"
    loss = "margin"
    supported_norms = ("linf", "l2")

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "linf",
        steps: int = 1000,
        restarts: int = 1,
        bounds: tuple[float, float] = (0.0, 1.0),
        mask=None,
        targeted: bool = False,
        seed: int = 0,
    ):
        super().__init__(
            epsilon,
            norm=norm,
            steps=steps,
            random_start=True,
            restarts=restarts,
            bounds=bounds,
            mask=mask,
            targeted=targeted,
            seed=seed,
        )

    def get_config(self) -> dict:
        config = super().get_config()
        del config["random_start"]
        return config

    def kind(self) -> tuple:
        return (*super().kind(), self.steps)  # steps determine the square sizes

    def noise(self, shape, restarts: np.ndarray, examples: np.ndarray) -> np.ndarray:
        noise = np.empty((len(examples), self._noise_size(shape)), "float32")
        for row, restart, example in zip(noise, restarts, examples, strict=True):
            generator = np.random.default_rng((self.seed, int(restart), int(example)))
            row[:] = generator.random(row.size)
        return noise

    def noise_for_batch(self, x, seed):
        shape = (ops.shape(x)[0], self._noise_size(x.shape[1:]))
        return keras.random.uniform(shape, dtype="float32", seed=seed)

    def _noise_size(self, shape) -> int:
        windows = self._windows(shape)
        return windows.start_size + self.steps * windows.step_size

    def _windows(self, shape) -> Squares | Subsets:
        if len(shape) not in (2, 3):
            return Subsets(math.prod(shape), self.steps)
        if _channels_first(shape):
            shape = (*shape[1:], shape[0])
        return Squares((*shape, 1)[:3], self.steps)

    def start(self, x, noise, settings):
        windows = self._windows(x.shape[1:])
        if self.norm == "linf":
            moved = windows.stripes(noise) * settings["epsilon"]
        else:
            moved = windows.tiles(noise)
        moved = self._allowed(_from_grid(moved, x), settings)
        if self.norm == "l2":
            moved = _scaled(moved, settings["epsilon"])
        return self._project(x + moved, x, settings), noise

    def begin(self, start, settings):
        points, noise = start
        lowest = ops.full(ops.shape(noise)[:1], -float("inf"), dtype="float32")
        return points, points, lowest, noise  # candidate, best point and its objective

    def differentiate(self, logits_of, objective, state, index, scale, settings):
        points = state[0]
        logits = logits_of(points)
        return objective(logits), ops.zeros_like(points), logits

    def last_points(self, state):
        return state[1]

    def step(self, index, state, loss, gradient, x, settings):
        points, best, highest, noise = state
        better = loss > highest
        best = ops.where(norms.expand(better, x), points, best)
        windows = self._windows(x.shape[1:])
        step = ops.minimum(index, self.steps - 1)
        step = ops.broadcast_to(ops.cast(step, "int32"), ops.shape(loss))
        first = windows.start_size + step * windows.step_size
        columns = first[:, None] + ops.arange(windows.step_size)[None]
        drawn = windows.draw(step, ops.take_along_axis(noise, columns, axis=1), noise)
        if self.norm == "linf":
            move = self._linf_move
        else:
            is_image = isinstance(windows, Squares)
            move = self._l2_move if is_image else self._l2_step
        moved = move(_to_grid(best - x, windows), drawn, settings)
        moved = self._allowed(_from_grid(moved, x), settings)
        if self.norm == "l2":
            moved = _scaled(moved, settings["epsilon"])
        points = self._project(x + moved, x, settings)
        return points, best, ops.where(better, loss, highest), noise

    def _linf_move(self, moved, drawn, settings):
        inside, _, signs, _ = drawn
        return ops.where(inside, signs * settings["epsilon"], moved)

    def _l2_step(self, moved, drawn, settings):
        """Changes a subset of features; `step` rescales the result to norm epsilon."""
        return moved + settings["epsilon"] * drawn[3]

    def _l2_move(self, moved, drawn, settings):
        """Redraws one window and clears another (algorithm 3).

        `step` rescales the result to norm epsilon.
        """
        inside, other, _, bump = drawn
        axes, channels = (1, 2), moved.shape[3]
        within = ops.where(inside, moved, 0.0)
        size = _norm(within, axes)
        unused = settings["epsilon"] ** 2 - ops.square(_norm(moved, (1, 2, 3)))
        budget = ops.sqrt(ops.maximum(unused, 0) / channels + ops.square(size))
        new = bump / ops.maximum(_norm(bump, axes), norms.TINY)
        new = new + within / ops.maximum(size, norms.TINY)
        new = budget * new / ops.maximum(_norm(new, axes), norms.TINY)
        return ops.where(inside, new, ops.where(other, 0.0, moved))

    def _allowed(self, moved, settings):
        return moved * settings["mask"] if "mask" in settings else moved


def _norm(values, axes):
    return ops.sqrt(ops.sum(ops.square(values), axis=axes, keepdims=True))


def _scaled(moved, epsilon):
    return moved * (epsilon / ops.maximum(norms.norm_of("l2", moved), norms.TINY))


def _channels_first(shape) -> bool:
    return len(shape) == 3 and keras.config.image_data_format() == "channels_first"


def _to_grid(values, windows):
    """Reshapes a tensor of examples to the shape of `windows`."""
    if _channels_first(values.shape[1:]):
        values = ops.transpose(values, (0, 2, 3, 1))
    return ops.reshape(values, (-1, *windows.shape))


def _from_grid(values, like):
    """Reshapes a tensor from the shape of the windows to the shape of `like`."""
    if _channels_first(like.shape[1:]):
        values = ops.transpose(values, (0, 3, 1, 2))
    return ops.reshape(values, ops.shape(like))
