"""KerasTuner's hyperparameters, with checked ranges and drawn values."""

from collections.abc import Callable

import keras_tuner

from zoo.arguments import invalid_argument


class DrawnHyperParameters(keras_tuner.HyperParameters):
    """Gives a `build` its values, also those that nobody knew it would ask for.

    KerasTuner gives a hyperparameter that a build declares for the first time, as
    `units_3` of a first model of three layers, its default. Here it is drawn, as all
    others of the trial are. Ranges without values are refused, with the reason.

    Attributes:
        draw: What returns the value of a new hyperparameter; `None` for its default.
    """

    draw: Callable | None = None

    def Float(
        self,
        name,
        min_value,
        max_value,
        step=None,
        sampling="linear",
        default=None,
        **parent,
    ):
        check_range(name, min_value, max_value, sampling)
        return super().Float(
            name, min_value, max_value, step, sampling, default, **parent
        )

    def Int(
        self,
        name,
        min_value,
        max_value,
        step=None,
        sampling="linear",
        default=None,
        **parent,
    ):
        check_range(name, min_value, max_value, sampling)
        return super().Int(
            name, min_value, max_value, step, sampling, default, **parent
        )

    def _register(self, hyperparameter, overwrite=False):
        name = hyperparameter.name
        if self.draw is None:
            return super()._register(hyperparameter, overwrite)
        if name not in self.values and self.is_active(hyperparameter):
            self.values[name] = self.draw(hyperparameter)
        return super()._register(hyperparameter)


def check_range(name: str, low, high, sampling: str = "linear") -> None:
    """Raises if a range has no values, or a log scale a zero.

    Args:
        name: Name of the hyperparameter.
        low: Lower bound.
        high: Upper bound.
        sampling: "linear", "log" or "reverse_log". Defaults to `"linear"`.

    Raises:
        ValueError: If the range is none.
    """
    if low >= high:
        raise invalid_argument(
            "max_value",
            f"a number above min_value={low!r} of hyperparameter '{name}'",
            high,
            f"A single value is `hp.Fixed({name!r}, value)`.",
        )
    if sampling in ("log", "reverse_log") and low <= 0:
        raise invalid_argument(
            "min_value",
            f"a number > 0 for hyperparameter '{name}', since a log scale has no zero",
            low,
            f"With zero as a value of its own: `tuning.zero_or_log_uniform(hp, "
            f"{name!r}, low, high)`.",
        )
