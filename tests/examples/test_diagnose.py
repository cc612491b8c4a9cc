import re
import sys

import pytest

pytestmark = pytest.mark.one_backend

ENDINGS = ("png", "html")
CAUSES = {
    "rate / 100": ["learning_rate_too_low"],
    "rate x 100": ["learning_rate_too_high"],
    "eight layers of sigmoids": ["vanishing_gradients"],
    "large initial weights": ["bad_initialization"],
    "constant initial weights": ["bad_initialization"],
    "large weights, one layer": ["bad_initialization"],
}
HEALTHY = (
    "healthy",
    "eight layers of ReLU",
    "Glorot's initial weights",
    "random weights, with decay",
    "rate x 10",
    "healthy, for as long",
)


@pytest.mark.slow
def test_it_finds_every_fault_and_draws_pictures(root, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("diagnose", None)
    import diagnose

    arguments = ["--dataset", "digits", "--steps", "230", "--output", str(tmp_path)]
    diagnose.main(arguments)
    files = {path.name for path in (tmp_path / "diagnose").iterdir()}
    assert files == {f"{name}.{end}" for name in diagnose.TEXTS for end in ENDINGS}
    accuracy, ratio, found = {}, {}, {}
    for line in capsys.readouterr().out.splitlines():
        title, is_run, figures = line.partition(": validation accuracy ")
        if is_run:
            accuracy[title], rest = figures.split(", update ratio ")
            ratio[title] = float(rest.split(",")[0])
            found[title] = latest = []
        elif match := re.match(r" {4}(error|warning|hint): (\w+) ", line):
            latest.append(match[2])
    assert ratio["rate / 100"] < 1e-4 < ratio["healthy"] < 1e-2
    healthy = float(accuracy["healthy"])
    assert healthy > 0.8
    for sick in ("rate / 100", "rate x 100", "eight layers of sigmoids"):
        assert float(accuracy[sick]) < healthy - 0.2
    for title, causes in CAUSES.items():
        assert set(causes) <= set(found.pop(title)), title
    assert found == {title: [] for title in HEALTHY}  # silence on all others
