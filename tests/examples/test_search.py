import numpy as np
import pandas as pd
import pytest


@pytest.mark.slow
def test_it_searches_and_goes_on(root, tmp_path, run_python):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 3)).astype("float32")
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=(x[:, 0] > 0).astype(int))
    script = root / "examples" / "search.py"
    options = ("--arrays", "mine.npz", "--rounds", "1", "--trials", "3", "--epochs")
    result = run_python(script, *options, "2", "--workers", "2")
    folder = tmp_path / "runs" / "search-mine-mlp"
    assert "3 trials, 2 at a time" in result.stdout
    assert "test accuracy" in result.stdout
    assert pd.read_csv(folder / "results.csv").status.tolist() == ["completed"] * 3
    for name in ("history.csv", "search.png", "best.keras", "round_1.json"):
        assert (folder / name).is_file()
    again = run_python(script, *options, "3", check=False)
    assert "fit.epochs: 2 there, 3 here" in again.stderr
