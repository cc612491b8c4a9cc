"""The state of a callback that consists of some of its attributes."""

from typing import Any, ClassVar


class SavedAttributes:
    """Adds `get_state()` and `set_state()` to a callback, for `ResumeTraining`.

    A subclass lists the attributes in `saved_attributes`.
    """

    saved_attributes: ClassVar[tuple[str, ...]]

    def get_state(self) -> dict[str, Any]:
        """Returns the state, for `ResumeTraining`."""
        return {name: getattr(self, name) for name in self.saved_attributes}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a result of `get_state()`."""
        for name in self.saved_attributes:
            setattr(self, name, state[name])
