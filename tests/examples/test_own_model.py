import sys

import pytest

pytestmark = [pytest.mark.heavy, pytest.mark.one_backend]


@pytest.mark.parametrize(
    ("rate", "cause"),
    [("0.1", "warning: learning_rate_too_high"), ("0.001", "healthy")],
)
def test_it_says_whether_the_rate_is_too_high(
    root, monkeypatch, tmp_path, capsys, rate, cause
):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("own_model", None)
    import own_model

    own_model.main(["--learning-rate", rate, "--output", str(tmp_path)])
    assert cause in capsys.readouterr().out
    assert (tmp_path / "own_model" / "front.png").is_file()
