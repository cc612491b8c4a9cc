import itertools
import re

import keras
import numpy as np
import pytest

from zoo import loss_surface, lstm, mlp
from zoo.filter_directions import filter_directions

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((70, 4)).astype("float32")
Y = GENERATOR.integers(3, size=70)
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def classifier(**options):
    model = mlp((4,), 3, units=(6,), **options)
    model.compile("sgd", CROSS_ENTROPY)
    return model


def linear_regression():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("dimensions", [1, 2])
def test_the_loss_of_a_linear_regression_is_an_exact_quadratic(dimensions):
    model = linear_regression()
    y = GENERATOR.standard_normal((70, 2)).astype("float32")
    grid = loss_surface(
        model, (X, y), dimensions=dimensions, points=5, span=2.0, seed=3, verbose=0
    )
    kernel, _ = filter_directions(model, dimensions, seed=3)
    # |y - x (w + sum a d)|² in float64, from the matrices of the quadratic
    residual = y - X.astype("float64") @ model.get_weights()[0]
    moves = np.stack([X.astype("float64") @ direction for direction in kernel])
    for index in itertools.product(range(5), repeat=dimensions):
        step = grid.steps[list(index)]
        linear = -2 * np.array([(residual * move).mean() for move in moves])
        curvature = np.array([[(a * b).mean() for b in moves] for a in moves])
        expected = (residual**2).mean() + linear @ step + step @ curvature @ step
        assert grid.losses[index] == pytest.approx(expected, rel=1e-5)


def test_it_equals_a_loop_over_moved_weights():
    model = classifier(
        normalization="batch", dropout=0.5, kernel_regularizer=keras.regularizers.L2()
    )
    statistics = model.get_layer("hidden_1_normalization")
    statistics.moving_mean.assign(GENERATOR.standard_normal(6))
    statistics.moving_variance.assign(GENERATOR.uniform(0.5, 2.0, 6))
    grid = loss_surface(model, (X, Y), points=3, span=0.5, verbose=0)
    directions = filter_directions(model, 2, seed=0)
    before = [variable.numpy() for variable in model.trainable_variables]
    for i, j in itertools.product(range(3), repeat=2):
        for variable, value, (d, e) in zip(
            model.trainable_variables, before, directions, strict=True
        ):
            variable.assign(value + grid.steps[i] * d + grid.steps[j] * e)
        assert grid.losses[i, j] == pytest.approx(
            model.evaluate(X, Y, verbose=0), rel=1e-5
        )


def test_filters_are_as_long_as_those_of_the_model():
    layers = {
        "dense": (keras.layers.Dense(5), (4,), (0,)),
        "conv": (keras.layers.Conv2D(5, 3), (6, 6, 2), (0, 1, 2)),
        "depthwise": (keras.layers.DepthwiseConv2D(3), (6, 6, 2), (0, 1)),
        "transposed": (keras.layers.Conv2DTranspose(5, 3), (6, 6, 2), (0, 1, 3)),
        "einsum": (
            keras.layers.EinsumDense("abc,cde->abde", (None, 3, 5)),
            (6, 4),
            (0,),
        ),
        "embedding": (keras.layers.Embedding(7, 3), (6,), (1,)),
    }
    for name, (layer, shape, axes) in layers.items():
        model = keras.Sequential([keras.Input(shape), layer])
        directions = filter_directions(model, 2, seed=0)
        weights = layer.trainable_variables[0].numpy()
        for direction in directions[0]:
            np.testing.assert_allclose(
                np.sqrt((direction**2).sum(axis=axes)),
                np.sqrt((weights**2).sum(axis=axes)),
                rtol=1e-5,
                err_msg=name,
            )
        assert not any(bias.any() for bias in directions[1:])


