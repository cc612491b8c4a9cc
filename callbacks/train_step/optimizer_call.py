"""Records one call to the optimizer inside the training step."""

import functools

from keras import ops

from zoo.backend.keras_internals import accumulated_gradient, count_of_calls
from zoo.backend.tensor_statistics import densify
from zoo.backend.train_step import StepCounters, when

from .optimizers import optimizers_of
from .quantity import Quantity
from .update_record import QUANTITIES


class OptimizerCall:
    """Records one call to the optimizer.

    Instances are created while the step is traced, and refer to the traced tensors.

    Args:
        recorder: `UpdateRecorder` to which the record belongs.
        optimizer: Optimizer of the model, which may delegate the updates to other
            optimizers.
        gradients: List of the gradients passed to the optimizer; `None` for a variable
            without a gradient.
        variables: List of the corresponding variables.
        counters: Counters of the step.
    """

    def __init__(
        self, recorder, optimizer, gradients, variables, counters: StepCounters
    ):
        self._recorder = recorder
        self._optimizer = optimizer
        self._is_scaled = hasattr(optimizer, "inner_optimizer")
        self._counters = counters
        indices = {id(variable): i for i, variable in enumerate(recorder.variables)}
        self._indices = [indices.get(id(variable)) for variable in variables]
        pairs = zip(variables, self._indices, strict=True)
        recorder.unknown += [variable for variable, index in pairs if index is None]
        self._gradients = self.select(gradients)
        self._variables = self.select(variables)
        self._optimizers = optimizers_of(optimizer, self._variables)
        self._is_update = _any(map(_is_update, self._distinct_optimizers()))
        is_due = recorder.is_due(counters.number) if self._variables else False
        self.is_due = _both(self._is_update, is_due)

    def select(self, values) -> list:
        """Selects the values of the recorded variables.

        Args:
            values: List with one value per variable.
        """
        return [
            value
            for index, value in zip(self._indices, values, strict=True)
            if index is not None
        ]

    def next_counters(self, counters: StepCounters) -> StepCounters:
        """Returns the counters after this call."""
        return counters._replace(
            row=counters.row + _integer(self.is_due),
            has_updated=_maximum(counters.has_updated, _integer(self._is_update)),
        )

    def before(self) -> tuple:
        """Returns the learning rate, skip flag and gradients before the update."""
        skipped = ops.zeros((), dtype="float32")
        if self._is_scaled:
            skipped = 1 - _float32(self._optimizer.check_finite(self._gradients))
        return self._learning_rate(), skipped, self._used_gradients()

    def record(
        self, before: tuple, old: list, new: list, buffers: list, counters: StepCounters
    ) -> list:
        """Adds one row to the buffers, and returns the resulting tensors.

        Args:
            before: Result of `before()`.
            old: Tensors of the recorded variables before the update.
            new: Tensors of the recorded variables after the update.
            buffers: Tensors of the recorder's buffers.
            counters: Counters of the step, which contain the row number.
        """
        learning_rate, skipped, gradients = before
        layout, row = self._recorder.layout, counters.row
        tensors = (gradients,), (old,), (new, old)
        quantities = [self._quantity(*one) for one in tensors]
        counted = [quantities[QUANTITIES.index(name)] for name in layout.counted]
        numbers = layout.pack_numbers(
            learning_rate,
            skipped,
            norms=[quantity.norms() for quantity in quantities],
            largest=[quantity.largest() for quantity in counted],
        )
        header = layout.pack_header(counters)
        headers, numbers_so_far, *counts = buffers
        buffers = [
            layout.put(headers, row, header),
            layout.put(numbers_so_far, row, numbers),
        ]

        def with_counts(counts):
            rows = layout.pack_counts([quantity.counts() for quantity in counted])
            return [layout.put(*counts, row, rows)]

        counts_are_due = self._recorder.counts_are_due(self._counters.number)
        return buffers + when(counts_are_due, with_counts, counts)

    def _quantity(self, tensors: list, minus: list | None = None) -> Quantity:
        indices = self.select(self._indices)
        return Quantity(tensors, indices, len(self._recorder.variables), minus)

    def _distinct_optimizers(self) -> list:
        return list({id(one): one for one in self._optimizers}.values())

    def _learning_rate(self):
        """Returns the learning rate, or NaN if the optimizers have different rates."""
        rates = [
            _float32(ops.convert_to_tensor(one.learning_rate))
            for one in self._distinct_optimizers()
        ]
        if len(rates) == 1:
            return rates[0]
        are_equal = ops.all(ops.equal(ops.stack(rates), rates[0]))
        return ops.where(are_equal, rates[0], float("nan"))

    def _used_gradients(self) -> list:
        """Returns the unscaled and accumulated gradients, before clipping."""
        scale = self._optimizer.loss_scale_factor
        if self._is_scaled:
            scale = self._optimizer.dynamic_scale
        gradients = []
        for gradient, variable, optimizer in zip(
            self._gradients, self._variables, self._optimizers, strict=True
        ):
            if gradient is not None:
                gradient = densify(gradient)
                if scale is not None:
                    gradient = gradient / scale
                if optimizer.gradient_accumulation_steps:
                    total = gradient + accumulated_gradient(optimizer, variable)
                    gradient = total / optimizer.gradient_accumulation_steps
            gradients.append(gradient)
        return gradients


def _is_update(optimizer):
    """Returns whether this call updates weights, as a bool or tensor."""
    steps = optimizer.gradient_accumulation_steps
    return not steps or (count_of_calls(optimizer) + 1) % steps == 0


def _any(conditions):
    """Returns the logical OR of bools or tensors."""
    conditions = list(conditions)
    if any(condition is True for condition in conditions):
        return True
    tensors = [condition for condition in conditions if condition is not False]
    return functools.reduce(ops.logical_or, tensors) if tensors else False


def _both(first, second):
    """Returns the logical AND of two bools or tensors."""
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


def _float32(tensor):
    return ops.cast(tensor, "float32")


def _integer(value):
    return int(value) if isinstance(value, bool) else ops.cast(value, "int32")
