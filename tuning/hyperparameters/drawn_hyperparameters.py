"""KerasTuner hyperparameters with checked ranges and randomly drawn values."""

import functools
from collections.abc import Callable, Container, Iterable

import keras_tuner
from keras_tuner import errors
from keras_tuner.engine.hyperparameters import Float, HyperParameter, Int

from zoo.utils.arguments import invalid_argument, is_number

from ..keras_tuner_internals import (
    add_hyperparameter,
    check_name,
    hyperparameters_named,
)
from .exact_numbers import exact
from .probability import to_probability
from .tracked_values import TrackedValues


class DrawnHyperParameters(keras_tuner.HyperParameters):
    """Provides the values of a trial, and draws values for new hyperparameters.

    If `build` declares a hyperparameter for the first time, such as `units_3` in the
    first model with three layers, KerasTuner assigns the default. This class draws a
    random value instead, as for all other hyperparameters of the trial. It also records
    which values `build` reads, because unread values do not affect the model. Empty
    ranges, and ranges that differ between calls to `build`, raise an error that states
    the reason.

    Attributes:
        draw: Function that returns the value of a new hyperparameter; `None` to use the
            default.
        given: Names of hyperparameters whose ranges override the ranges that `build`
            declares.
        asked: Dict whose keys are the names of the values that have been read.
    """

    draw: Callable | None = None
    given: frozenset[str] = frozenset()

    def __init__(self):
        self.asked: dict[str, None] = {}
        super().__init__()

    @property
    def values(self) -> TrackedValues:
        """Values by name. Reading a value records its name in `asked`."""
        return self._values

    @values.setter
    def values(self, values: dict):
        self._values = TrackedValues(values, self.asked)

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

    def is_active(self, hyperparameter) -> bool:
        """Returns whether a hyperparameter is active.

        Args:
            hyperparameter: Hyperparameter or its name. A name counts as active if any
                hyperparameter with this name is active.
        """
        if not isinstance(hyperparameter, HyperParameter):
            named = hyperparameters_named(self, str(hyperparameter))
            return any(self.is_active(hp) for hp in named)
        if not hyperparameter.conditions:
            return True
        return self.are_met(hyperparameter.conditions)

    def are_met(self, scope: Iterable) -> bool:
        """Returns whether the values meet all conditions of a scope."""
        values = self.values.unrecorded()
        return all(condition.is_active(values) for condition in scope)

    def ensure_active_values(self) -> None:
        """Adds missing defaults of active hyperparameters, and removes inactive values.

        Existing values of active hyperparameters are kept.
        """
        for hp in self.space:
            if self.is_active(hp):
                self.values.setdefault(hp.name, hp.default)
            else:
                self.values.pop(hp.name, None)

    def forget_unasked(self, kept: Container[str] = ()) -> None:
        """Removes the values that were not read.

        Args:
            kept: Names of values that are kept in any case. Defaults to `()`.
        """
        for name in self.values.unrecorded():
            if name not in self.asked and name not in kept:
                del self.values[name]

    def get_config(self) -> dict:
        return {
            # A copy, because KerasTuner modifies the configs that it parses.
            "space": [
                {"class_name": type(hp).__name__, "config": dict(_config(hp))}
                for hp in self.space
            ],
            "values": self.values.unrecorded(),
        }

    @classmethod
    def from_config(cls, config: dict) -> "DrawnHyperParameters":
        parsed = keras_tuner.HyperParameters.from_config(config)
        return cls.of(parsed.space, parsed.values)

    @classmethod
    def of(cls, space: Iterable[HyperParameter], values: dict, given=frozenset()):
        """Creates an instance from the hyperparameters of a space and their values.

        The hyperparameters are shared, not copied, except that KerasTuner's own `Float`
        and `Int` are replaced with exact versions (see `exact_numbers.exact`).
        """
        hyperparameters = cls()
        for hp in map(exact, space):
            add_hyperparameter(hyperparameters, hp)
        hyperparameters.values = values
        hyperparameters.given = given
        return hyperparameters

    def copy(self) -> "DrawnHyperParameters":
        return type(self).of(self.space, self.values.unrecorded(), self.given)

    def _exists(self, name, conditions=None) -> bool:
        # A scope may depend on any declared hyperparameter, even on one that was
        # declared outside the enclosing scope.
        named = hyperparameters_named(self, name)
        if conditions is None:
            return bool(named)
        return any(hp.conditions == conditions for hp in named)

    def _retrieve(self, hp):
        """Returns the value of a hyperparameter that `build` declares.

        If the hyperparameter is not active, returns `None`.
        """
        if hp.name not in self.given:
            self._check_same_range(hp)
        if not self._exists(hp.name, hp.conditions):
            _check_values(hp)
            # A copy, because `hp.conditions` is the mutable list of enclosing scopes.
            self._register(type(hp).from_config(hp.get_config()))
        if not self.is_active(hp):
            return None
        if hp.name not in self.values:
            self.values[hp.name] = self._first_value(hp)
        return self.values[hp.name]

    def _register(self, hyperparameter, overwrite=False):
        hp = exact(hyperparameter)
        check_name(self, hp.name)
        add_hyperparameter(self, hp)
        is_due = hp.name not in self.values or (overwrite and self.draw is None)
        if is_due and self.is_active(hp):
            self.values[hp.name] = self._first_value(hp)

    def _first_value(self, hp: HyperParameter):
        return hp.default if self.draw is None else self.draw(exact(hp))

    def _check_same_range(self, hp: HyperParameter) -> None:
        """Raises an error if the name was declared earlier with a different range."""
        range_ = _range(hp)
        for other in hyperparameters_named(self, hp.name):
            if _range(other) == range_:
                continue
            is_same = other.conditions == hp.conditions
            if is_same or (self.is_active(other) and self.is_active(hp)):
                raise errors.FatalValueError(
                    f"Hyperparameter '{hp.name}' was declared with two ranges. "
                    f"Expected the same range in every build: {_words(other)}. "
                    f"Received: {_words(hp)}\nA range that depends on another value "
                    "cannot be searched. Declare a hyperparameter with a fixed range, "
                    "such as a fraction or a factor, and compute the value from both. "
                    "Different hyperparameters need different names."
                )


