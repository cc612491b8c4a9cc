import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.losses import MulticlassHinge

to_numpy = keras.ops.convert_to_numpy


def examples(*shape, classes=5):
    generator = np.random.default_rng(0)
    scores = generator.standard_normal((*shape, classes)).astype("float32")
    return generator.integers(0, classes, shape), scores


def by_hand(y, scores, margin=1.0):
    """Weston & Watkins, a loop over examples and classes."""
    losses = np.zeros(y.shape)
    for index in np.ndindex(y.shape):
        right = scores[index][y[index]]
        for wrong, score in enumerate(scores[index]):
            if wrong != y[index]:
                losses[index] += max(0.0, score - right + margin)
    return losses


@pytest.mark.parametrize("margin", [0.5, 1.0, 3])
@pytest.mark.parametrize("shape", [(20,), (6, 4)])
def test_it_is_the_sum_over_wrong_classes(shape, margin):
    y, scores = examples(*shape)
    losses = to_numpy(MulticlassHinge(margin, reduction=None)(y, scores))
    np.testing.assert_allclose(losses, by_hand(y, scores, margin), rtol=1e-5)


@pytest.mark.heavy
def test_it_is_that_of_pytorch_times_the_classes():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    y, scores = examples(20)
    peer = torch.nn.MultiMarginLoss()(torch.tensor(scores), torch.tensor(y))
    assert float(MulticlassHinge()(y, scores)) == pytest.approx(5 * float(peer), 1e-5)


def test_two_classes_are_the_hinge_of_keras():
    y, scores = examples(20, classes=2)
    lead = scores[:, 1:] - scores[:, :1]
    expected = float(keras.losses.Hinge()(2.0 * y[:, None] - 1, lead))
    assert float(MulticlassHinge()(y, scores)) == pytest.approx(expected, rel=1e-5)


def test_a_lead_of_the_margin_costs_nothing():
    scores = np.array([[2.0, 1.0, -3.0]])
    assert float(MulticlassHinge()(np.array([0]), scores)) == 0
    assert float(MulticlassHinge(1.5)(np.array([0]), scores)) == 0.5


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
def test_labels_of_any_type_and_as_a_column(dtype):
    y, scores = examples(20)
    expected = float(MulticlassHinge()(y, scores))
    assert float(MulticlassHinge()(y.astype(dtype), scores)) == expected
    assert float(MulticlassHinge()(y[:, None], scores)) == expected


def test_reductions_and_sample_weights():
    y, scores = examples(20)
    losses, weights = by_hand(y, scores), np.arange(20.0)
    for reduction, expected in {
        "sum": (losses * weights).sum(),
        "sum_over_batch_size": (losses * weights).mean(),
        "mean_with_sample_weight": (losses * weights).sum() / weights.sum(),
    }.items():
        loss = MulticlassHinge(reduction=reduction)(y, scores, sample_weight=weights)
        assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_scores_in_half_precision_are_summed_in_float32(dtype):
    scores = keras.ops.cast(examples(2000, classes=100)[1], dtype)
    y = examples(2000, classes=100)[0]
    loss = MulticlassHinge(reduction="sum")(y, scores)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    exact = to_numpy(keras.ops.cast(scores, "float32"))
    assert float(loss) == pytest.approx(by_hand(y, exact).sum(), rel=1e-4)


@pytest.mark.heavy
def test_a_model_trains_with_it(jit_compile):
    x = np.random.default_rng(0).standard_normal((300, 4)).astype("float32")
    y = x[:, :3].argmax(axis=1)
    model = mlp((4,), 3, units=(16,))
    model.compile(
        keras.optimizers.Adam(0.01),
        MulticlassHinge(),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    model.fit(x, y, epochs=15, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


def test_one_hot_labels():
    with pytest.raises(ValueError, match=r"y_true. Expected class labels.*\n.*argmax"):
        MulticlassHinge()(np.eye(3), np.ones((3, 3)))


def test_a_label_outside_the_classes_gives_nan():
    loss = MulticlassHinge(reduction=None)(np.array([-1, 2, 3]), np.ones((3, 3)))
    is_nan = np.isnan(keras.ops.convert_to_numpy(loss))
    np.testing.assert_array_equal(is_nan, [True, False, True])


@pytest.mark.parametrize("margin", [0, -1.0, "1"])
def test_a_bad_margin(margin):
    with pytest.raises(ValueError, match="`margin`. Expected a number > 0"):
        MulticlassHinge(margin)


def test_a_bad_reduction():
    with pytest.raises(ValueError, match="`reduction`"):
        MulticlassHinge(reduction="median")
