import sys

import pandas as pd
import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def certificates(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("certificates", None)
    import certificates

    return certificates


@pytest.mark.slow
def test_three_trainings_their_tables_and_their_picture(certificates, tmp_path):
    options = "--epochs 12 --units 32 --examples 60 --steps 5"
    certificates.main([*options.split(), "--output", str(tmp_path)])
    folder = tmp_path / "certificates"
    names = ("adversarial", "certified", "normal")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("adversarial.csv", "brackets.png", "certified.csv", "normal.csv")
    ]
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in names}
    for table in tables.values():
        ibp, crown, attacked = (table.iloc[:, column] for column in (1, 2, 3))
        assert (ibp <= crown).all()
        assert (crown <= attacked).all()
        unknown = 60 * (attacked - crown)
        assert (table["unknown examples"] - unknown).abs().max() < 1e-6
    # Interval bounds certify hardly anything unless the network was trained for them.
    at_epsilon = {name: table.iloc[4, 1] for name, table in tables.items()}
    assert at_epsilon["certified"] > at_epsilon["normal"] + 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--units 0", "argument --units: expected >= 1"),
        ("--epsilon 0.6", "argument --epsilon: expected above 0"),
    ],
)
def test_bad_options(certificates, options, message, capsys):
    with pytest.raises(SystemExit):
        certificates.main(options.split())
    assert message in capsys.readouterr().err
