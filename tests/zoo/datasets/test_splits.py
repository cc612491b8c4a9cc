import logging

import pytest

from zoo.datasets.splits import choose_splits

pytestmark = pytest.mark.one_backend


def test_shipped_splits_are_used_as_they_are():
    sizes = {"train": 100, "validation": 20, "test": 30}
    assert choose_splits("d", sizes, validation=0.5) == {
        "train": ("train", 0, 100),
        "validation": ("validation", 0, 20),
        "test": ("test", 0, 30),
    }


def test_validation_is_cut_from_the_end_of_train():
    assert choose_splits("d", {"train": 100, "test": 30}, validation=0.1) == {
        "train": ("train", 0, 90),
        "validation": ("train", 90, 100),
        "test": ("test", 0, 30),
    }


def test_missing_test_is_the_last_fifth_of_train_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        parts = choose_splits("mine", {"train": 100}, validation=0.1)
    assert parts == {
        "train": ("train", 0, 72),
        "validation": ("train", 72, 80),
        "test": ("train", 80, 100),
    }
    assert "'mine' has no test split: the last 20 % of train (20 examples)" in (
        caplog.text
    )


@pytest.mark.parametrize("name", ["digits", "diabetes:1.0.0"])
def test_shipped_data_are_split_without_a_warning(name, caplog):
    with caplog.at_level(logging.INFO):
        choose_splits(name, {"train": 100}, validation=0.1)
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.parametrize("sizes", [{"train": 10, "test": 5}, {"train": 9}])
@pytest.mark.parametrize("validation", [0.2, 0.5])
def test_no_row_is_in_two_splits(sizes, validation):
    parts = choose_splits("d", sizes, validation)
    rows = [(split, row) for split, a, b in parts.values() for row in range(a, b)]
    assert len(rows) == len(set(rows)) == sum(sizes.values())


def test_validation_zero_gives_none_even_where_it_is_shipped():
    sizes = {"train": 10, "validation": 5, "test": 5}
    assert set(choose_splits("d", sizes, validation=0)) == {"train", "test"}


def test_unknown_splits_are_left_alone():
    sizes = {"train": 10, "test": 5, "unsupervised": 50}
    assert set(choose_splits("d", sizes, 0.2)) == {"train", "validation", "test"}


def test_empty_split_is_an_error():
    with pytest.raises(ValueError, match=r"validation split is empty.*\n.*=0.01"):
        choose_splits("d", {"train": 10, "test": 5}, validation=0.01)
    with pytest.raises(ValueError, match="test split is empty"):
        choose_splits("d", {"train": 2}, validation=0.1)
    with pytest.raises(ValueError, match="train split is empty"):
        choose_splits("d", {"train": 1, "test": 5}, validation=0.9)


def test_no_train_split_is_an_error():
    with pytest.raises(ValueError, match=r"no split 'train'.*\['test'\]"):
        choose_splits("d", {"test": 5}, validation=0.1)