def check_range(name: str, low, high, sampling: str = "linear") -> None:
    """Raises an error if a range is empty, or not positive on a log scale.

    Args:
        name: Name of the hyperparameter.
        low: Lower bound.
        high: Upper bound.
        sampling: "linear", "log" or "reverse_log". Defaults to `"linear"`.

    Raises:
        ValueError: If a bound is not a finite number, if `low >= high`, or if
            `low <= 0` on a log scale.
    """
    for bound, value in (("min_value", low), ("max_value", high)):
        if not is_number(value):
            expected = f"a finite number for hyperparameter '{name}'"
            raise invalid_argument(bound, expected, value)
    if low >= high:
        raise invalid_argument(
            "max_value",
            f"a number above min_value={low!r} of hyperparameter '{name}'",
            high,
            f"For a single value, use `hp.Fixed({name!r}, value)`.",
        )
    if sampling in ("log", "reverse_log") and low <= 0:
        raise invalid_argument(
            "min_value",
            f"a number > 0 for hyperparameter '{name}': a log scale has no zero",
            low,
            "To include zero, use "
            f"`tuning.zero_or_log_uniform(hp, {name!r}, low, high)`.",
        )


def check_space(space: list[HyperParameter]) -> None:
    """Raises an error if a hyperparameter has an invalid step or default.

    Raises:
        ValueError: If a step is not a number > 0, or if a default is outside the range
            of its hyperparameter.
    """
    for hp in space:
        _check_values(hp)


def _check_values(hp: HyperParameter) -> None:
    step = getattr(hp, "step", None)
    if step is not None and (not is_number(step) or step <= 0):
        expected = f"a number > 0 for hyperparameter '{hp.name}'"
        raise invalid_argument("step", expected, step)
    try:
        to_probability(exact(hp), hp.default)
    except (ValueError, TypeError) as error:
        expected = f"a value in the range of hyperparameter '{hp.name}'"
        raise invalid_argument("default", expected, hp.default, str(error)) from None


@functools.lru_cache(maxsize=4096)
def _config(hp: HyperParameter) -> dict:
    """Returns the config of a hyperparameter, cached because all trials share it."""
    return hp.get_config()


def _range(hp: HyperParameter) -> tuple:
    """Returns a key that identifies the distribution of a hyperparameter's values."""
    if isinstance(hp, Float | Int):
        return (type(hp).__name__, hp.min_value, hp.max_value, hp.step, hp.sampling)
    return (type(hp).__name__, *hp.values)


def _words(hp: HyperParameter) -> str:
    if not isinstance(hp, Float | Int):
        return f"{type(hp).__name__} of {list(hp.values)}"
    step = "" if hp.step is None else f" in steps of {hp.step}"
    return f"{type(hp).__name__} from {hp.min_value} to {hp.max_value}{step}"
