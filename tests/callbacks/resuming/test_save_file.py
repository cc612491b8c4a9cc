"""Saves that are killed, cut, damaged, and too large for the disk."""

import os
import signal
import tempfile
import zlib

import numpy as np
import pytest

from callbacks.resuming import save_file
from callbacks.resuming.errors import ResumeError, SaveError
from callbacks.resuming.save_file import SaveFolder

pytestmark = pytest.mark.one_backend

ARRAYS = [np.arange(5.0), np.zeros((2, 0), "int32"), np.array(True), np.ones((3, 4))]
HEADER = {"arrays": [[list(a.shape), a.dtype.name] for a in ARRAYS]}


def write(folder, number):
    arrays = [(a + number).astype(a.dtype) for a in ARRAYS]
    folder.write({**HEADER, "number": number}, [b"state %d" % number, b""], arrays)


def check(save, number):
    assert save.header["number"] == number
    assert save.state() == [b"state %d" % number, b""]
    for array, found in zip(ARRAYS, save.arrays(), strict=True):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, (array + number).astype(array.dtype))


def test_the_latest_of_two_saves_is_read(tmp_path):
    folder = SaveFolder(tmp_path)
    assert folder.read_latest() is None
    for number in range(4):
        write(folder, number)
        check(folder.read_latest(), number)
    assert len(list(tmp_path.glob("save-*"))) == 2
    check(folder.read_previous(folder.read_latest()), 2)


def test_bfloat16_comes_back(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(3).astype(ml_dtypes.bfloat16)
    folder = SaveFolder(tmp_path)
    folder.write({"arrays": [[[3], "bfloat16"]]}, [], [array])
    (found,) = folder.read_latest().arrays()
    assert found.dtype == array.dtype
    assert found.tolist() == array.tolist()


def test_every_damage_is_found(tmp_path):
    folder = SaveFolder(tmp_path)
    write(folder, 0)
    write(folder, 1)
    last = sorted(tmp_path.glob("save-*"))[-1]
    whole = last.read_bytes()
    damaged = [whole[:size] for size in range(len(whole))]
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 16
        damaged.append(bytes(changed))
    for contents in (*damaged, whole + b"0"):
        last.write_bytes(contents)
        with pytest.warns(UserWarning, match="is damaged"):
            save = folder.read_latest()
        check(save, 0)


def test_two_damaged_saves_are_an_error(tmp_path):
    folder = SaveFolder(tmp_path)
    write(folder, 0)
    write(folder, 1)
    for path in tmp_path.glob("save-*"):
        path.write_bytes(b"nothing")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(SaveError, match="All saves in "),
    ):
        folder.read_latest()


def test_damaged_saves_are_removed_only_when_a_new_one_exists(tmp_path):
    folder = SaveFolder(tmp_path)
    write(folder, 0)
    write(folder, 1)
    last = sorted(tmp_path.glob("save-*"))[-1]
    last.write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="is damaged"):
        check(folder.read_latest(), 0)
    assert last.exists()
    write(folder, 2)
    assert not last.exists()
    check(folder.read_previous(folder.read_latest()), 0)


def test_a_file_that_cannot_be_read_is_damaged(tmp_path, monkeypatch):
    folder = SaveFolder(tmp_path)
    write(folder, 0)
    write(folder, 1)
    check_file = save_file._check

    def check_or_fail(path):
        if "000001" in path.name:
            raise OSError("bad sector")
        check_file(path)

    monkeypatch.setattr(save_file, "_check", check_or_fail)
    with pytest.warns(UserWarning, match="bad sector"):
        check(folder.read_latest(), 0)


def test_a_save_of_another_format_is_an_error_and_stays(tmp_path):
    folder = SaveFolder(tmp_path)
    write(folder, 0)
    (path,) = tmp_path.glob("save-*")
    path.write_bytes(path.read_bytes().replace(b"training 1\n", b"training 2\n"))
    with pytest.raises(ResumeError, match=r"in format 2. Expected format 1."):
        folder.read_latest()
    assert path.exists()


