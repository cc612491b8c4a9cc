"""The time that a search may take."""

import time


class TimeBudget:
    """Measures the time of a search over all its calls.

    Args:
        seconds: Seconds that the search may take; `None` for no limit.
        used: Seconds that earlier calls took.
    """

    def __init__(self, seconds: float | None, used: float):
        self.seconds = seconds
        self.used = used
        self._began = time.monotonic()

    def is_used_up(self) -> bool:
        """Returns whether the search must end."""
        if self.seconds is None:
            return False
        return self.used + time.monotonic() - self._began > self.seconds
