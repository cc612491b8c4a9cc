from concurrent.futures import ThreadPoolExecutor

import pytest

from tuning.workers import environment, worker_settings
from tuning.workers.worker_settings import worker_settings as settings_of

pytestmark = pytest.mark.one_backend


@pytest.fixture
def machine(monkeypatch):
    """Pretends that this machine has some cores and GPUs."""

    def pretend(cores, gpus):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        monkeypatch.setattr(
            worker_settings, "available_cores", lambda: tuple(range(cores))
        )
        for name in environment.THREADS:
            monkeypatch.delenv(name, raising=False)

    return pretend


def devices(settings):
    return [each["CUDA_VISIBLE_DEVICES"] for each in settings.environments]


@pytest.mark.parametrize("workers", [None, 1])
def test_one_worker_is_this_process(workers):
    assert settings_of(workers, None, None) is None


def test_without_gpus_workers_share_the_cores(machine):
    machine(9, "-1")
    for workers, threads in ((2, 4), (4, 2), (20, 1)):
        settings = settings_of(workers, None, None)
        assert settings.size == len(settings.environments) == workers
        assert devices(settings) == ["-1"] * workers
        for each in settings.environments:
            assert each["TF_NUM_INTRAOP_THREADS"] == str(threads)
            assert each["OMP_NUM_THREADS"] == str(threads)
    assert settings_of("auto", None, None).size == 9


def test_threads_that_the_user_has_set_are_kept(machine, monkeypatch):
    machine(8, "")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    variables = settings_of(2, None, None).environments[1]
    assert variables["OMP_NUM_THREADS"] == "3"
    assert variables["TF_NUM_INTRAOP_THREADS"] == "4"


@pytest.mark.parametrize(
    ("gpus_per_trial", "expected"),
    [
        (None, ["0", "1", "5", "7"]),
        (1, ["0", "1", "5", "7"]),
        (2, ["0,1", "5,7"]),
        (0.5, ["0", "0", "1", "1", "5", "5", "7", "7"]),
        (0, ["-1"] * 6),
    ],
)
def test_each_worker_sees_its_own_gpus(gpus_per_trial, expected, machine):
    machine(6, "0, 1,5,7")
    settings = settings_of("auto", None, gpus_per_trial)
    assert devices(settings) == expected
    if gpus_per_trial == 2:
        assert devices(settings_of(1 + 1, None, 2)) == expected


def test_gpus_are_listed_by_nvidia_smi(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.visible_gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    assert environment.visible_gpus() == ["0", "1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, None, None), "`workers`. Expected an integer >= 1"),
        ((True, None, None), "`workers`. Expected an integer >= 1"),
        (("all", None, None), '`workers`. Expected an integer >= 1, "auto" or None'),
        ((5, None, None), "at most 4 for gpus_per_trial=1 and 4 GPUs"),
        ((3, None, 2), "at most 2 for gpus_per_trial=2"),
        ((2, None, 1.5), "`gpus_per_trial`. Expected an integer >= 0, or a fraction"),
        ((2, None, True), "`gpus_per_trial`"),
        ((2, None, float("nan")), "`gpus_per_trial`"),
        ((1, None, 1), "None without `workers`"),
        ((2, "cluster", None), "a `distributed.Client` or a `concurrent.futures"),
        ((None, ThreadPoolExecutor(1), None), "the number of workers of `executor`"),
        ((2, ThreadPoolExecutor(1), 1), "None with `executor`"),
    ],
)
def test_arguments_are_checked(arguments, message, machine):
    machine(2, "0,1,2,3")
    with pytest.raises(ValueError, match=message):
        settings_of(*arguments)
