import sys

import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def residual(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("residual", None)
    import residual

    return residual


@pytest.mark.slow
def test_three_networks_and_a_picture(residual, tmp_path, capsys):
    residual.main(["--blocks", "2", "--epochs", "1", "--output", str(tmp_path)])
    assert (tmp_path / "residual" / "residual.png").is_file()
    titles = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert [title for title in titles if "," in title] == [
        "residual, 4 blocks",
        "residual, 2 blocks",
        "plain, 5 layers",
    ]


def test_too_few_blocks(residual, capsys):
    with pytest.raises(SystemExit):
        residual.main(["--blocks", "0"])
    assert "argument --blocks: expected >= 1" in capsys.readouterr().err
