"""Time budget of a search."""

import time


class TimeBudget:
    """Measures the time that a search has taken over all calls of `search`.

    Args:
        seconds: Seconds that the search may take; `None` for no limit.
        used: Seconds that the finished trials of earlier calls took.
    """

    def __init__(self, seconds: float | None, used: float):
        self.seconds = seconds
        self.used = used
        self._began = time.monotonic()

    def is_used_up(self) -> bool:
        """Returns whether the time budget is used up, so that the search must end."""
        if self.seconds is None:
            return False
        return self.used + time.monotonic() - self._began > self.seconds
