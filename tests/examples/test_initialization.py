import sys

import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def main(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("initialization", None)
    import initialization

    return initialization.main


@pytest.mark.heavy
def test_it_shows_what_dies_and_what_lives(main, tmp_path, capsys):
    main(["--layers", "5", "--units", "32", "--output", str(tmp_path)])
    assert (tmp_path / "initialization" / "initialization.png").stat().st_size > 10_000
    printed = capsys.readouterr().out.splitlines()
    lines = [line for line in printed if ": activations " in line]
    assert len(lines) == 2 * 5
    spread = {
        line.split(": activations ")[0]: [float(word) for word in words(line)]
        for line in lines
    }
    assert spread["relu, zero"] == spread["tanh, zero"] == [0, 0, 0, 0]
    first, last, *_ = spread["relu, too small: N(0, 0.01²)"]
    assert last < 1e-4 * first
    first, last, *_ = spread["relu, He"]
    assert 0.2 < last / first < 5


def words(line):
    """The four numbers of a line: activations and gradients, first and last layer."""
    activations, gradients = line.split(": activations ")[1].split(", gradients ")
    return *activations.split(" to "), *gradients.split(" to ")


def test_too_few_layers(main, capsys):
    with pytest.raises(SystemExit):
        main(["--layers", "1"])
    assert "argument --layers: expected >= 2, received 1" in capsys.readouterr().err
