"""Limit on the number of trials that fail in a row."""

from ..trials.search_trial import DIVERGED, FAILED, SearchTrial


class FailureLimit:
    """Ends a search in which too many trials in a row fail.

    Args:
        limit: Integer >= 1, the number of failures in a row that ends the search.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self._in_a_row = 0

    def reset(self) -> None:
        """Forgets earlier failures."""
        self._in_a_row = 0

    def count(self, trial: SearchTrial) -> None:
        """Counts a trial that has just ended.

        Divergence does not count, because it is caused by the values and does not
        indicate a bug.

        Raises:
            RuntimeError: If the limit is reached.
        """
        if trial.status == FAILED:
            self._in_a_row += 1
        elif trial.status != DIVERGED:
            self._in_a_row = 0
        if self._in_a_row >= self.limit:
            raise RuntimeError(
                f"The search has ended because {self.limit} trials in a row failed. "
                "All finished trials are recorded. The last error was:\n"
                f"{trial.error}\nFix its cause and call `search` again to continue "
                "with the next trial."
            )
