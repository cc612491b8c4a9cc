import sys

import pytest

pytestmark = pytest.mark.one_backend


@pytest.mark.slow
def test_it_draws_a_picture_of_every_fault(root, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("diagnose", None)
    import diagnose

    arguments = ["--dataset", "digits", "--steps", "150", "--output", str(tmp_path)]
    diagnose.main(arguments)
    pictures = {path.stem for path in (tmp_path / "diagnose").iterdir()}
    assert pictures == set(diagnose.TEXTS)
    accuracy, ratio = {}, {}
    for line in capsys.readouterr().out.splitlines():
        title, is_run, figures = line.partition(": validation accuracy ")
        if not is_run:
            continue
        accuracy[title], rest = figures.split(", update ratio ")
        ratio[title] = float(rest.split(",")[0])
    assert ratio["rate / 100"] < 1e-4 < ratio["healthy"] < 1e-2
    healthy = float(accuracy["healthy"])
    assert healthy > 0.8
    for sick in ("rate / 100", "rate x 100", "eight layers of sigmoids"):
        assert float(accuracy[sick]) < healthy - 0.2
