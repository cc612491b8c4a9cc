"""Bounds of all kinds of layers, compared with the values at random points."""

import keras
import numpy as np
import pytest

from zoo import mlp, res_mlp
from zoo.adversarial import certify
from zoo.adversarial.certification import certifier
from zoo.adversarial.certification.bounds.ball import Ball, outward
from zoo.adversarial.certification.bounds.interval_bounds import (
    BoundPass,
    interval_bounds,
)
from zoo.adversarial.certification.bounds.linear_bounds import crown_bounds
from zoo.adversarial.certification.bounds.read_network import read_network
from zoo.differentiation import float64_scope
from zoo.layers import Whitening

METHODS = ("ibp", "crown", "alpha-crown")
POINTS = 25_000  # per example: 100,000 per network
ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}


def points_of_ball(x, epsilon, norm, count, generator):
    """Random points of balls around examples, half of them on the sphere."""
    size = (count, *x.shape)
    noise = generator.normal(size=size)
    if norm == "linf":
        noise = generator.uniform(-1, 1, size)
        noise[count // 2 :] = np.sign(noise[count // 2 :])
    elif norm == "l1":  # few coordinates move much
        noise = noise * (generator.random(size) < 0.3) + 1e-9
    axes = tuple(range(2, noise.ndim))
    lengths = np.linalg.norm(
        noise.reshape(count, len(x), -1), ORDERS[norm], axis=2
    ).reshape(count, len(x), *(1 for _ in axes))
    points = np.clip(x + epsilon * noise / lengths, 0, 1)
    return points.astype("float32")


def dense(units=7, **options):
    return keras.layers.Dense(units, **options)


def stack(*layers, shape=(6,)):
    return keras.Sequential([keras.Input(shape), *layers, dense(3)])


def residual(activation="relu"):
    return res_mlp((6,), 3, units=8, num_blocks=2, activation=activation)


def sum_of_operations():
    inputs = keras.Input((6,))
    x = dense(6, activation="relu")(inputs + inputs)
    return keras.Model(inputs, dense(3)(x + inputs))


def normalization():
    return keras.layers.Normalization(mean=[0.2, 0.5], variance=[0.3, 2.0])


def whitening():
    layer = Whitening()
    layer.adapt(np.random.default_rng(0).random((50, 6)))
    return layer


KINDS = {
    "relu": lambda: mlp((6,), 3, units=(8, 7)),
    "images": lambda: stack(
        keras.layers.Rescaling(2.0, -1.0),
        normalization(),
        keras.layers.Reshape((4, 3)),
        keras.layers.Flatten(),
        dense(activation="relu"),
        shape=(2, 3, 2),
    ),
    "leaky": lambda: stack(dense(), keras.layers.LeakyReLU(0.1), dense()),
    "leaky name": lambda: stack(dense(activation="leaky_relu"), dense()),
    "prelu": lambda: stack(dense(), keras.layers.PReLU(), dense()),
    "relu6": lambda: stack(
        keras.layers.Rescaling(20.0), dense(activation="relu6"), dense()
    ),
    "bounded relu": lambda: stack(dense(), keras.layers.ReLU(max_value=0.5)),
    "tanh": lambda: mlp((6,), 3, units=(8, 7), activation="tanh"),
    "sigmoid": lambda: stack(
        keras.layers.Rescaling(6.0), dense(activation="sigmoid"), dense(), dense()
    ),
    "residual": residual,
    "residual tanh": lambda: residual("tanh"),
    "sum": sum_of_operations,
    "batch normalization": lambda: stack(
        keras.layers.Reshape((3, 2)),
        keras.layers.BatchNormalization(axis=1),
        keras.layers.Flatten(),
        dense(),
        keras.layers.BatchNormalization(scale=False),
        keras.layers.Activation("relu"),
    ),
    "maxout": lambda: mlp((6,), 3, units=(5, 4), activation="maxout", maxout_pieces=3),
    "drop connect": lambda: mlp((6,), 3, units=(8,), drop_connect=0.3),
    "left alone": lambda: mlp(
        (6,), 3, units=(8,), dropout=0.5, input_dropout=0.2, normalization="batch"
    ),
    "nested": lambda: stack(stack(dense(activation="relu")), dense(activation="relu")),
    "linear": lambda: mlp((6,), 3, units=()),
    "whitening": lambda: stack(whitening(), dense(activation="relu")),
    "inverted": lambda: stack(
        keras.layers.Normalization(mean=0.3, variance=4.0, invert=True),
        dense(activation="tanh"),
    ),
    "slopes": lambda: stack(dense(), keras.layers.ReLU(negative_slope=0.3), dense()),
}
EPSILONS = {"linf": 0.15, "l2": 0.3, "l1": 0.6}


OPTIMIZED = ("images", "leaky name", "residual tanh")  # also with alpha-CROWN
VARIANTS = (  # of others, which come first
    *("leaky name", "bounded relu", "residual tanh"),
    *("drop connect", "left alone", "nested", "inverted", "slopes"),
)
LARGE = ("maxout", "batch normalization", "residual")
FAST = [(kind, "linf") for kind in KINDS if kind not in (*VARIANTS, *LARGE)] + [
    *(("relu", "l2"), ("relu", "l1"), ("tanh", "l1"))
]
HEAVY = [(kind, "linf") for kind in LARGE] + [("residual", "l2")]
if keras.backend.backend() == "jax":  # which compiles each for many seconds
    FAST, HEAVY = FAST[:3], FAST[3:] + HEAVY
SLOW = [(kind, "linf") for kind in VARIANTS] + [
    *(("images", "l2"), ("images", "l1"), ("tanh", "l2"), ("residual", "l1"))
]


@pytest.mark.parametrize(
    ("kind", "norm"),
    [
        *FAST,
        *(pytest.param(*case, marks=pytest.mark.heavy) for case in HEAVY),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW),
    ],
)
@pytest.mark.usefixtures("eager")
def test_bounds_hold_at_random_points(kind, norm, random_weights):
    model = random_weights(KINDS[kind](), seed=1, scale=1.5)
    generator = np.random.default_rng(2)
    epsilon = EPSILONS[norm]
    x = generator.random((4, *model.input_shape[1:])).astype("float32")
    x[generator.random(x.shape) < 0.4] = 0  # at the bounds, as most pixels are
    y = np.array([0, 1, 2, 0])
    points = points_of_ball(x, epsilon, norm, POINTS, generator)
    logits = keras.ops.convert_to_numpy(
        model(points.reshape(-1, *x.shape[1:]), training=False)
    ).reshape(POINTS, 4, 3)
    differences = logits[:, range(4), y][..., None] - logits
    least = np.where(np.eye(3, dtype=bool)[y], np.inf, differences.min(axis=0))
    operations_stay_within_bounds(model, x, points, epsilon, norm)
    for method in METHODS if kind in OPTIMIZED else METHODS[:2]:
        report = certify(
            model, (x, y), epsilon, norm, method=method, steps=5, verbose=0
        )
        slack = report.errors[epsilon]
        assert (report.margins[epsilon] <= least + slack).all()
        others = np.isfinite(least)
        assert slack[others].max() < 0.05  # of margins of several units
        if kind == "linear" and norm == "linf":
            gap = least[others] - report.margins[epsilon][others]
            assert gap.max() < 0.05  # corners are among the points


