"""Records one update by the optimizer, with tensors of the step."""

import functools

import numpy as np
from keras import ops

from .common import updating_optimizers
from .sample import KINDS, NUM_BINS


class Look:
    """Records one call of an optimizer.

    It is created while the step is traced, and holds tensors of the step.

    Args:
        recorder: `Recorder` to which the record belongs.
        optimizer: Optimizer of the model, which may delegate the updates to others.
        gradients: List of the gradients passed to the optimizer; `None` for a variable
            without a gradient.
        variables: List of the corresponding variables.
        clock: Clock of the step, see `begin_clock`.
    """

    def __init__(self, recorder, optimizer, gradients, variables, clock):
        self._recorder = recorder
        self._optimizer = optimizer
        self._is_scaled = hasattr(optimizer, "inner_optimizer")
        self._clock = clock
        known = {id(variable): i for i, variable in enumerate(recorder.variables)}
        self._places = [known.get(id(variable)) for variable in variables]
        pairs = zip(variables, self._places, strict=True)
        recorder.unknown += [variable for variable, place in pairs if place is None]
        self._gradients = self.known(gradients)
        self._owners = _owners(optimizer, self.known(variables))
        self._variables = self.known(variables)
        self._is_update = _any(_updates(owner) for owner in self._distinct_owners())
        is_due = recorder.is_due(clock[1]) if self._variables else False
        self.is_due = _both(self._is_update, is_due)

    def known(self, values) -> list:
        """Returns the values, one per variable, that belong to known variables."""
        return [
            value
            for place, value in zip(self._places, values, strict=True)
            if place is not None
        ]

    def next_clock(self, clock) -> list:
        """Returns the clock after this update."""
        step, number, row, updated = clock
        updated = _maximum(updated, _integer(self._is_update))
        return [step, number, row + _integer(self.is_due), updated]

    def before(self) -> tuple:
        """Returns learning rate, skip flag and gradients, taken before the update."""
        skipped = ops.zeros((), dtype="float32")
        if self._is_scaled:
            skipped = 1 - _float32(self._optimizer.check_finite(self._gradients))
        return self._rate(), skipped, self._used_gradients()

    def record(self, before: tuple, old: list, new: list, records: list, clock) -> list:
        """Returns the record tensors with one more row.

        Args:
            before: Result of `before()`.
            old: Tensors of the known variables before the update.
            new: Tensors of the known variables after the update.
            records: Tensors that hold the rows.
            clock: Clock of the step, which determines the position of the row.
        """
        rate, skipped, gradients = before
        step, number, row, _ = clock
        backend = self._recorder.backend
        tensors = (gradients,), (old,), (new, old)
        measured = [self._measured(*one) for one in tensors]
        counted = [measured[KINDS.index(kind)] for kind in self._recorder.counted]
        numbers = [ops.stack([rate, skipped])]
        numbers += [self._of_all(backend.norms, *one) for one in measured]
        numbers += [self._of_all(backend.largest, *one) for one in counted]
        mark = ops.cast(ops.stack([step, number, row]), "int32")
        marks, numbers_so_far, *counts = records
        records = [
            _put(marks, row, mark),
            _put(numbers_so_far, row, ops.concatenate(numbers)),
        ]

        def with_counts(counts):
            count = backend.count_exponents
            rows = [self._of_all(count, *one, shape=(NUM_BINS,)) for one in counted]
            return [_put(*counts, row, ops.stack(rows))]

        counts_are_due = all(self._recorder.requests.values()) or (
            self._recorder.is_due(self._clock[1], counts=True)
        )
        return records + backend.when(counts_are_due, with_counts, counts)

    def _distinct_owners(self) -> list:
        return list({id(owner): owner for owner in self._owners}.values())

    def _rate(self):
        """Returns the learning rate, or NaN if the optimizers have different ones."""
        rates = [
            _float32(ops.convert_to_tensor(owner.learning_rate))
            for owner in self._distinct_owners()
        ]
        if len(rates) == 1:
            return rates[0]
        are_equal = ops.all(ops.equal(ops.stack(rates), rates[0]))
        return ops.where(are_equal, rates[0], float("nan"))

    def _used_gradients(self) -> list:
        """Returns the unscaled and accumulated gradients, before any clipping."""
        scale = self._optimizer.loss_scale_factor
        if self._is_scaled:
            scale = self._optimizer.dynamic_scale
        gradients = []
        for gradient, variable, owner in zip(
            self._gradients, self._variables, self._owners, strict=True
        ):
            if gradient is not None:
                gradient = self._recorder.backend.dense(gradient)
                if scale is not None:
                    gradient = gradient / scale
                if owner.gradient_accumulation_steps:
                    index = owner._get_variable_index(variable)
                    sums = owner._accumulated_gradients[index]
                    gradient = (gradient + sums) / owner.gradient_accumulation_steps
            gradients.append(gradient)
        return gradients

    def _measured(self, tensors: list, minus=None) -> tuple:
        """Returns operands for the backend, and the index of each variable in them.

        Args:
            tensors: Tensors of the known variables; `None` for a variable without one.
            minus: Tensors to subtract from `tensors`. Defaults to `None`.
        """
        places = [place for place in self._places if place is not None]
        has = [i for i, tensor in enumerate(tensors) if tensor is not None]
        # Variables without a tensor get the index after the last one.
        source = np.full(len(self._recorder.variables), len(has))
        source[[places[i] for i in has]] = np.arange(len(has))
        if not has:
            return None, source
        tensors = [tensors[i] for i in has]
        minus = None if minus is None else [minus[i] for i in has]
        return self._recorder.backend.operands(tensors, minus), source

    def _of_all(self, measure, operands, source, *, shape: tuple = ()):
        """Applies a backend function, with NaN or counts of 0 for missing tensors.

        Args:
            measure: Function of the backend, such as `norms`.
            operands: Operands of the function, or `None` if there are none.
            source: Index of each variable among the operands.
            shape: Shape of the result for one variable. Defaults to `()`.
        """
        if operands is None:
            size = len(source)
            return ops.zeros((size, *shape), "int32") if shape else _nan(size)
        values = measure(operands)
        if np.array_equal(source, np.arange(values.shape[0])):
            return values
        missing = np.zeros((1, *shape)) if shape else np.full(1, np.nan)
        missing = ops.convert_to_tensor(missing, dtype=values.dtype)
        return ops.take(ops.concatenate([values, missing]), source, axis=0)


