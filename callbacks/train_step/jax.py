"""The training step on JAX, which passes state explicitly."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from .common import begin_clock, begin_step, make_variable, patched
from .look import Look
from .sample import NUM_BINS

SMALL = 2**12  # maximum number of entries of a tensor that is grouped with others

CHUNK, HISTOGRAMS = 2**14, 4  # chunk size and interleaved histograms for counting

FEW = 2**16  # number of weights up to which one function runs all steps


def make_function(model, own, callbacks: list, recorder, args: tuple):
    """Creates a train function that includes the callbacks.

    The variables of the callbacks and the recorder are passed through the compiled
    step as a fifth part of Keras' state. They are assigned afterwards without waiting
    for the values.

    Args:
        model: Compiled model.
        own: The model's own train function.
        callbacks: List of callbacks.
        recorder: `Recorder` of the steps, or `None`.
        args: Arguments of the first call.
    """
    own_step = model.train_step
    state, _ = args
    # Taken from the arguments, since Keras has emptied the variables before the call.
    own_shardings = jax.tree.map(lambda value: value.sharding, state)

    def variables():
        participants = [*callbacks, recorder] if recorder else callbacks
        return [variable for one in participants for variable in one.step_variables()]

    def train_step(state, data):
        *state, values = state
        _, _, optimizer_values, _ = state
        mapping = [
            *zip(variables(), values, strict=True),
            *zip(model.optimizer.variables, optimizer_values, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            begin_step(model, callbacks)
            if recorder is not None:
                recorder.updates = 0
                clock = begin_clock(recorder.clock.value)
                recorder.clock.assign(jnp.stack(clock))
        attributes = _observed(recorder, model.optimizer, scope)
        with patched(model.optimizer, **attributes):
            logs, state = own_step(tuple(state), data)
        values = [scope.get_current_value(variable) for variable in variables()]
        return logs, (*state, values)

    def shardings():
        return (*own_shardings, None)  # no constraint on the fifth part

    with patched(model, train_step=train_step, _get_state_sharding_spec=shardings):
        model.make_train_function(force=True)
    function = model.train_function

    def train_function(state, iterator):
        values = [variable.value for variable in variables()]
        logs, (*state, values) = function((*state, values), iterator)
        for variable, value in zip(variables(), values, strict=True):
            variable.assign(value)
        return logs, tuple(state)

    return train_function


def is_compiled(model) -> bool:
    """Returns whether the first call of the train function traces the whole step."""
    return bool(model.jit_compile) and not model.run_eagerly


def has_free_condition(model) -> bool:
    """Returns whether one compiled function for all steps is cheaper than two.

    To record an update, XLA keeps two copies of the weights. If there are few weights,
    this costs less than a second compilation.
    """
    return model.count_params() <= FEW


def _observed(recorder, optimizer, scope) -> dict:
    """Returns a dict with the optimizer's `stateless_apply`, with recording added."""
    if recorder is None:
        return {}
    own = optimizer.stateless_apply

    def stateless_apply(optimizer_values, gradients, old):
        new, state = own(optimizer_values, gradients, old)
        recorder.count_update()
        clock, *rows = map(scope.get_current_value, recorder.step_variables())
        clock = list(clock)
        mapping = list(zip(optimizer.variables, optimizer_values, strict=True))
        with keras.StatelessScope(mapping):
            variables = optimizer._trainable_variables
            look = Look(recorder, optimizer, gradients, variables, clock)

        def record(rows):
            with keras.StatelessScope(mapping):
                before = look.before()
            return look.record(before, look.known(old), look.known(new), rows, clock)

        is_due = look.is_due
        if is_due is True:
            # A traced predicate makes `when` use a loop. It keeps XLA from fusing the
            # statistics with the update, which makes sums of squares many times slower.
            is_due = clock[0] >= 0
        values = [jnp.stack(look.next_clock(clock)), *when(is_due, record, rows)]
        for update in zip(recorder.step_variables(), values, strict=True):
            scope.add_update(update)
        return new, state

    return {"stateless_apply": stateless_apply}


def when(predicate, function, values: list) -> list:
    """Returns `function(values)` if the predicate is true, otherwise `values`.

    It uses a loop with at most one iteration, which changes the values in place. A
    condition would copy them.
    """
    if not isinstance(predicate, jax.core.Tracer):  # such as under `run_eagerly`
        return function(values) if predicate else values

    def body(carry):
        return jnp.zeros((), bool), function(carry[1])

    return jax.lax.while_loop(lambda carry: carry[0], body, (predicate, values))[1]


def make_clock(model):
    """Creates the clock variable."""
    return make_variable(model, np.zeros(4, "int32"), "int32")


def set_clock(clock, numbers: list) -> None:
    """Sets the numbers of a clock."""
    clock.assign(np.array(numbers, "int32"))