def operations_stay_within_bounds(model, x, points, epsilon, norm):
    """Compares the values of all operations with their bounds, before the logits too.

    With few features, many points are corners, at which the first bounds are exact.
    """
    network, size = read_network(model), points[0, 0].size
    radius = outward(epsilon, norm, size, (0, 1))

    def compute(x, points):
        def start(x, radius, with_rounding):
            ball = Ball(x, np.float64(radius), norm, (0.0, 1.0))
            return BoundPass(network, ball, "float64", with_rounding)

        values = interval_bounds(start(points, 0.0, with_rounding=False))
        run = start(x, radius, with_rounding=True)
        values, *bounds = (
            [(one.lower, one.upper) for one in some]
            for some in (values, interval_bounds(run), crown_bounds(run)[0])
        )
        return values, bounds

    with float64_scope():
        values, bounds = keras.tree.map_structure(
            keras.ops.convert_to_numpy,
            certifier.compile_function(compute, model.variables)(
                x.reshape(-1, size).astype("float64"),
                points.reshape(-1, size).astype("float64"),
            ),
        )
    for some in bounds:
        for (value, _), (lower, upper) in zip(values, some, strict=True):
            value = value.reshape(len(points), *lower.shape)
            assert (lower <= value.min(axis=0)).all()
            assert (value.max(axis=0) <= upper).all()
