import sys

import pandas as pd
import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def robustness(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("robustness", None)
    import robustness

    return robustness


@pytest.mark.slow
def test_two_trainings_their_tables_and_pictures(robustness, tmp_path, capsys):
    options = "--dataset digits --epochs 10 --units 64 --examples 100 --steps 10"
    robustness.main([*options.split(), "--output", str(tmp_path)])
    folder = tmp_path / "robustness"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("adversarial.csv", "adversarial.png", "curves.png"),
        *("normal.csv", "normal.png"),
    ]
    normal, adversarial = (
        pd.read_csv(folder / f"{name}.csv").groupby("epsilon").last()["accuracy"]
        for name in ("normal", "adversarial")
    )
    assert adversarial[0.1] > normal[0.1]
    assert "val_robust_accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--epochs 0", "argument --epochs: expected >= 1"),
        ("--epsilon 0", "argument --epsilon: expected above 0"),
    ],
)
def test_bad_options(robustness, options, message, capsys):
    with pytest.raises(SystemExit):
        robustness.main(options.split())
    assert message in capsys.readouterr().err


def test_a_table_is_refused(robustness, tmp_path):
    with pytest.raises(SystemExit, match="expected images in classes"):
        robustness.main(["--dataset", "diabetes", "--output", str(tmp_path)])
