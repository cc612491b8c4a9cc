import argparse
import sys

import pytest


@pytest.fixture
def common(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("common", None)
    import common

    return common


def test_help_shows_every_default_but_none(common):
    parser = common.ExampleParser("One question?\n\nA longer text.")
    parser.add_data_source()
    parser.add_argument("--layers", type=common.at_least(2), default=20, help="hidden")
    parser.add_argument("--top-k", type=common.at_least(1), help="from all")
    text = " ".join(parser.format_help().split())
    assert "One question?" in text
    assert "A longer text" not in text
    for part in ("digits", "0", "runs", "20"):
        assert f"(default: {part})" in text
    assert "None" not in text


@pytest.mark.parametrize(
    ("value", "message"),
    [("1", "expected >= 2, received 1"), ("two", "invalid int value: 'two'")],
)
def test_invalid_values(common, value, message, capsys):
    parser = common.ExampleParser("")
    parser.add_argument("--layers", type=common.at_least(2))
    with pytest.raises(SystemExit):
        parser.parse_args(["--layers", value])
    assert f"error: argument --layers: {message}" in capsys.readouterr().err


def test_a_dataset_without_classes_is_rejected(common):
    options = argparse.Namespace(dataset="diabetes", seed=0)
    message = "^error: argument --dataset: expected images or rows in classes"
    with pytest.raises(SystemExit, match=message), common.exit_on_error():
        common.load_classes(options)


def test_a_prepared_dataset_is_preferred(common, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert common.prepared_or_digits("mnist") == "digits"
    (tmp_path / "mnist").mkdir()
    assert common.prepared_or_digits("mnist") == "mnist"
