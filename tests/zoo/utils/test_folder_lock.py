import errno

import pytest

from zoo.utils import folder_lock
from zoo.utils.folder_lock import FolderLock

pytestmark = pytest.mark.one_backend


def test_only_one_object_holds_the_lock(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


@pytest.mark.skipif(not hasattr(folder_lock, "fcntl"), reason="locks of POSIX")
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(folder_lock.fcntl, "flock", flock)
    lock = FolderLock(tmp_path)
    with pytest.warns(UserWarning, match="cannot be locked .*not implemented"):
        assert lock.acquire()
    lock.release()
