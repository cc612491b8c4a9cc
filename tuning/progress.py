"""Progress output of a search."""

import time
from collections.abc import Callable

FEW_TRIALS_PER_WORKER = 5


class Progress:
    """Prints one line per trial: result, values, best score so far and time left.

    Trials are counted from 0, as in the results and in the names of their folders.

    Args:
        oracle: Oracle of the search.
    """

    def __init__(self, oracle):
        self.oracle = oracle
        self.verbose = 1
        self._began, self._num_trials = time.monotonic(), 0

    def on_search_begin(self, folder, workers: int = 1) -> None:
        """Prints the number of trials and the folder of the search.

        Args:
            folder: Folder of the search.
            workers: Number of trials that run at the same time. Defaults to `1`.
        """
        done = self.oracle.book.num_finished
        went = f", {done} of them done" if done else ""
        at_once = f", {workers} at a time" if workers > 1 else ""
        self._print(f"{self.oracle.max_trials} trials{went}{at_once}, in '{folder}'")
        size = self.oracle.trials_per_round
        has_rounds = size < self.oracle.max_trials
        if has_rounds and workers > 1 and size < FEW_TRIALS_PER_WORKER * workers:
            self._print(
                f"rounds of {size} are short for {workers} workers, which wait for the "
                "last trial of each round; fewer workers or longer rounds wait less"
            )
        self._began, self._num_trials = time.monotonic(), 0

    def on_trial_end(self, trial) -> None:
        """Prints a line with the result of a trial."""
        self._num_trials += 1
        if self.verbose:
            line = ", ".join(filter(None, self._phrases(trial)))
            self._print(f"{line}; {trial.values_text()}".removesuffix("; "))

    def on_worker_death(self, trial) -> None:
        """Prints that a worker has died during a trial, which is run again."""
        number = trial.number
        self._print(f"trial {number}: its worker died, and the trial is run again")

    def on_exhausted(self, attempts: int | None) -> None:
        """Prints why no untried combination of values was found.

        Args:
            attempts: Number of draws, all of which gave combinations that had already
                been tried; `None` if all combinations of the space have been tried.
        """
        if attempts is None:
            self._print(
                "the space is exhausted: all combinations of values have been tried"
            )
        else:
            self._print(
                f"the search ends: {attempts:,} draws gave only combinations that "
                "were tried before, and the space is too large to list the others"
            )

    def on_search_end(self, conclusions: Callable[[], list[str]]) -> None:
        """Prints conclusions, which are computed only if this call ran trials."""
        if self.verbose and self._num_trials:
            for line in conclusions():
                self._print(line)

    def on_out_of_time(self, budget: float) -> None:
        self._print(f"the time budget of {duration(budget)} is used up")

    def _phrases(self, trial):
        oracle = self.oracle
        where = f"trial {trial.number} ({oracle.book.num_finished} of "
        where += f"{oracle.max_trials}"
        rounds = -(-oracle.max_trials // oracle.trials_per_round)
        if rounds > 1:
            where += f", round {trial.round} of {rounds}"
        where += ")"
        if trial.worker is not None:
            where += f" on {trial.worker}"
        name = oracle.objective.name
        result = trial.status.lower()
        if trial.score is not None:
            result = f"{name} {trial.score:.4g}"
            result += (
                "" if trial.status == "COMPLETED" else f" ({trial.status.lower()})"
            )
        elif trial.error:
            result += f": {trial.error}"
        yield f"{where}: {result}"
        best = oracle.get_best_trials()
        if best:
            yield f"best {best[0].score:.4g} (trial {best[0].number})"
        yield duration(trial.seconds)
        running = sorted(each.number for each in oracle.ongoing_trials.values())
        done = self._num_trials + len(running) / 2  # on average, half of each is done
        left = oracle.remaining_trials() * (time.monotonic() - self._began) / done
        yield f"about {duration(left)} left" if left else None
        yield f"running: {' '.join(map(str, running))}" if running else None

    def _print(self, line: str) -> None:
        if self.verbose:
            print(line, flush=True)


def duration(seconds: float) -> str:
    """Formats a duration for display.

    Example:

    >>> from tuning.progress import duration
    >>> duration(3.14), duration(200), duration(8000)
    ('3.1 s', '3 min 20 s', '2 h 13 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
