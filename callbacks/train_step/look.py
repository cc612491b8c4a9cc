"""One look into the optimizer's part of a step, in tensors."""

import numpy as np
from keras import ops

from .common import choose
from .sample import KINDS, NUM_BINS


class Look:
    """Measures one call of an optimizer.

    It is made where the step is traced, and holds tensors of the step.

    Args:
        observation: `Observation` that it belongs to.
        optimizer: Optimizer of the model, which can be a `LossScaleOptimizer`.
        gradients: Gradients as the optimizer gets them, or `None` for a variable
            without.
        variables: Variables that they belong to.
        clock: Numbers of the step, of the update and of the row: integers or tensors.
        records: Tensors of the rows.
    """

    def __init__(self, observation, optimizer, gradients, variables, clock, records):
        self.records = records
        self._observation = observation
        self._optimizer = optimizer
        self._inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._step, self._number, self._row = clock
        known = {id(variable): i for i, variable in enumerate(observation.variables)}
        self._places = [known.get(id(variable)) for variable in variables]
        self._variables = self.known(variables)
        self._gradients = self.known(gradients)
        steps = self._inner.gradient_accumulation_steps
        self._is_update = not steps or (self._inner._iterations + 1) % steps == 0
        self.is_due = _both(self._is_update, observation.is_due(self._number))

    def known(self, values) -> list:
        """Returns those of the values, one a variable, that belong to known ones."""
        return [
            value
            for place, value in zip(self._places, values, strict=True)
            if place is not None
        ]

    def next_clock(self) -> tuple:
        """Returns the clock of the next step."""
        return (
            self._step + 1,
            self._number + _integer(self._is_update),
            self._row + _integer(self.is_due),
        )

    def before(self) -> tuple:
        """Returns what must be taken before the optimizer works."""
        rate = _float32(ops.convert_to_tensor(self._inner.learning_rate))
        skipped = ops.zeros((), dtype="float32")
        if self._optimizer is not self._inner:
            skipped = 1 - _float32(self._optimizer.check_finite(self._gradients))
        return rate, skipped, self._used_gradients()

    def record(self, before: tuple, old: list, new: list) -> list:
        """Returns the tensors of the rows with one more row in them.

        Args:
            before: What `before()` returned.
            old: Tensors of the known variables before the optimizer worked.
            new: The same after it.
        """
        rate, skipped, gradients = before
        backend = self._observation.backend
        updates = [b - a for a, b in zip(old, new, strict=True)]
        kinds = dict(zip(KINDS, (gradients, old, updates), strict=True))
        counted = [kinds[kind] for kind in self._observation.counted]
        numbers = [ops.stack([rate, skipped])]
        numbers += [self._of_all(backend.norms, kind) for kind in kinds.values()]
        numbers += [self._of_all(backend.largest, kind) for kind in counted]
        mark = ops.cast(ops.stack([self._step, self._number]), "int32")
        marks, numbers_so_far, *counts = self.records
        records = [
            self._put(marks, mark),
            self._put(numbers_so_far, ops.concatenate(numbers)),
        ]

        def with_counts():
            count = backend.count_exponents
            rows = [self._of_all(count, kind, (NUM_BINS,)) for kind in counted]
            return [self._put(*counts, ops.stack(rows))]

        counts_are_due = self._observation.is_due(self._number, counts=True)
        return records + choose(counts_are_due, with_counts, lambda: counts)

    def _used_gradients(self) -> list:
        """The gradients as the weights would get them before any clipping."""
        scale = self._inner.loss_scale_factor
        if self._optimizer is not self._inner:
            scale = self._optimizer.dynamic_scale
        steps = self._inner.gradient_accumulation_steps
        gradients = []
        for gradient, variable in zip(self._gradients, self._variables, strict=True):
            if gradient is not None:
                gradient = self._observation.backend.dense(gradient)
                if scale is not None:
                    gradient = gradient / scale
                if steps:
                    index = self._inner._get_variable_index(variable)
                    sums = self._inner._accumulated_gradients[index]
                    gradient = (gradient + sums) / steps
            gradients.append(gradient)
        return gradients

    def _of_all(self, measure, tensors: list, shape: tuple = ()):
        """Measures tensors; variables without one get NaN, or counts of 0."""
        places = [place for place in self._places if place is not None]
        size = len(self._observation.variables)
        source = np.full(size, len(tensors))
        present = []
        for place, tensor in zip(places, tensors, strict=True):
            if tensor is not None:
                source[place] = len(present)
                present.append(_float32(tensor))
        values = measure(present)
        if len(present) == size and (source == np.arange(size)).all():
            return values
        missing = np.zeros((1, *shape)) if shape else np.full(1, np.nan)
        missing = ops.convert_to_tensor(missing, dtype=values.dtype)
        source[source == len(tensors)] = len(present)
        return ops.take(ops.concatenate([values, missing]), source, axis=0)

    def _put(self, records, row):
        place = self._row % records.shape[0]
        # Of one type with the place: Python's integers are int64 where JAX has it.
        zero = 0 if isinstance(place, int) else ops.zeros_like(place)
        start = (place, *[zero] * (len(records.shape) - 1))
        return ops.slice_update(records, start, row[None])


def _both(first, second):
    """The conjunction of what are bools or tensors."""
    if isinstance(first, bool):
        return second if first else False
    if isinstance(second, bool):
        return first if second else False
    return ops.logical_and(first, second)


def _float32(tensor):
    return ops.cast(tensor, "float32")


def _integer(value):
    return int(value) if isinstance(value, bool) else ops.cast(value, "int32")
