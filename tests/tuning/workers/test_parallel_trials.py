"""The driver, with workers that end in a random order, die and are interrupted.

Trials run in this process while the driver waits for them, in milliseconds.
"""

import json
import random
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace

import cloudpickle
import keras_tuner
import pandas as pd
import pytest

from tuning import CoarseToFineSearch, OptunaSearch, RandomSearch
from tuning.workers import parallel_trials
from tuning.workers.process_slot import WorkerDied
from tuning.workers.trial_task import run_trial
from tuning.workers.worker_settings import WorkerSettings

pytestmark = pytest.mark.one_backend


class ShuffledCrew:
    """Runs trials one by one, and ends them in a random order.

    Args:
        size: Number of trials that have begun and not ended.
        path: File for the packed search.
        fate: Function of the number of a trial, that returns an exception to raise
            instead of running the trial, or None.
    """

    def __init__(self, size, parcel, path, fate, events):
        path.write_bytes(parcel)
        self.size, self.path, self.fate, self.events = size, path, fate, events
        self.pending = []
        self.random = random.Random(size)

    def submit(self, task):
        future = Future()
        task = cloudpickle.loads(cloudpickle.dumps(task))
        self.events.append(("begin", int(task.state["trial_id"])))
        self.pending.append((task, future))
        return future

    def wait(self, running, return_when):
        """Ends one of the trials, in place of `concurrent.futures.wait`."""
        index = self.random.randrange(len(self.pending))
        task, future = self.pending.pop(index)
        number = int(task.state["trial_id"])
        error = self.fate(number)
        try:
            report = None if error else run_trial(self.path, task)
        except Exception as raised:
            error = raised
        self.events.append(("end", number))
        if error:
            future.set_exception(error)
        else:
            future.set_result(report)
        return {future}, running.keys() - {future}

    def close(self):
        pass


@pytest.fixture
def crew(monkeypatch, tmp_path):
    """Lets searches use a `ShuffledCrew`, and returns what can be set and seen."""
    control = SimpleNamespace(fate=lambda number: None, events=[], count=0)

    def make(self, parcel, folder):
        control.count += 1
        path = tmp_path / f"parcel-{control.count}"
        fate = lambda number: control.fate(number)  # noqa: E731
        crew = ShuffledCrew(self.size, parcel, path, fate, control.events)
        monkeypatch.setattr(parallel_trials, "wait", crew.wait)
        return crew

    monkeypatch.setattr(WorkerSettings, "crew", make)
    return control


class Bowl(CoarseToFineSearch):
    """A space with every kind of hyperparameter, some declared in some trials only."""

    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        x = hp.Float("x", 1e-3, 1.0, sampling="log", default=0.5)
        kind = hp.Choice("kind", ["a", "b", "c"])
        with hp.conditional_scope("kind", ["b"]):
            y = hp.Float("y", 0.0, 1.0) if kind == "b" else 0.0
        units = [
            hp.Int(f"units_{layer}", 1, 9) for layer in range(hp.Int("layers", 1, 3))
        ]
        if trial.number % 7 == 3:
            raise OSError("disk")
        return {"val_loss": (x - 0.2) ** 2 + (kind == "a") + y / 9 + sum(units) / 99}


class Small(RandomSearch):
    """Eight combinations of values, of which the model can tell six."""

    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        layers = hp.Int("layers", 1, 2)
        units = [hp.Choice(f"units_{layer}", [1, 2]) for layer in range(layers)]
        return float(sum(units))


CLOCK = SimpleNamespace(now=0.0, monotonic=lambda: CLOCK.now)


