import numpy as np

RNG = np.random.default_rng(0)


def test_independent_labels_are_found(compiled, dense, found):
    x = RNG.normal(size=(1000, 6)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0) * 1  # no linear dependence
    shuffled = RNG.permutation(y)
    model = compiled(dense(), dense(1, "sigmoid"), loss="bce", shape=(6,))
    assert found(model, x, y, dependence=True) == []
    expected = [("labels_independent_of_inputs", "warning")]
    assert found(model, x, shuffled, dependence=True) == expected


def test_constant_labels_are_found(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    expected = [("labels_independent_of_inputs", "error")]
    assert found(model, x, np.zeros_like(y)) == expected
    rare = np.zeros_like(y)
    rare[7] = 1
    assert found(model, x, rare) == []


def test_images_as_targets_must_be_in_range(compiled, dense, found):
    x = RNG.integers(0, 256, (50, 64)).astype("float32")
    model = compiled(dense(), dense(64, "sigmoid"), loss="mse", shape=(64,))
    assert found(model, x / 255, x) == [("labels_out_of_range", "error")]
    assert found(model, x / 255, x / 255) == []
