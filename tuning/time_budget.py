"""Time budget of a search."""

import time


class TimeBudget:
    """Measures the total time of a search over all calls to `search`.

    Args:
        seconds: Seconds that the search may take; `None` for no limit.
        used: Total time, in seconds, of the trials that were finished in earlier calls.
    """

    def __init__(self, seconds: float | None, used: float):
        self.seconds = seconds
        self.used = used
        self._began = time.monotonic()

    def is_used_up(self) -> bool:
        """Returns whether the time budget is exhausted and the search must stop."""
        if self.seconds is None:
            return False
        return self.used + time.monotonic() - self._began > self.seconds
