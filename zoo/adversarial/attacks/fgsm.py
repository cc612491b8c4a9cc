"""The fast gradient sign method."""

import keras

from .pgd import PGD


@keras.saving.register_keras_serializable(package="kerascope")
class FGSM(PGD):
    """Takes a single step in the direction of the sign of the gradient.

    The attack is defined in section 4 of Goodfellow, Shlens & Szegedy, "Explaining and
    Harnessing Adversarial Examples" (2015). With l2, the step follows the normalized
    gradient; with l1, the signs of its largest one percent. With a random start, this
    is the attack used in fast adversarial training (Wong, Rice & Kolter, "Fast Is
    Better than Free", 2020, algorithm 3): a step of 1.25 epsilon, followed by a
    projection onto the ball.

    The attack is fast but weak. A model that withstands it is not necessarily robust.

    Args:
        epsilon: Number >= 0: the maximum norm of a perturbation, in the units of the
            inputs.
        norm: "linf", "l2" or "l1". Defaults to `"linf"`.
        step_size: Number > 0: norm of the step. Defaults to `None`: epsilon, or 1.25
            epsilon with a random start.
        random_start: Whether to start at a point drawn uniformly from the ball rather
            than at the input. Defaults to `False`.
        restarts: Integer >= 1: number of attempts per example in evaluation mode, each
            with a single step from a different starting point. Defaults to `1`.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        mask: Boolean array that broadcasts to the shape of an example and is true for
            the features that may change. Defaults to `None`: all features.
        targeted: Whether the labels are target classes instead of true classes.
            Defaults to `False`.
        seed: Integer >= 0, as in `PGD`. Defaults to `0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> FGSM(0.1).steps, PGD(0.1).steps
    (1, 40)
    """

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "linf",
        step_size: float | None = None,
        random_start: bool = False,
        restarts: int = 1,
        bounds: tuple[float, float] = (0.0, 1.0),
        mask=None,
        targeted: bool = False,
        seed: int = 0,
    ):
        super().__init__(
            epsilon,
            norm=norm,
            steps=1,
            step_size=step_size,
            random_start=random_start,
            restarts=restarts,
            bounds=bounds,
            mask=mask,
            targeted=targeted,
            seed=seed,
        )

    def get_config(self) -> dict:
        config = super().get_config()
        del config["steps"]
        return config

    def _step_size(self) -> float:
        if self.step_size is not None:
            return self.step_size
        return self.epsilon * (1.25 if self.random_start else 1.0)