def _owners(optimizer, variables: list) -> list:
    """Returns the optimizer of each variable."""
    optimizers = updating_optimizers(optimizer)
    if len(optimizers) == 1:
        return optimizers * len(variables)
    owners = {
        id(variable): one for one in optimizers for variable in one._trainable_variables
    }
    return [owners[id(variable)] for variable in variables]


def _updates(optimizer):
    """Returns whether this call updates the weights, as a bool or a tensor."""
    steps = optimizer.gradient_accumulation_steps
    return not steps or (optimizer._iterations + 1) % steps == 0


def _put(records, row, values):
    place = row % records.shape[0]
    # Same dtype as `place`: Python integers become int64 on JAX if that is enabled.
    zero = 0 if isinstance(place, int) else ops.zeros_like(place)
    start = (place, *[zero] * (len(records.shape) - 1))
    return ops.slice_update(records, start, values[None])


def _any(conditions):
    """Returns the disjunction of bools or tensors."""
    conditions = list(conditions)
    if any(condition is True for condition in conditions):
        return True
    tensors = [condition for condition in conditions if condition is not False]
    return functools.reduce(ops.logical_or, tensors) if tensors else False


def _both(first, second):
    """Returns the conjunction of two bools or tensors."""
    if isinstance(first, bool):
        return second if first else False
    if isinstance(second, bool):
        return first if second else False
    return ops.logical_and(first, second)


def _maximum(first, second):
    numbers = first, second
    if all(isinstance(number, int) for number in numbers):
        return max(numbers)
    return ops.maximum(*numbers)


def _nan(size: int):
    return ops.full((size,), float("nan"), "float32")


def _float32(tensor):
    return ops.cast(tensor, "float32")


def _integer(value):
    return int(value) if isinstance(value, bool) else ops.cast(value, "int32")
