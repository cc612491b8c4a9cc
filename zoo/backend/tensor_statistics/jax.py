"""JAX implementation of `zoo.backend.tensor_statistics`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .exponents import NUM_BINS

SMALL = 2**12  # tensors with at most this number of entries are grouped

CHUNK, HISTOGRAMS = 2**14, 4  # size of chunks, and number of histograms per chunk


class _Group(NamedTuple):
    """Group of tensors of the same size and dtype that are processed together.

    Attributes:
        indices: Indices of the tensors in the full list.
        tensors: Matrix with one row per tensor.
        minus: Matrix to subtract, or `None`. The difference is computed only when it
            is used, so that XLA can fuse the subtraction with the next operation and
            large tensors need no extra memory.
    """

    indices: list
    tensors: jax.Array
    minus: jax.Array | None

    def rows(self):
        rows = self.tensors if self.minus is None else self.tensors - self.minus
        return rows.astype("float32")


def densify(gradient):
    return gradient


def operands(tensors: list, minus: list | None = None) -> list:
    # Small tensors are grouped so that fewer operations have to be compiled.
    groups: dict[tuple, list[int]] = {}
    for index, tensor in enumerate(tensors):
        ungrouped = None if tensor.size <= SMALL else index
        groups.setdefault((tensor.dtype, tensor.size, ungrouped), []).append(index)
    return [
        _Group(indices, _matrix(tensors, indices), minus and _matrix(minus, indices))
        for indices in groups.values()
    ]


def norms(operands: list):
    return jnp.sqrt(_of_every_tensor(_square_sums, operands))


def largest(operands: list):
    return _of_every_tensor(lambda rows: jnp.max(jnp.abs(rows), axis=1), operands)


def count_exponents(operands: list):
    return _of_every_tensor(_count_exponents, operands)


def _matrix(tensors: list, indices: list):
    vectors = [tensors[index].ravel() for index in indices]
    return jnp.concatenate(vectors).reshape(len(indices), -1)


def _of_every_tensor(measure, groups: list):
    figures = [measure(group.rows()) for group in groups]
    order = np.argsort(np.concatenate([group.indices for group in groups]))
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
    bins = jnp.arange(len(rows), dtype="int32")[:, None] * NUM_BINS
    bins = (bins + _exponents(rows)).ravel()
    counts = _add_ones(jnp.zeros(len(rows) * NUM_BINS, "int32"), bins)
    return counts.reshape(len(rows), NUM_BINS)


def _count_by_chunks(row):
    """Counts the exponents of a vector in chunks that fit into the CPU cache.

    Neighboring entries are counted in different histograms, so that an addition does
    not have to wait for the previous addition. The last chunk may overlap the previous
    chunk; entries that have already been counted are skipped.
    """
    size = min(CHUNK, len(row))
    lane = jnp.arange(size, dtype="int32")
    histogram = lane % HISTOGRAMS * NUM_BINS

    def add(index, counts):
        first = index * size
        start = jnp.minimum(first, len(row) - size)
        chunk = jax.lax.dynamic_slice(row, (start,), (size,))
        bins = jnp.where(
            start + lane < first, len(counts) - 1, histogram + _exponents(chunk)
        )
        return _add_ones(counts, bins)

    counts = jnp.zeros(HISTOGRAMS * NUM_BINS + 1, "int32")
    counts = jax.lax.fori_loop(0, -(-len(row) // size), add, counts)
    return counts[:-1].reshape(HISTOGRAMS, NUM_BINS).sum(axis=0, dtype="int32")


def _exponents(values):
    bits = jax.lax.bitcast_convert_type(values, jnp.uint32)
    return (bits >> 23).astype("int32")


def _add_ones(counts, bins):
    return counts.at[bins].add(1, mode="promise_in_bounds")  # skips bounds checks
