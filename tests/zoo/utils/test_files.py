import pytest

from zoo.utils.files import replacing, writable_folder

pytestmark = pytest.mark.one_backend


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a", "a.txt", "a.weights.h5", "a-1.5.weights.h5"])
def test_the_temporary_file_has_the_whole_ending(tmp_path, name):
    path = tmp_path / name
    with replacing(path) as partial:
        assert partial.name != name
        assert partial.suffixes == path.suffixes
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_file_is_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_made(tmp_path):
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("folder", ["file/inside", "file"])
def test_a_folder_that_cannot_be_written(tmp_path, folder):
    (tmp_path / "file").write_text("a file, where even root can make no folder")
    with pytest.raises(OSError, match=r"Cannot write to folder '.*file.*'. Expected"):
        writable_folder(tmp_path / folder)


def test_a_file_in_a_folder_that_does_not_exist(tmp_path):
    path = tmp_path / "missing" / "a.txt"

    def write():
        with replacing(path) as partial:
            partial.write_text("new")

    with pytest.raises(FileNotFoundError, match=r"Cannot write '.*a\.txt'.*missing"):
        write()
