import sys

import pandas as pd
import pytest


@pytest.fixture
def certificates(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("certificates", None)
    import certificates

    return certificates


@pytest.mark.slow
def test_what_is_certified_is_no_more_than_what_attacks_leave(certificates, tmp_path):
    small = ["--epochs", "4", "--units", "16", "--examples", "60", "--steps", "5"]
    certificates.main([*small, "--output", str(tmp_path)])
    folder = tmp_path / "certificates"
    assert (folder / "brackets.png").is_file()
    for training in certificates.TRAININGS:
        table = pd.read_csv(folder / f"{training}.csv")
        for method in ("IBP", "CROWN"):
            gap = table["left by attacks"] - table[f"certified ({method})"]
            assert (gap >= 0).all()


def test_an_epsilon_of_zero_is_refused(certificates, capsys):
    with pytest.raises(SystemExit):
        certificates.parse_arguments(["--epsilon", "0"])
    assert "argument --epsilon: expected above 0" in capsys.readouterr().err
