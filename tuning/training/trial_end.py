"""Exception that ends a trial without marking it as failed."""


class TrialEnd(Exception):
    """Ends a trial without marking it as failed.

    Args:
        status: Final status of the trial; `None` to repeat the trial later.
        reason: Reason why the trial ended.
    """

    def __init__(self, status: str | None, reason: str):
        super().__init__(reason)
        self.status = status
