"""End of a trial that is no failure."""


class TrialEnd(Exception):
    """Ends a trial without a failure.

    Args:
        status: Status of the trial; `None` to repeat the trial later.
        reason: Reason in words.
    """

    def __init__(self, status: str | None, reason: str):
        super().__init__(reason)
        self.status = status
