"""Bounds beside exact arithmetic, exact optimisation, random points and attacks."""

import itertools
from fractions import Fraction

import keras
import numpy as np
import pytest
from scipy.optimize import LinearConstraint, milp

from zoo import mlp, res_mlp
from zoo.adversarial import (
    APGD,
    FGSM,
    PGD,
    Square,
    certify,
    minimal_perturbations,
)
from zoo.adversarial.attacks.run_attack import run_attack
from zoo.adversarial.attacks.smoothed import Smoothed
from zoo.adversarial.certification import certifier
from zoo.adversarial.certification.bounds.ball import Ball, outward
from zoo.adversarial.certification.bounds.interval_bounds import (
    BoundPass,
    interval_bounds,
)
from zoo.adversarial.certification.bounds.linear_bounds import crown_bounds
from zoo.adversarial.certification.bounds.read_network import read_network
from zoo.adversarial.classifier.classifier import Classifier
from zoo.differentiation import float64_scope
from zoo.layers import Whitening

METHODS = ("ibp", "crown", "alpha-crown")
POINTS = 25_000  # per example: 100,000 per network
ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}


def random_weights(model, seed, scale=1.0):
    """Gives all variables values that are not special, variances positive ones."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        values = generator.normal(size=variable.shape) * scale
        if len(variable.shape) == 2:
            values = values / np.sqrt(variable.shape[0])
        if "variance" in variable.path:
            values = 0.5 + values**2
        if "alpha" in variable.path:
            values = np.abs(np.tanh(values))
        if "count" not in variable.path and "seed" not in variable.path:
            variable.assign(values)
    return model


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
def test_bounds_hold_at_random_points(kind, norm):
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


def exact_minimum(weights, low, high):
    """The least margin of a ReLU network of one input, in rational arithmetic.

    Args:
        weights: Kernels and biases of Fractions, the last of them of one output.
        low: Fraction, the lowest input.
        high: Fraction, the highest.
    """
    ends = [low, high]
    for depth in range(1, len(weights)):
        cuts = set(ends)
        for left, right in itertools.pairwise(ends):
            at_left, at_right = (
                forward(weights[:depth], point) for point in (left, right)
            )
            for a, b in zip(at_left, at_right, strict=True):
                if a * b < 0:
                    cuts.add(left + (right - left) * a / (a - b))
        ends = sorted(cuts)
    return min(forward(weights, point)[0] for point in ends)


def forward(weights, point):
    values = [point]
    for index, (kernel, bias) in enumerate(weights):
        if index:
            values = [max(value, Fraction(0)) for value in values]
        columns = zip(*kernel, strict=True)
        values = [
            sum((v * w for v, w in zip(values, column, strict=True)), b)
            for column, b in zip(columns, bias, strict=True)
        ]
    return values


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "method", ["ibp", "crown", pytest.param("alpha-crown", marks=pytest.mark.heavy)]
)
def test_bounds_never_exceed_exact_arithmetic(method):
    model = random_weights(mlp((1,), 2, units=(4, 3)), seed=5, scale=2.0)
    x = np.linspace(0.1, 0.9, 41, dtype="float32")[:, None]
    y = np.argmax(keras.ops.convert_to_numpy(model(x)), axis=1)
    epsilons = (0.001, 0.02, 0.1)
    report = certify(model, (x, y), epsilons, method=method, verbose=0)
    values = [
        [[Fraction(float(v)) for v in np.atleast_1d(row)] for row in part]
        for part in model.get_weights()
    ]
    layers = [
        (values[i], [row[0] for row in values[i + 1]]) for i in range(0, len(values), 2)
    ]
    kernel, bias = layers.pop()
    proved = 0
    for label in (0, 1):
        margin = ([[r[label] - r[1 - label]] for r in kernel], [])
        margin = (margin[0], [bias[label] - bias[1 - label]])
        for row in np.flatnonzero(y == label):
            for epsilon in epsilons:
                center, radius = Fraction(float(x[row, 0])), Fraction(epsilon)
                low, high = max(center - radius, 0), min(center + radius, 1)
                exact = exact_minimum([*layers, margin], low, Fraction(high))
                bound = Fraction(report.margins[epsilon][row, 1 - label])
                assert bound <= exact
                if report.certified[epsilon][row]:
                    assert exact > 0
                    proved += 1
    assert proved > 20


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("method", ["ibp", "crown"])
def test_no_rounding_certifies_a_margin_of_zero(method):
    """A linear model, and radii at which its exact worst margin reaches zero."""
    generator = np.random.default_rng(0)
    kernel = np.zeros((40, 2), "float32")
    kernel[:, 1] = generator.normal(size=40) + 0.3
    model = mlp((40,), 2, units=())
    model.set_weights([kernel, np.float32([0, 0])])
    x = generator.uniform(0.4, 0.6, (20, 40)).astype("float32")
    weights = [Fraction(float(w)) for w in kernel[:, 1]]
    values = [
        sum(Fraction(float(v)) * w for v, w in zip(row, weights, strict=True))
        for row in x
    ]
    size = sum(map(abs, weights))
    epsilons = []
    for value in values:
        epsilon = float(abs(value) / size)
        while Fraction(epsilon) * size < abs(value):
            epsilon = float(np.nextafter(epsilon, 1))
        epsilons.append(epsilon)
    assert max(epsilons) < 0.4  # so that no bound of the inputs is reached
    y = np.array([int(value > 0) for value in values])
    smaller = [0.999 * epsilon for epsilon in epsilons]
    report = certify(model, (x, y), epsilons + smaller, method=method, verbose=0)
    for row in range(len(x)):
        assert not report.certified[epsilons[row]][row]
        assert report.certified[smaller[row]][row]


def exact_margin(model, x, epsilon, label):
    """The least margin of a network of one hidden layer, by integer programming."""
    first, first_bias, last, last_bias = (
        np.float64(part) for part in model.get_weights()
    )
    low, high = np.clip(x - epsilon, 0, 1), np.clip(x + epsilon, 0, 1)
    center, radius = (low + high) / 2, (high - low) / 2
    middle = center @ first + first_bias
    lower = middle - radius @ np.abs(first)
    upper = middle + radius @ np.abs(first)
    inputs, hidden = first.shape
    # Variables: inputs, values before ReLU, after it, and whether it is on.
    zeros = np.zeros
    rows, least, most = [], [], []

    def add(x=None, z=None, h=None, d=None, low=-np.inf, high=np.inf):
        parts = (x, z, h, d)
        sizes = (inputs, hidden, hidden, hidden)
        rows.append(
            np.concatenate(
                [
                    zeros(size) if part is None else part
                    for part, size in zip(parts, sizes, strict=True)
                ]
            )
        )
        least.append(low)
        most.append(high)

    eye = np.eye(hidden)
    for unit in range(hidden):
        e, bias = eye[unit], first_bias[unit]
        add(x=-first[:, unit], z=e, low=bias, high=bias)
        add(z=-e, h=e, low=0)
        add(z=-e, h=e, d=-min(lower[unit], 0) * e, high=-min(lower[unit], 0))
        add(h=e, d=-max(upper[unit], 0) * e, high=0)
    sides = (
        np.concatenate([low, lower, zeros(hidden), zeros(hidden)]),
        np.concatenate([high, upper, np.maximum(upper, 0), np.ones(hidden)]),
    )
    direction = last[:, label] - last[:, 1 - label]
    cost = np.concatenate([zeros(inputs + hidden), direction, zeros(hidden)])
    result = milp(
        cost,
        integrality=np.repeat([0, 1], [inputs + 2 * hidden, hidden]),
        bounds=sides,
        constraints=LinearConstraint(np.array(rows), least, most),
        options={"mip_rel_gap": 0.0},
    )
    assert result.success
    return result.fun + last_bias[label] - last_bias[1 - label]


@pytest.mark.usefixtures("eager")
def test_bounds_beside_integer_programming():
    model = random_weights(mlp((4,), 2, units=(6,)), seed=3, scale=1.5)
    x = np.random.default_rng(4).random((6, 4)).astype("float32")
    y = np.argmax(keras.ops.convert_to_numpy(model(x)), axis=1)
    reports = [certify(model, (x, y), 0.2, method=m, verbose=0) for m in METHODS]
    found = np.array([r.margins[0.2][range(6), 1 - y] for r in reports])
    exact = np.array(
        [exact_margin(model, x[i].astype("float64"), 0.2, y[i]) for i in range(6)]
    )
    assert (found <= exact + 1e-6).all()
    ibp, crown, alpha = found
    assert (ibp <= alpha).all()
    assert (crown <= alpha).all()
    assert (alpha - crown).max() > 1e-3  # slopes were worth a search
    assert (exact - alpha).max() < 0.5 * (exact - ibp).max()


@pytest.mark.usefixtures("eager")
def test_each_method_is_at_least_as_tight_as_the_previous_one():
    generator = np.random.default_rng(0)
    x = generator.random((80, 4)).astype("float32")
    y = generator.integers(0, 3, 80)
    # For about one in ten of these margins, linear bounds alone would be looser.
    model = random_weights(mlp((4,), 3, units=(6, 6)), seed=3, scale=2.0)
    ibp, crown, alpha = (
        certify(model, (x, y), 0.3, method=method, steps=2, verbose=0).margins[0.3]
        for method in METHODS
    )
    assert (crown >= ibp - 1e-9).all()
    assert (alpha >= crown - 1e-9).all()
    assert (crown > ibp + 0.01).sum() > 50


@pytest.mark.heavy
@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.03), ("l2", 0.2)])
def test_what_is_certified_survives_attacks(trained, digits, norm, epsilon):
    x, y = (part[:200] for part in digits[1])
    survives_attacks(trained, x, y, norm, epsilon, steps=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "epsilons", "steps"),
    [("linf", (0.02, 0.05), 60), ("l2", (0.15, 0.3), 60), ("l1", (0.2, 0.5), 20)],
)
def test_thousands_of_certificates_survive_attacks(
    trained, digits, norm, epsilons, steps
):
    x, y = (np.concatenate(parts) for parts in zip(*digits, strict=True))
    counts = [
        survives_attacks(trained, x, y, norm, epsilon, steps) for epsilon in epsilons
    ]
    assert sum(counts) > 2000


def survives_attacks(model, x, y, norm, epsilon, steps):
    """Returns the number of examples that are certified, and no attack breaks."""
    report = certify(model, (x, y), epsilon, norm, verbose=0)
    certified = report.certified[epsilon]
    assert certified.mean() > 0.3
    found = minimal_perturbations(model, (x, y), norm, steps=steps, verbose=0)
    assert (found.distances[certified] > epsilon).all()
    classifier = Classifier(model)
    x, y = classifier.check_data(x, y, (0, 1))
    attacks = [
        FGSM(epsilon, norm=norm),
        PGD(epsilon, norm=norm, steps=steps, restarts=2),
        *(
            APGD(epsilon, norm=norm, loss=loss, steps=steps)
            for loss in ("cross_entropy", "dlr", "targeted_dlr")
        ),
        Smoothed(epsilon, norm=norm, steps=10),
    ]
    if norm in Square.supported_norms:
        attacks.append(Square(epsilon, norm=norm, steps=2 * steps))
    broken = np.zeros(len(x), bool)
    for attack in attacks:
        broken |= run_attack(attack, classifier, x, y).broken
        assert not (broken & certified).any()
    # The attacks are not idle: they also break examples that the model gets right.
    assert broken.mean() > 1 - report.clean_accuracy
    return int(certified.sum())
