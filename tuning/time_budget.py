"""Time budget of a search."""

import time


class TimeBudget:
    """Measures the total time of a search over all calls to `search`.

    Args:
        seconds: Seconds that the search may take; `None` for no limit.
        used: Total time, in seconds, that earlier calls took until their last trial
            ended.
    """

    def __init__(self, seconds: float | None, used: float):
        self.seconds = seconds
        self.used = used
        self._began = time.monotonic()

    def is_used_up(self) -> bool:
        """Returns whether the time budget is exhausted and the search must stop."""
        return self.seconds is not None and self.elapsed() > self.seconds

    def elapsed(self) -> float:
        """Returns the total time of the search in seconds, over all calls."""
        return self.used + time.monotonic() - self._began

    def left(self) -> float | None:
        """Returns the remaining seconds, or `None` if there is no limit."""
        return None if self.seconds is None else self.seconds - self.elapsed()
