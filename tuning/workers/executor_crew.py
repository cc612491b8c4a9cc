"""Workers that belong to an executor."""

import pickle
import uuid
from concurrent.futures import Executor, Future

import cloudpickle

from .remote_trial import run_remotely
from .trial_task import TrialTask


class ExecutorCrew:
    """Runs trials on an executor, each in a process that the executor's worker starts.

    The extra process keeps the training apart from what the worker itself does. For
    example, the event loop of Dask draws from Python's global random generator.

    Args:
        executor: Executor that runs functions, perhaps on other machines.
        size: Number of trials that run at the same time.
        environment: Environment variables of the processes.
        parcel: Packed search, which is sent to each worker that does not have it.
    """

    def __init__(self, executor: Executor, size: int, environment: dict, parcel: bytes):
        self.size = size
        self._executor = executor
        self._environment = environment
        self._parcel = parcel
        self._key = uuid.uuid4().hex
        self._submitted: set[Future] = set()

    def submit(self, task: TrialTask) -> Future:
        """Starts a trial, and returns a future of its `TrialReport`."""
        outer: Future = Future()
        pickled = cloudpickle.dumps(task)

        def start(parcel: bytes | None) -> None:
            inner = self._executor.submit(
                run_remotely, self._key, parcel, pickled, self._environment
            )
            self._submitted.add(inner)
            inner.add_done_callback(finish)

        def finish(inner: Future) -> None:
            self._submitted.discard(inner)
            try:
                report = inner.result()
                if report is None:  # the worker does not have the search yet
                    start(self._parcel)
                else:
                    outer.set_result(pickle.loads(report))
            except BaseException as error:  # which the driver raises
                outer.set_exception(error)

        start(None)
        return outer

    def close(self) -> None:
        """Cancels trials that have not begun. The executor belongs to the user."""
        for future in tuple(self._submitted):
            future.cancel()
