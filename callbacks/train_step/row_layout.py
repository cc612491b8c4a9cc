"""The layout of recorded rows: how they are allocated, packed and unpacked."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from zoo.backend.tensor_statistics import NUM_BINS
from zoo.backend.train_step import StepCounters

from .magnitudes import Magnitudes
from .update_record import QUANTITIES, UpdateRecord

LEADING = 2  # learning rate and skip flag, before the entries of the variables


@dataclass(frozen=True)
class RowLayout:
    """Describes the buffers to which the step writes one row per recorded update.

    The buffers are ring buffers: row `i` is stored at index `i % rows`.

    - The headers, an int32 buffer of shape `(rows, 3)`, contain the step number, the
      number of earlier steps that updated the weights, and the row number. All three
      are -1 in an unused row.
    - The numbers, a float32 buffer of shape `(rows, width)`, contain the learning rate
      and a flag that is 1 if the update was skipped. These are followed by the norms of
      all variables for each quantity, and by the largest magnitudes of all variables
      for each quantity in `counted`.
    - The counts, an int32 buffer of shape `(rows, counted, variables, NUM_BINS)`,
      contain the histograms of magnitudes: the number of entries for each sign and
      exponent. This buffer exists only if histograms are recorded.

    Args:
        num_variables: Number of recorded variables.
        counted: Quantities for which histograms of magnitudes are recorded.
    """

    num_variables: int
    counted: tuple[str, ...]

    @property
    def width(self) -> int:
        """Number of entries in each row of the numbers buffer."""
        return LEADING + self.num_variables * (len(QUANTITIES) + len(self.counted))

    @property
    def num_counts(self) -> int:
        """Number of entries in each row of the counts buffer."""
        return len(self.counted) * self.num_variables * NUM_BINS

    def allocate(self, rows: int) -> list[np.ndarray]:
        """Returns the initial values of the buffers."""
        buffers = [
            np.full((rows, 3), -1, "int32"),
            np.zeros((rows, self.width), "float32"),
        ]
        if self.num_counts:
            shape = (rows, len(self.counted), self.num_variables, NUM_BINS)
            buffers.append(np.zeros(shape, "int32"))
        return buffers

    def clear(self, buffers: list) -> None:
        """Marks all rows as unused. The buffers must be variables."""
        headers = buffers[0]
        headers.assign(np.full(headers.shape, -1, "int32"))

    def pack_header(self, counters: StepCounters):
        """Returns the next row for the headers buffer as a tensor."""
        step, number, row, _ = counters
        return ops.cast(ops.stack([step, number, row]), "int32")

    def pack_numbers(self, learning_rate, skipped, norms: list, largest: list):
        """Returns a row for the numbers buffer as a tensor.

        Args:
            learning_rate: Scalar tensor.
            skipped: Scalar tensor that is 1 if the update was skipped, else 0.
            norms: One tensor per quantity, with the norms of all variables.
            largest: One tensor per quantity in `counted`, with the largest magnitudes
                of all variables.
        """
        return ops.concatenate([ops.stack([learning_rate, skipped]), *norms, *largest])

    def pack_counts(self, counts: list):
        """Returns a row for the counts buffer as a tensor.

        Args:
            counts: One tensor per quantity in `counted`.
        """
        return ops.stack(counts)

    def put(self, buffer, row, values):
        """Returns the buffer after replacing one row with `values`."""
        index = row % buffer.shape[0]
        # Same dtype as `index`: on JAX, Python integers become int64 in x64 mode.
        zero = 0 if isinstance(index, int) else ops.zeros_like(index)
        start = (index, *[zero] * (len(buffer.shape) - 1))
        return ops.slice_update(buffer, start, values[None])

    def unpack_new(
        self, buffers: list, epoch: int, last: int
    ) -> tuple[list[UpdateRecord], int]:
        """Converts unread rows to records.

        Args:
            buffers: Buffers as NumPy arrays.
            epoch: Epoch of the rows.
            last: Number of the last row that has been read.

        Returns:
            A list of records in the order of the row numbers, and the number of the
            newest row.
        """
        row_numbers = buffers[0][:, 2]
        order = np.argsort(row_numbers)
        new = order[row_numbers[order] > last]
        records = [
            self.unpack(epoch, *(buffer[index] for buffer in buffers)) for index in new
        ]
        return records, max(last, int(row_numbers.max()))

    def unpack(self, epoch: int, header, numbers, counts=None) -> UpdateRecord:
        """Converts one row to a record.

        Args:
            epoch: Epoch of the step.
            header: Row of the headers buffer.
            numbers: Row of the numbers buffer.
            counts: Row of the counts buffer. Defaults to `None`, for a layout without
                counts.
        """
        # Copied, because a view would keep all rows in memory.
        shape = len(QUANTITIES) + len(self.counted), self.num_variables
        per_variable = numbers[LEADING:].reshape(shape).copy()
        norms = {
            f"{quantity}_norm": values
            for quantity, values in zip(QUANTITIES, per_variable, strict=False)
        }
        largest = per_variable[len(QUANTITIES) :]
        return UpdateRecord(
            step=int(header[0]),
            number=int(header[1]),
            epoch=epoch,
            learning_rate=float(numbers[0]),
            skipped=bool(numbers[1]),
            **norms,
            magnitudes={
                quantity: Magnitudes.from_exponents(largest[i], counts[i])
                for i, quantity in enumerate(self.counted)
            },
        )
