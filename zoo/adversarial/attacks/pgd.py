"""The projected gradient descent (PGD) attack."""

import keras

from ...utils.arguments import check_positive
from .attack import Attack


@keras.saving.register_keras_serializable(package="kerascope")
class PGD(Attack):
    """Maximizes cross-entropy by projected gradient ascent.

    The attack is described in section 2.1 of Madry et al., "Towards Deep Learning
    Models Resistant to Adversarial Attacks" (2018). Each step follows the sign of the
    gradient for linf, the normalized gradient for l2, or the signs of the largest one
    percent of the gradient for l1 (Tramer & Boneh, 2019). The result is projected onto
    the ball. The attack uses the gradient of the log-odds, which has the same
    direction as the gradient of cross-entropy but does not vanish if the model is very
    confident.

    Args:
        epsilon: Number >= 0: the maximum norm of a perturbation, in the units of the
            inputs.
        norm: "linf", the largest absolute change of a feature; "l2", the square root of
            the sum of squared changes; or "l1", the sum of absolute changes. Defaults
            to `"linf"`.
        steps: Integer >= 1: number of steps. Defaults to `40`.
        step_size: Number > 0: norm of a step. Defaults to `None`:
            2.5 * epsilon / steps.
        random_start: Whether to start at a point drawn uniformly from the ball rather
            than at the input. Defaults to `True`.
        restarts: Integer >= 1: number of searches per example in evaluation mode, each
            from a different starting point. Defaults to `1`.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        mask: Boolean array that broadcasts to the shape of an example and is true for
            the features that may change. Defaults to `None`: all features.
        targeted: Whether the labels are target classes instead of true classes.
            Defaults to `False`.
        seed: Integer >= 0. In evaluation mode, a random starting point depends only
            on the seed, the index of the restart and the index of the example in the
            data. It does not depend on the batch size, and additional restarts do not
            change the starting points of earlier restarts. Defaults to `0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros(2)])
    >>> x, y = np.array([[0.625, 0.5]]), np.array([0])
    >>> attack = PGD(epsilon=0.25, random_start=False)
    >>> attack(model, x, y).tolist()  # the second feature has no influence
    [[0.375, 0.5]]
    """

    algorithm = "pgd"

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "linf",
        steps: int = 40,
        step_size: float | None = None,
        random_start: bool = True,
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
            random_start=random_start,
            restarts=restarts,
            bounds=bounds,
            mask=mask,
            targeted=targeted,
            seed=seed,
        )
        self.step_size = step_size
        if step_size is not None:
            self.step_size = check_positive("step_size", step_size)

    def _settings(self, scale) -> dict:
        return {**super()._settings(scale), "step_size": self._step_size() * scale}

    def get_config(self) -> dict:
        return {**super().get_config(), "step_size": self.step_size}

    def _step_size(self) -> float:
        if self.step_size is not None:
            return self.step_size
        return 2.5 * self.epsilon / self.steps

    def begin(self, start, settings):
        return (start,)

    def step(self, index, state, loss, gradient, x, settings):
        uphill = self._uphill(state[0], gradient, settings)
        points = state[0] + settings["step_size"] * uphill
        return (self._project(points, x, settings),)
