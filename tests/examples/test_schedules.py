import sys

import pytest

pytestmark = pytest.mark.one_backend

RATES = (0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.05, 0.05, 0.2)


@pytest.fixture
def main(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("schedules", None)
    import schedules

    return schedules.main


@pytest.mark.slow
def test_it_trains_nine_times_and_draws_three_pictures(main, tmp_path, capsys):
    main(["--dataset", "digits", "--epochs", "4", "--output", str(tmp_path)])
    assert sorted(path.name for path in (tmp_path / "schedules").iterdir()) == [
        *("shapes.png", "training.png", "warmup.png")
    ]
    printed = capsys.readouterr().out.splitlines()
    trained = [line for line in printed if " steps an epoch: loss " in line]
    assert len(trained) == 9
    assert all(
        f" times {rate}, " in line for rate, line in zip(RATES, trained, strict=True)
    )
    for line in trained[:4]:  # at a rate that is not too high for any shape
        assert float(line.split("validation accuracy ")[1].split(",")[0]) > 0.8


def test_too_few_epochs(main, capsys):
    with pytest.raises(SystemExit):
        main(["--epochs", "3"])
    assert "argument --epochs: expected >= 4, received 3" in capsys.readouterr().err
