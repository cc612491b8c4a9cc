"""Number and kind of the workers of a search."""

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from zoo.utils.arguments import invalid_argument, is_integer

from .environment import (
    available_cores,
    check_gpus_per_trial,
    environment,
    gpus_of_worker,
    max_workers,
    visible_gpus,
)
from .executor_crew import ExecutorCrew
from .local_crew import LocalCrew


@dataclass(frozen=True)
class WorkerSettings:
    """Workers that a call to `search` asks for.

    Attributes:
        size: Number of trials that run at the same time.
        environments: Environment variables of each process on this machine, or of all
            processes of the executor.
        executor: `concurrent.futures.Executor`; `None` for processes on this machine.
    """

    size: int
    environments: list[dict[str, str]]
    executor: Executor | None

    def crew(self, parcel: bytes, folder: Path) -> LocalCrew | ExecutorCrew:
        """Returns the workers, which start when they receive their first trials.

        Args:
            parcel: Packed search.
            folder: Folder of the search.
        """
        if self.executor is None:
            return LocalCrew(self.environments, parcel, folder)
        return ExecutorCrew(self.executor, self.size, self.environments[0], parcel)


def worker_settings(
    workers: int | str | None, executor, gpus_per_trial: float | None
) -> WorkerSettings | None:
    """Checks the arguments of `search` that describe the workers.

    Args:
        workers: As in `RandomSearch.search`.
        executor: As in `RandomSearch.search`.
        gpus_per_trial: As in `RandomSearch.search`.

    Returns:
        The settings, or `None` to run the trials one by one in this process.

    Raises:
        ValueError: If an argument is invalid.
    """
    if workers not in (None, "auto"):
        _check_workers(workers)
    if gpus_per_trial is not None:
        check_gpus_per_trial(gpus_per_trial)
    if executor is not None:
        return _on_executor(workers, executor, gpus_per_trial)
    if workers in (None, 1):
        if gpus_per_trial is not None:
            fix = "Without workers, a trial uses the GPUs that Keras uses."
            raise invalid_argument(
                "gpus_per_trial", "None without `workers`", gpus_per_trial, fix
            )
        return None
    return _on_this_machine(workers, gpus_per_trial)


def _check_workers(workers) -> None:
    if not is_integer(workers) or workers < 1:
        raise invalid_argument(
            "workers",
            'an integer >= 1, "auto" or None',
            workers,
            'With "auto", there is one worker per GPU or, without GPUs, per core.',
        )


def _on_this_machine(workers, gpus_per_trial: float | None) -> WorkerSettings:
    gpus = [] if gpus_per_trial == 0 else visible_gpus()
    if gpus_per_trial is None:
        gpus_per_trial = 1 if gpus else 0
    cores = len(available_cores())
    most = max_workers(gpus, gpus_per_trial) if gpus_per_trial else None
    size = (cores if most is None else most) if workers == "auto" else workers
    if most is not None and not 1 <= size <= most:
        raise invalid_argument(
            "workers",
            f"at most {most} for gpus_per_trial={gpus_per_trial} and {len(gpus)} GPUs",
            workers,
            "To share a GPU between two workers, pass `gpus_per_trial=0.5`. To train "
            "on the CPU, pass `gpus_per_trial=0`.",
        )
    threads = max(cores // size, 1)
    environments = [
        environment(
            threads,
            gpus_of_worker(gpus, gpus_per_trial, index) if gpus_per_trial else [],
        )
        for index in range(size)
    ]
    return WorkerSettings(size, environments, None)


def _on_executor(workers, executor, gpus_per_trial) -> WorkerSettings:
    if gpus_per_trial is not None:
        raise invalid_argument(
            "gpus_per_trial",
            "None with `executor`, which decides where a trial runs",
            gpus_per_trial,
        )
    size = None if workers == "auto" else workers
    if hasattr(executor, "get_executor"):  # a client of Dask
        size = size or sum(executor.nthreads().values())
        # By default, Dask would return the result of an earlier task.
        executor = executor.get_executor(pure=False)
    elif not isinstance(executor, Executor):
        expected = "a `distributed.Client` or a `concurrent.futures.Executor`"
        raise invalid_argument("executor", expected, executor)
    if size is None:
        raise invalid_argument(
            "workers", "the number of workers of `executor`", workers
        )
    if size < 1:
        raise invalid_argument("executor", "a client with workers", executor)
    return WorkerSettings(size, [environment(1, None)], executor)