def test_directions_are_normal_independent_and_seeded():
    model = keras.Sequential([keras.Input((400,)), keras.layers.Dense(50)])
    (first, second), _ = filter_directions(model, 2, seed=0)
    lengths = np.linalg.norm(model.get_weights()[0], axis=0)
    unit = first / lengths * np.sqrt(400)
    assert unit.std() == pytest.approx(1, rel=0.01)
    assert abs((unit**4).mean() - 3) < 0.15  # the kurtosis of a normal distribution
    cosines = (first * second).sum(axis=0) / lengths**2
    assert cosines.std() == pytest.approx(1 / np.sqrt(400), rel=0.3)
    again, other = filter_directions(model, 2, 0)[0], filter_directions(model, 2, 1)[0]
    np.testing.assert_array_equal(again, np.stack([first, second]))
    assert not np.allclose(other, again)


def test_batches_are_averaged_as_evaluate_does():
    model = classifier()
    weights = GENERATOR.random(70)
    arrays = loss_surface(
        model, (X, Y, weights), dimensions=1, points=3, verbose=0
    ).losses
    cuts = [slice(0, 30), slice(30, 65), slice(65, 70)]
    batches = (tuple(part[cut] for part in (X, Y, weights)) for cut in cuts)
    grid = loss_surface(model, batches, dimensions=1, points=3, verbose=0)
    np.testing.assert_allclose(grid.losses, arrays, rtol=1e-5)
    expected = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert grid.center == pytest.approx(expected, rel=1e-5)


def test_frozen_layers_do_not_move():
    model = classifier()
    model.get_layer("hidden_1").trainable = False
    model.compile("sgd", CROSS_ENTROPY)
    grid = loss_surface(model, (X, Y), dimensions=1, points=3, verbose=0)
    assert len(filter_directions(model, 1, 0)) == 2
    assert grid.losses[0] != grid.center


def test_it_works_for_texts():
    model = lstm((5,), 2, vocabulary_size=9, units=(3,))
    model.compile("sgd", CROSS_ENTROPY)
    data = (GENERATOR.integers(1, 9, (8, 5)), GENERATOR.integers(2, size=8))
    grid = loss_surface(model, data, dimensions=1, points=3, verbose=0)
    assert np.isfinite(grid.losses).all()


class Interrupting:
    """A dataset that fails after its first batch."""

    def __iter__(self):
        yield X, Y
        raise KeyboardInterrupt


def test_the_model_keeps_every_bit_even_after_an_interrupt():
    model = classifier(normalization="batch", dropout=0.5)
    before = [variable.numpy().copy() for variable in model.variables]
    loss_surface(model, (X, Y), points=3, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        loss_surface(model, Interrupting(), points=3, verbose=0)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_it_shows_progress(capsys):
    loss_surface(classifier(), (X, Y), points=3)
    assert "9/9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimensions": 3}, "`dimensions`. Expected one of 1, 2"),
        ({"points": 10}, "`points`. Expected an odd integer"),
        ({"points": 1}, "`points`. Expected an integer >= 3"),
        ({"span": 0}, "`span`. Expected a number > 0"),
        ({"seed": -1}, "`seed`. Expected an integer >= 0"),
        ({"verbose": 2}, "`verbose`. Expected one of 0, 1"),
        ({"data": X}, "`data`. Expected arrays (x, y), or an iterable"),
        ({"data": (X, Y[:3])}, "`data`. Expected arrays of the same length"),
        ({"data": (X[:0], Y[:0])}, "`data`. Expected at least one example"),
        ({"data": [(X, None)]}, "`y`. Expected targets"),
        ({"model": mlp((4,), 3)}, "`model`. Expected a keras.Model that is compiled"),
    ],
)
def test_errors(arguments, message):
    given = {"model": classifier(), "data": (X, Y), "verbose": 0} | arguments
    with pytest.raises(ValueError, match=re.escape(message)):
        loss_surface(given.pop("model"), given.pop("data"), **given)


def test_a_model_of_zeros_has_no_directions():
    model = linear_regression()
    model.set_weights([np.zeros((4, 2)), np.ones(2)])
    with pytest.raises(ValueError, match="kernels that are not all zero"):
        loss_surface(model, (X, X[:, :2]), verbose=0)
