import sys

import pytest


@pytest.mark.slow
def test_it_draws_a_picture_of_every_fault(root, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("diagnose", None)
    import diagnose

    arguments = ["--dataset", "digits", "--steps", "150", "--output", str(tmp_path)]
    diagnose.main(arguments)
    pictures = {path.stem for path in (tmp_path / "diagnose").iterdir()}
    assert pictures == set(diagnose.TEXTS)
    ratios = {}
    for line in capsys.readouterr().out.splitlines()[:-1]:
        title, figures = line.split(": validation accuracy ")
        ratios[title] = float(figures.split("update ratio ")[1].split(",")[0])
    assert ratios["rate / 100"] < 1e-4 < ratios["healthy"] < ratios["rate x 100"]
