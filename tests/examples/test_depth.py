import sys

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def depth(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("depth", None)
    import depth

    return depth


def test_gradient_norms_are_those_of_the_batch(depth):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="only")])
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    model.set_weights([np.array([[1.0], [2.0]]), np.array([0.5])])
    x, y = np.array([[3.0, 4.0]]), np.array([[0.0]])
    norms = depth.GradientNorms((x, y))
    model.fit(x, y, epochs=2, verbose=0, callbacks=[norms])
    assert norms.layers == ["only"]
    # 2 * (3 + 8 + 0.5) * |(3, 4)|, before training and after each of two epochs
    np.testing.assert_allclose(norms.norms, np.full((3, 1), 2 * 11.5 * 5), rtol=1e-5)


@pytest.mark.slow
def test_ten_networks_and_a_picture(depth, tmp_path, capsys):
    depth.main(["--dataset", "digits", "--epochs", "1", "--output", str(tmp_path)])
    assert (tmp_path / "depth" / "depth.png").is_file()
    lines = [line for line in capsys.readouterr().out.splitlines() if "layers:" in line]
    assert len(lines) == 10
    at_start = [line.split("at the start ")[1].split(", at")[0] for line in lines]
    sigmoid, relu = ([float(norm) for norm in at_start[i].split(", ")] for i in (4, 9))
    assert len(sigmoid) == len(relu) == 5
    # Sigmoid's slope is at most a quarter: gradients vanish from layer to layer.
    assert sigmoid[0] < sigmoid[-1] / 50
    assert relu[0] > relu[-1] / 10


def test_too_few_epochs(depth, capsys):
    with pytest.raises(SystemExit):
        depth.main(["--epochs", "0"])
    assert "argument --epochs: expected >= 1, received 0" in capsys.readouterr().err
