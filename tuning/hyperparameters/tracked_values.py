"""Dict of hyperparameter values that records which values are read."""

import contextlib
from collections.abc import Iterator


class TrackedValues(dict):
    """Maps names of hyperparameters to values, and records which values are read.

    Membership tests, assignments and comparisons do not count as reads.

    Args:
        values: Values by name.
        asked: Dict to update. Its keys are the names of the values that have been read.
    """

    def __init__(self, values=(), asked: dict | None = None):
        if isinstance(values, TrackedValues):
            values = values.unrecorded()
        super().__init__(values)
        self.asked = {} if asked is None else asked

    def unrecorded(self) -> dict:
        """Returns a copy of the values as a plain dict, which does not record reads."""
        return dict(super().items())

    @contextlib.contextmanager
    def unrecorded_reads(self) -> Iterator[None]:
        """Context manager that suspends the recording of reads.

        It is intended for code that reads all values, whether or not the model depends
        on them.
        """
        asked = dict(self.asked)
        yield
        self.asked.clear()
        self.asked.update(asked)

    def __getitem__(self, name):
        value = super().__getitem__(name)
        self.asked[name] = None
        return value

    def get(self, name, default=None):
        if name in self:
            self.asked[name] = None
        return super().get(name, default)

    def __iter__(self):
        self.asked.update(dict.fromkeys(super().__iter__()))
        return super().__iter__()

    def keys(self):
        self.asked.update(dict.fromkeys(super().__iter__()))
        return super().keys()

    def values(self):
        self.asked.update(dict.fromkeys(super().__iter__()))
        return super().values()

    def items(self):
        self.asked.update(dict.fromkeys(super().__iter__()))
        return super().items()

    def copy(self) -> dict:
        return dict(self.items())
