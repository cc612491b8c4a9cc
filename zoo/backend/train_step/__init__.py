"""The training step of `fit`, extended to run callbacks and to record updates.

The modules `tensorflow`, `jax` and `torch` implement the same functions. This package
exports the functions of the active backend:

- `make_function(step, recorder, args)`: Creates a train function that runs the
  callbacks in every step. `recorder` may be `None`. `args` are the arguments of the
  first call to the train function.
- `is_compiled(model)`: Returns whether the first call to the train function traces the
  whole step.
- `has_free_condition(model)`: Returns `True` if a single train function that decides in
  each step whether to record is cheaper than two functions, one with recording and one
  without.
- `check_supported()`: Raises a `RuntimeError` if callbacks cannot run inside the
  training step.
- `when(predicate, function, values)`: Returns `function(values)` if the predicate is
  true, and `values` otherwise. The predicate is a bool or a tensor, and `values` is a
  list of tensors.
- `make_counters(model)`: Creates an object whose `value` attribute stores the fields of
  a `StepCounters` between steps.
- `set_counters(counters, value)`: Copies the fields of `value`, a `StepCounters`, to
  `counters`.
- `set_step(counters, step)`: Sets the number of the next step to `step`, without
  waiting for pending steps.
- `read_counters(counters)`: Returns the stored `StepCounters`, with its fields as
  integers.
- `take_batch(model, args)`: Reads the next batch ahead of the train function. `args`
  are the arguments of the next call to the train function. Returns the arguments with
  which this call must be made instead, and the batch that its first step will receive,
  or `None` if there is no more data. The train function does the same as with `args`,
  and is not traced again. Raises a `CannotSample`, and leaves `args` usable, if batches
  cannot be read ahead.
- `first_examples(tensor, size)`: Returns the first `size` examples of one tensor of a
  batch as a NumPy array, as described below. Raises a `CannotSample` if this is not
  possible.

A sample of a batch has the same structure as the batch, with these leaves:

- A dense tensor or array becomes a new NumPy array of the same dtype, with the first
  `size` examples along the first axis, or all of them if the batch is smaller. A scalar
  stays a scalar.
- A ragged tensor becomes an array of dtype object with one entry per example, which is
  an array of the example's values, or again an array of dtype object.
- `None` and an empty `tf.experimental.Optional` become `None`.
- Sparse tensors, strings and other objects raise a `CannotSample`.

The caller passes two objects that define what happens in a step. `step` has these
attributes and methods:

- `model`: The compiled model.
- `own`: The model's own train function.
- `begin_step()`: Runs the callbacks.
- `callback_variables()`: Returns the variables that the callbacks read and assign
  inside the step.

`recorder` has these attributes and methods:

- `counters`: Result of `make_counters`.
- `buffers`: List of the variables that store the records.
- `begin_step(counters)`: Returns the `StepCounters` for the step that is about to
  start.
- `build(variables=())`: Creates the buffers if they do not exist.
- `step_variables()`: Returns the counters and the buffers.
- `count_update()`: Counts a call to the optimizer in the current step.
- `may_record(counters)`: Returns whether an update may be recorded in this step.
- `observe(optimizer, gradients, variables, counters)`: Returns an object for one call
  to the optimizer, with these attributes and methods:

    - `is_due`: Whether to record the update (a bool or a tensor).
    - `select(values)`: Takes one value for each variable, and returns the values for
      the variables that are recorded.
    - `before()`: Returns the quantities that must be read before the update.
    - `record(before, old, new, buffers, counters)`: Returns the new values of the
      buffers, with one record added. `before` is the result of `before()`; `old` and
      `new` are the values of the recorded variables before and after the update.
    - `next_counters(counters)`: Returns the `StepCounters` after the call to the
      optimizer.
"""

import importlib

import keras

from .examples import CannotSample
from .step_counters import StepCounters
from .variables import make_variable

_module = importlib.import_module(f".{keras.backend.backend()}", package=__package__)

check_supported = _module.check_supported
first_examples = _module.first_examples
has_free_condition = _module.has_free_condition
is_compiled = _module.is_compiled
make_counters = _module.make_counters
make_function = _module.make_function
read_counters = _module.read_counters
set_counters = _module.set_counters
set_step = _module.set_step
take_batch = _module.take_batch
when = _module.when

__all__ = [
    "CannotSample",
    "StepCounters",
    "check_supported",
    "first_examples",
    "has_free_condition",
    "is_compiled",
    "make_counters",
    "make_function",
    "make_variable",
    "read_counters",
    "set_counters",
    "set_step",
    "take_batch",
    "when",
]
