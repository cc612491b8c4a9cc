"""The training step that `fit` runs, with callbacks and a recorder of updates in it.

The modules `tensorflow`, `jax` and `torch` implement the same functions; those of the
backend in use can be imported from this package:

- `make_function(step, recorder, args)`: Creates a train function that runs the
  callbacks in every step. `recorder` may be `None`; `args` are the arguments of the
  first call.
- `is_compiled(model)`: Returns whether the first call of the train function traces the
  whole step.
- `has_free_condition(model)`: Returns whether one function for all steps, with a
  condition inside, is cheaper than one function that records and one that does not.
- `check_supported()`: Raises a `RuntimeError` if callbacks cannot take part in the
  step.
- `when(predicate, function, values)`: Returns `function(values)` if the predicate, a
  bool or a tensor, is true, otherwise `values`, a list of tensors.
- `make_counters(model)`: Creates an object whose `value` holds `StepCounters` from step
  to step.
- `set_counters(counters, value)`: Sets the numbers.
- `set_step(counters, step)`: Sets the number of the next step, without waiting for
  pending steps.
- `read_counters(counters)`: Returns the numbers as integers.

The caller defines what happens in a step, with two objects. `step` has the attribute
`model`, a compiled model, and these attributes and methods:

- `own`: The model's own train function.
- `begin_step()`: Runs the callbacks.
- `callback_variables()`: Returns the variables that the callbacks read and assign.

`recorder` has the attributes `counters` and `buffers`, the variables that hold the
records, and these methods:

- `begin_step(counters)`: Returns the `StepCounters` of the next step.
- `build(variables=())`: Creates the buffers if they do not exist.
- `step_variables()`: Returns the counters and the buffers.
- `count_update()`: Counts one more call of the optimizer in the step.
- `may_record(counters)`: Returns whether an update may be recorded in this step.
- `observe(optimizer, gradients, variables, counters)`: Returns an object for one call
  of the optimizer, with the following attributes.

    - `is_due`: Whether to record the call, a bool or a tensor.
    - `select(values)`: Returns those of the values, one per variable, that belong to
      recorded variables.
    - `before()`: Returns what must be read before the update.
    - `record(before, old, new, buffers, counters)`: Returns the tensors of the buffers
      with one more record. `old` and `new` are the values of the recorded variables.
    - `next_counters(counters)`: Returns the `StepCounters` after the call.
"""

import importlib

import keras

from .step_counters import StepCounters
from .variables import make_variable

_module = importlib.import_module(f".{keras.backend.backend()}", package=__package__)

check_supported = _module.check_supported
has_free_condition = _module.has_free_condition
is_compiled = _module.is_compiled
make_counters = _module.make_counters
make_function = _module.make_function
read_counters = _module.read_counters
set_counters = _module.set_counters
set_step = _module.set_step
when = _module.when

__all__ = [
    "StepCounters",
    "check_supported",
    "has_free_condition",
    "is_compiled",
    "make_counters",
    "make_function",
    "make_variable",
    "read_counters",
    "set_counters",
    "set_step",
    "when",
]
