import pytest


@pytest.fixture(autouse=True)
def _benchmarks_are_modules(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