class Slow(RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        CLOCK.now += 1
        return trial.hyperparameters.Float("x", 0, 1)


class Broken(RandomSearch):
    is_broken = True

    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        if Broken.is_broken:
            raise OSError(f"no such file {hp.Float('x', 0, 1)}")
        return hp.Float("x", 0, 1)


def tables(search):
    rounds = sorted(search._project.folder.glob("round_*.json"))
    audits = [json.loads(path.read_text()) for path in rounds]
    return search.results().drop(columns="seconds"), search.history(), audits


def check_same(first, second):
    for one, other in zip(first[:2], second[:2], strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert first[2] == second[2]


def bowl(tmp_path, name, **options):
    settings = {"rounds": 3, "trials_per_round": 12, "seed": 0, "objective": "val_loss"}
    return Bowl(**{**settings, **options}, directory=tmp_path, project_name=name)


def test_any_number_of_workers_gives_the_tables_of_one_process(tmp_path, crew):
    straight = bowl(tmp_path, "straight")
    straight.search(verbose=0)
    expected = tables(straight)
    assert any("y" in str(audit) for audit in expected[2])
    for workers in (2, 3, 8):
        search = bowl(tmp_path, str(workers))
        search.search(verbose=0, workers=workers)
        check_same(tables(search), expected)
        assert search.results().status.value_counts()["failed"] == 5
        # A search that is opened again is the same, too.
        check_same(tables(bowl(tmp_path, str(workers))), expected)


class Discrete(CoarseToFineSearch):
    """So few values that running trials may have those of the next one."""

    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        layers = hp.Int("layers", 1, 3)
        units = [hp.Choice(f"units_{layer}", [1, 2, 3]) for layer in range(layers)]
        return float(abs(sum(units) - 5) + hp.Choice("rate", [0.1, 0.2]))


def test_candidates_are_the_same_with_any_number_of_workers(tmp_path, crew):
    expected = None
    for workers in (1, 2, 3):
        search = Discrete(
            objective="loss",
            rounds=4,
            trials_per_round=8,
            candidates=10,
            seed=1,
            directory=tmp_path,
            project_name=str(workers),
        )
        search.search(verbose=0, workers=workers)
        expected = expected or tables(search)
        check_same(tables(search), expected)
        assert len(expected[0]) == 32


def test_an_optuna_sampler_proposes_the_same_with_any_number_of_workers(tmp_path, crew):
    optuna = pytest.importorskip("optuna")

    class Search(OptunaSearch):
        run_trial = Bowl.run_trial

    def make(name, max_trials=24):
        return Search(
            None,
            "val_loss",
            max_trials,
            sampler=optuna.samplers.TPESampler(n_startup_trials=6),
            trials_per_round=6,
            seed=0,
            directory=tmp_path,
            project_name=name,
        )

    straight = make("straight")
    straight.search(verbose=0)
    expected = tables(straight)
    for workers in (2, 3):
        # A search that is opened again repeats its proposals.
        make(str(workers), 15).search(verbose=0, workers=workers)
        search = make(str(workers))
        search.search(verbose=0, workers=workers)
        check_same(tables(search), expected)


def test_a_round_begins_when_the_last_trial_of_the_round_before_has_ended(
    tmp_path, crew
):
    crew.fate = lambda number: (
        WorkerDied() if number == 5 and ("end", 5) not in crew.events else None
    )
    bowl(tmp_path, "rounds").search(verbose=0, workers=3)
    for first in (12, 24):
        begin = crew.events.index(("begin", first))
        ended = {number for what, number in crew.events[:begin] if what == "end"}
        assert ended >= set(range(first))
    assert crew.events.count(("begin", 5)) == 2
    # Within a round, several trials run at the same time.
    begun = crew.events.index(("begin", 2))
    assert {("end", 1), ("begin", 1)} - set(crew.events[:begun]) == {("end", 1)}


def test_trials_that_differ_in_unread_values_are_no_two_trials(tmp_path, crew):
    expected = None
    for workers in (1, 2, 3):
        search = Small(
            objective="loss",
            max_trials=30,
            seed=3,
            directory=tmp_path,
            project_name=str(workers),
        )
        search.search(verbose=0, workers=workers)
        results = search.results().drop(columns="seconds")
        assert len(results) == 6
        expected = results if expected is None else expected
        pd.testing.assert_frame_equal(results, expected)


def test_a_trial_whose_worker_dies_is_run_again_with_the_same_values(
    tmp_path, crew, capsys
):
    straight = bowl(tmp_path, "straight")
    straight.search(verbose=0)
    deaths = {0: 2, 4: 1, 13: 2, 35: 1}

    def fate(number):
        deaths[number] = deaths.get(number, 0) - 1
        return WorkerDied() if deaths[number] >= 0 else None

    crew.fate = fate
    search = bowl(tmp_path, "deaths")
    search.search(workers=2)
    check_same(tables(search), tables(straight))
    printed = capsys.readouterr().out
    assert printed.count("its worker died, and the trial is run again") == 6
    assert "36 trials, 2 at a time, in " in printed
    assert "running: " in printed


def test_a_trial_whose_worker_dies_is_not_run_again_at_once(tmp_path, crew):
    begun = []

    def fate(number):
        begun.append(number)
        return WorkerDied() if number == 4 and begun.count(4) == 1 else None

    crew.fate = fate
    bowl(tmp_path, "deaths").search(workers=2)
    first = begun.index(4)
    assert 4 not in begun[first + 1 : first + 4]
    assert begun.index(4, first + 1) < begun.index(12)  # the first of the next round


def test_short_rounds_are_named(tmp_path, crew, capsys):
    for size in (4, 12):
        bowl(tmp_path, str(size), trials_per_round=size).search(workers=2)
    printed = capsys.readouterr().out
    assert printed.count("rounds of 4 are short for 2 workers") == 1
    assert "rounds of 12" not in printed


class KilledWorker(Exception):
    """As Dask's, after several workers have died."""


def test_a_trial_that_kills_its_workers_fails_and_the_search_goes_on(tmp_path, crew):
    def fate(number):
        return {3: WorkerDied(), 9: KilledWorker()}.get(number)

    crew.fate = fate
    search = bowl(tmp_path, "poison", rounds=1)
    search.search(verbose=0, workers=2)
    results = search.results()
    assert results.status.tolist().count("failed") == 3
    assert results.error[9].startswith("its worker died 3 times")
    assert crew.events.count(("begin", 3)) == 3
    assert crew.events.count(("begin", 9)) == 1


def test_the_failure_limit_leaves_running_trials_to_be_run_again(tmp_path, crew):
    def make():
        return Broken(objective="loss", max_trials=9, seed=0, directory=tmp_path)

    Broken.is_broken = True
    with pytest.raises(
        RuntimeError, match=r"All trials failed \(3\).*\n.*no such file"
    ):
        make().search(verbose=0, workers=2)
    Broken.is_broken = False
    search = make()
    assert set(search.results().status) == {"failed", "running"}
    search.search(verbose=0, workers=2)
    status = search.results().status
    assert len(status) == 9
    assert status.value_counts().to_dict() == {"completed": 6, "failed": 3}


def test_an_interrupt_says_how_to_continue(tmp_path, crew):
    crew.fate = lambda number: KeyboardInterrupt() if number == 15 else None
    search = bowl(tmp_path, "interrupted")
    with pytest.raises(KeyboardInterrupt) as caught:
        search.search(verbose=0, workers=2)
    assert "run the same program again" in str(caught.value)
    crew.fate = lambda number: None
    again = bowl(tmp_path, "interrupted")
    done = again.results().status
    assert 12 <= (done != "running").sum() < 36
    again.search(verbose=0, workers=3)
    straight = bowl(tmp_path, "straight")
    straight.search(verbose=0)
    check_same(tables(again), tables(straight))


def test_an_executor_that_stops_is_an_error_that_says_how_to_continue(tmp_path, crew):
    crew.fate = lambda number: CancelledError() if number == 2 else None
    search = bowl(tmp_path, "cancelled")
    with pytest.raises(RuntimeError, match="Call `search` again to continue"):
        search.search(verbose=0, workers=2)
    crew.fate = lambda number: None
    search.search(verbose=0, workers=2)
    assert len(search.results()) == 36


def test_the_time_budget_is_the_time_of_the_search(tmp_path, crew, monkeypatch):
    CLOCK.now = 0.0
    monkeypatch.setattr("tuning.time_budget.time", CLOCK)

    def make(budget):
        options = {"max_trials": 9, "seed": 0, "directory": tmp_path}
        return Slow(objective="loss", time_budget=budget, **options)

    search = make(3.5)
    search.search(verbose=0, workers=2)
    # The last trial begins after 3 s, when another one is running. Both end.
    assert (search.results().status == "completed").sum() == 5
    elapsed = max(trial.elapsed for trial in search.oracle.trials.values())
    assert elapsed == CLOCK.now
    more = make(elapsed + 1.5)  # what was used counts
    more.search(verbose=0, workers=2)
    assert (more.results().status == "completed").sum() == 8


def test_an_error_in_a_fatal_trial_ends_the_search(tmp_path, crew):
    objective = keras_tuner.Objective("missing", "min")
    search = bowl(tmp_path, "missing", objective=objective)
    with pytest.raises(ValueError, match="in the logs: 'val_loss'"):
        search.search(verbose=0, workers=2)