def set_step(clock, step: int) -> None:
    """Sets the number of the next step, without waiting for pending steps."""
    clock.assign(_with_step(clock.value, np.int32(step)))


@jax.jit
def _with_step(clock, step):
    return jnp.stack([step - 1, step, clock[2], jnp.zeros_like(step)])


def numbers(clock) -> list:
    """Returns the numbers of a clock."""
    return np.asarray(clock.value).tolist()


def dense(gradient):
    """Returns a gradient unchanged, since it is a dense tensor."""
    return gradient


class _Group(NamedTuple):
    """Group of tensors of equal size and dtype that are processed together.

    Attributes:
        places: Indices of the tensors in the full list.
        tensors: Matrix with one row per tensor.
        minus: Matrix to subtract, or `None`. The difference is computed only where it
            is used, so that XLA can fuse it and large tensors need no extra memory.
    """

    places: list
    tensors: jax.Array
    minus: jax.Array | None

    def rows(self):
        rows = self.tensors if self.minus is None else self.tensors - self.minus
        return rows.astype("float32")


def operands(tensors: list, minus: list | None = None) -> list:
    """Prepares tensors for `norms`, `largest` and `count_exponents`.

    Small tensors of equal size and dtype are grouped, since each operation must be
    compiled.

    Args:
        tensors: List of tensors of any float dtype.
        minus: List of tensors to subtract from `tensors`, in their dtype. Defaults to
            `None`.
    """
    groups: dict[tuple, list[int]] = {}
    for place, tensor in enumerate(tensors):
        alone = None if tensor.size <= SMALL else place
        groups.setdefault((tensor.dtype, tensor.size, alone), []).append(place)
    return [
        _Group(places, _matrix(tensors, places), minus and _matrix(minus, places))
        for places in groups.values()
    ]


def norms(groups: list):
    """Returns the L2 norm of every tensor."""
    return jnp.sqrt(_of_every_tensor(_square_sums, groups))


def largest(groups: list):
    """Returns the largest magnitude of every tensor."""
    return _of_every_tensor(lambda rows: jnp.max(jnp.abs(rows), axis=1), groups)


def count_exponents(groups: list):
    """Counts the entries of every tensor by sign and exponent."""
    return _of_every_tensor(_count_exponents, groups)


def _matrix(tensors: list, places: list):
    vectors = [tensors[place].ravel() for place in places]
    return jnp.concatenate(vectors).reshape(len(places), -1)


def _of_every_tensor(measure, groups: list):
    figures = [measure(group.rows()) for group in groups]
    order = np.argsort(np.concatenate([group.places for group in groups]))
    return jnp.concatenate(figures)[order]


def _square_sums(rows):
    if len(rows) == 1:  # a dot product is precise for any length
        return jnp.vdot(rows[0], rows[0], precision="highest")[None]
    return jnp.sum(rows * rows, axis=1)


def _count_exponents(rows):
    if rows.size <= SMALL * len(rows):
        return _count_at_once(rows)
    counts = jax.lax.platform_dependent(
        rows[0], cpu=_count_by_chunks, default=lambda row: _count_at_once(row[None])[0]
    )
    return counts[None]


def _count_at_once(rows):
    places = jnp.arange(len(rows), dtype="int32")[:, None] * NUM_BINS
    places = (places + _exponents(rows)).ravel()
    counts = _add_ones(jnp.zeros(len(rows) * NUM_BINS, "int32"), places)
    return counts.reshape(len(rows), NUM_BINS)


def _count_by_chunks(row):
    """Counts the entries of a vector in chunks that fit into the CPU cache.

    Neighboring entries use different histograms, so an addition need not wait for the
    previous one. The last chunk overlaps with the previous one, and skips the entries
    that are already counted.
    """
    size = min(CHUNK, len(row))
    lane = jnp.arange(size, dtype="int32")
    histogram = lane % HISTOGRAMS * NUM_BINS

    def add(index, counts):
        first = index * size
        start = jnp.minimum(first, len(row) - size)
        chunk = jax.lax.dynamic_slice(row, (start,), (size,))
        places = jnp.where(
            start + lane < first, len(counts) - 1, histogram + _exponents(chunk)
        )
        return _add_ones(counts, places)

    counts = jnp.zeros(HISTOGRAMS * NUM_BINS + 1, "int32")
    counts = jax.lax.fori_loop(0, -(-len(row) // size), add, counts)
    return counts[:-1].reshape(HISTOGRAMS, NUM_BINS).sum(axis=0, dtype="int32")


def _exponents(values):
    bits = jax.lax.bitcast_convert_type(values, jnp.uint32)
    return (bits >> 23).astype("int32")


def _add_ones(counts, places):
    return counts.at[places].add(1, mode="promise_in_bounds")  # faster than a check
