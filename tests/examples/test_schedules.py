import sys

import pytest


@pytest.fixture
def main(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("schedules", None)
    import schedules

    return schedules.main


def test_it_draws_three_pictures_and_shows_the_rescue(main, tmp_path, capsys):
    main(["--dataset", "digits", "--epochs", "4", "--output", str(tmp_path)])
    assert sorted(path.name for path in (tmp_path / "schedules").iterdir()) == [
        *("shapes.png", "training.png", "warmup.png")
    ]
    printed = capsys.readouterr().out
    (diverged,) = (line for line in printed.splitlines() if "loss nan" in line)
    assert diverged.startswith("Constant() times 0.2")
    assert "Cosine(length=4.0) times 0.2" not in printed
    (rescued,) = (
        line
        for line in printed.splitlines()
        if line.startswith("Cosine(length=4.0, warmup=1.0) times 0.2, 11 steps")
    )
    assert float(rescued.split("validation accuracy ")[1].split(",")[0]) > 0.5


def test_too_few_epochs(main, capsys):
    with pytest.raises(SystemExit):
        main(["--epochs", "3"])
    assert "argument --epochs: expected >= 4, received 3" in capsys.readouterr().err