def test_saves_are_ordered_by_number(tmp_path):
    folder = SaveFolder(tmp_path)
    write(folder, 0)
    (path,) = tmp_path.glob("save-*")
    path.rename(tmp_path / "save-999999.training")
    write(folder, 1)
    assert (tmp_path / "save-1000000.training").exists()
    check(folder.read_latest(), 1)
    check(folder.read_previous(folder.read_latest()), 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
def test_another_process_cannot_use_the_folder(tmp_path):
    has_locked, may_end = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            SaveFolder(tmp_path)
            os.write(has_locked[1], b"x")
            os.read(may_end[0], 1)
        finally:
            os._exit(0)
    os.read(has_locked[0], 1)
    with pytest.raises(ResumeError, match="Another process is training in"):
        SaveFolder(tmp_path)
    os.write(may_end[1], b"x")
    os.waitpid(pid, 0)
    write(SaveFolder(tmp_path), 0)  # the lock has ended with the process


def test_a_save_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)

        def call(*arguments, name=name, function=function):
            calls.append(name)
            return function(*arguments)

        monkeypatch.setattr(os, name, call)
    write(SaveFolder(tmp_path), 0)
    assert calls == ["fsync", "replace", "fsync"]


def count_points(monkeypatch, kill_at):
    """Kills the process before or after the n-th call that touches the disk."""
    count = 0

    def point():
        nonlocal count
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    def around(owner, name):
        function = getattr(owner, name)

        def call(*arguments, **named):
            point()
            result = function(*arguments, **named)
            point()
            return result

        monkeypatch.setattr(owner, name, call)

    monkeypatch.setattr(os, "fsync", lambda handle: None)  # a kill spares the system
    for owner, name in (
        (os, "replace"),
        (os, "fsync"),
        (os, "unlink"),
        (tempfile, "mkstemp"),
    ):
        around(owner, name)

    def half(self, contents):
        contents = bytes(contents)
        middle = len(contents) // 2
        for part in (contents[:middle], contents[middle:]):
            self._file.write(part)
            self._file.flush()
            point()
        self._checksum = zlib.crc32(contents, self._checksum)

    monkeypatch.setattr("callbacks.resuming.save_file._Writer.write", half)
    return lambda: count


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.heavy)])
def test_a_kill_around_a_write_leaves_a_whole_save(step, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        count = count_points(patch, kill_at=-1)
        folder = SaveFolder(tmp_path / "counted")
        for number in range(3):
            write(folder, number)
        total = count()
    assert total > 100
    for kill_at in range(0, total, step):
        path = tmp_path / str(kill_at)
        pid = os.fork()
        if pid == 0:
            try:
                count_points(monkeypatch, kill_at)
                folder = SaveFolder(path)
                for number in range(3):
                    (path / "begun").write_text(str(number))
                    write(folder, number)
            finally:
                os._exit(1)
        status = os.waitpid(pid, 0)[1]
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        folder = SaveFolder(path)
        save = folder.read_latest()  # warns, that is fails, of a damaged one
        # What was there before the write that was killed, or what it wrote.
        number = -1 if save is None else save.header["number"]
        if save is not None:
            check(save, number)
        begun = int((path / "begun").read_text()) if (path / "begun").exists() else 0
        assert number in (begun - 1, begun)
        write(folder, number + 1)
        check(folder.read_latest(), number + 1)
        assert not list(path.glob(".*"))


FULL = """
import resource, sys
import numpy as np
from callbacks.resuming.save_file import SaveFolder

folder = SaveFolder(sys.argv[1])
header = {"arrays": [[[100_000], "float64"]]}
folder.write({**header, "number": 0}, [], [np.zeros(100_000)])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    folder.write({**header, "number": 1}, [], [np.zeros(100_000)])
except OSError as error:
    print(error)
print(folder.read_latest().header["number"])
"""


@pytest.mark.heavy
@pytest.mark.skipif(os.name != "posix", reason="limits files as POSIX does")
def test_a_full_disk_is_an_error_that_leaves_the_last_save(run_python, tmp_path, root):
    folder = tmp_path / "saves"
    output = run_python("-c", FULL, folder, PYTHONPATH=str(root)).stdout
    assert "Cannot save the training run to" in output
    assert "File too large" in output
    assert "save-000000.training'" in output
    assert output.splitlines()[-1] == "0"
    assert [path.name for path in folder.glob("*save*")] == ["save-000000.training"]
