"""The values of a trial, which record what is read."""

import contextlib
from collections.abc import Iterator


class Values(dict):
    """Values of hyperparameters by name, that record which of them are read.

    To ask whether a name is there, to set a value or to compare is not to read one.

    Args:
        values: Values by name.
        asked: Dict to whose keys the name of every value that is read is added.
    """

    def __init__(self, values=(), asked: dict | None = None):
        if isinstance(values, Values):
            values = values.unrecorded()
        super().__init__(values)
        self.asked = {} if asked is None else asked

    def unrecorded(self) -> dict:
        """Returns a copy that is a plain dict; what is read does not count."""
        return dict(super().items())

    @contextlib.contextmanager
    def unrecorded_reads(self) -> Iterator[None]:
        """Forgets what is read inside, by those who read everything."""
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
