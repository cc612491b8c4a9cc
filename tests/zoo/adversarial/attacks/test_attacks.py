import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import APGD, FGSM, PGD, norms
from zoo.adversarial.classifier.classifier import Classifier

ops = keras.ops
NORMS = ("linf", "l2")  # those of all attacks; see `test_l1`
ATTACKS = {
    "fgsm": FGSM,
    "pgd": lambda *a, **k: PGD(*a, steps=10, **k),
    "apgd": lambda *a, **k: APGD(*a, steps=10, **k),
    "apgd_dlr": lambda *a, **k: APGD(*a, steps=10, loss="dlr", **k),
}


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def inputs(*shape, seed=0, low=0.0, high=1.0):
    generator = np.random.default_rng(seed)
    return generator.uniform(low, high, shape).astype("float32")


def size(norm, delta):
    flat = delta.reshape(len(delta), -1).astype("float64")
    return np.linalg.norm(flat, np.inf if norm == "linf" else 2, axis=1)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("norm", NORMS)
def test_the_optimal_attack_on_a_linear_model(name, norm, linear):
    model, difference = linear
    x = inputs(8, 5, low=0.3, high=0.7)
    y = (x @ difference > 0).astype(int)
    # Half of what moves each onto the boundary: no attack succeeds, all go on.
    dual = np.abs(difference).sum() if norm == "linf" else np.linalg.norm(difference)
    epsilon = 0.5 * float(np.abs(x @ difference).min() / dual)
    uphill = np.where(y == 0, 1, -1)[:, None] * difference
    if norm == "linf":
        optimum = x + epsilon * np.sign(uphill)
    else:
        optimum = x + epsilon * uphill / np.linalg.norm(difference)
    found = ATTACKS[name](epsilon, norm=norm, random_start=False)(model, x, y)
    np.testing.assert_allclose(found, optimum, atol=3e-7)


@pytest.mark.parametrize("norm", [pytest.param("linf", marks=pytest.mark.heavy), "l2"])
def test_the_robust_accuracy_of_a_linear_model(norm, linear):
    model, difference = linear
    x = inputs(400, 5, low=0.2, high=0.8)
    y = (x @ difference > 0).astype(int)
    dual = np.abs(difference).sum() if norm == "linf" else np.linalg.norm(difference)
    distance = np.abs(x @ difference) / dual
    adversarial = PGD(0.1, norm=norm, steps=20)(model, x, y)
    withstands = model.predict(adversarial, verbose=0).argmax(axis=1) == y
    clear = np.abs(distance - 0.1) > 1e-4
    np.testing.assert_array_equal(withstands[clear], (distance > 0.1)[clear])


@pytest.mark.heavy
@pytest.mark.parametrize("name", [*ATTACKS, "targeted_dlr"])
@pytest.mark.parametrize("norm", NORMS)
def test_no_perturbation_leaves_the_ball_or_the_bounds(name, norm, trained, digits):
    x, y = (part[:60] for part in digits[1])
    make = ATTACKS.get(name, lambda *a, **k: APGD(*a, steps=10, loss=name, **k))
    attack = make(0.2, norm=norm, bounds=(0.0, 1.0), seed=3)
    found = attack(trained, x, y)
    assert found.min() >= 0
    assert found.max() <= 1
    sizes = size(norm, found - x)
    assert sizes.max() <= 0.2 * (1 + 1e-6)
    right = trained.predict(x, verbose=0).argmax(axis=1) == y
    assert sizes[right].min() > 0
    assert not sizes[~right].any()  # is misclassified already


@pytest.mark.heavy
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("norm", NORMS)
def test_masked_features_stay_to_the_last_bit(name, norm, trained, digits):
    x, y = (part[:40] for part in digits[1])
    mask = np.arange(64) % 3 == 0
    found = ATTACKS[name](0.3, norm=norm, mask=mask)(trained, x, y)
    np.testing.assert_array_equal(found[:, ~mask], x[:, ~mask])
    assert (found != x)[:, mask].any()


@pytest.mark.heavy
def test_epsilon_zero_changes_nothing(trained, digits):
    x, y = (part[:40] for part in digits[1])
    for attack in (PGD(0.0), APGD(0.0, norm="l2", steps=5), FGSM(0)):
        np.testing.assert_array_equal(attack(trained, x, y), x)


@pytest.mark.heavy
def test_seeds_reproduce_and_the_batch_size_does_not_matter(trained, digits):
    x, y = (part[:50] for part in digits[1])
    attack = PGD(0.03, steps=5, seed=7)
    first = attack(trained, x, y)
    np.testing.assert_array_equal(PGD(0.03, steps=5, seed=7)(trained, x, y), first)
    np.testing.assert_allclose(attack(trained, x, y, batch_size=7), first, atol=1e-6)
    assert (PGD(0.03, steps=5, seed=8)(trained, x, y) != first).any()


@pytest.mark.slow
def test_more_restarts_contain_fewer(trained, digits):
    x, y = digits[1]

    def broken(restarts):
        found = PGD(0.09, steps=2, restarts=restarts)(trained, x, y)
        return trained.predict(found, verbose=0).argmax(axis=1) != y

    once, thrice = broken(1), broken(4)
    assert (thrice >= once).all()
    assert thrice.sum() > once.sum()


@pytest.mark.slow
def test_a_targeted_attack_reaches_its_class(trained, digits):
    x, y = digits[1]
    targets = (y + 1) % 10
    found = PGD(0.5, steps=20, targeted=True)(trained, x, targets)
    reached = trained.predict(found, verbose=0).argmax(axis=1) == targets
    assert reached.mean() > 0.95


def test_what_is_broken_is_stepped_no_more(linear):
    """The first step that crosses the boundary is the last: it lies near to it."""
    model, difference = linear
    x = inputs(50, 5, low=0.3, high=0.7)
    y = (x @ difference > 0).astype(int)
    found = PGD(0.3, steps=300, step_size=0.001, random_start=False)(model, x, y)
    broken = (found @ difference > 0).astype(int) != y
    assert broken.all()
    beyond = np.abs(found @ difference)
    assert beyond.max() <= 0.001 * np.abs(difference).sum() * 1.01


@pytest.mark.parametrize("name", ["pgd", "apgd"])
def test_an_attack_leaves_model_and_random_state_as_found(name):
    model = mlp((4,), 3, units=(16,), normalization="batch", dropout=0.5)
    x, y = inputs(10, 4), np.arange(10) % 3
    before = [to_numpy(v).copy() for v in model.variables]

    def draws():
        keras.utils.set_random_seed(5)
        ATTACKS[name](0.1)(model, x, y)
        return to_numpy(keras.random.normal((3,))), np.random.rand()

    after_attack = draws()
    for value, earlier in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(to_numpy(value), earlier)
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(to_numpy(keras.random.normal((3,))), after_attack[0])
    assert np.random.rand() == after_attack[1]


class CountsTraces(keras.layers.Layer):
    traces = 0

    def call(self, x):
        CountsTraces.traces += 1
        return x


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="compiles nothing")
def test_no_compilation_between_batches():
    layers = [keras.Input((4,)), CountsTraces(), keras.layers.Dense(3)]
    model, attack = keras.Sequential(layers), PGD(0.1, steps=3, restarts=2)
    x, y = inputs(50, 4), np.arange(50) % 3
    attack(model, x, y, batch_size=20)
    model.set_weights([-weight for weight in model.get_weights()])
    before = CountsTraces.traces
    attack(model, x, y, batch_size=20)
    # Data are checked once outside of compiled functions.
    assert CountsTraces.traces - before <= 1


def test_a_search_sees_the_weights_of_its_time(linear):
    model, difference = linear
    attack = FGSM(0.1)
    x = np.full((1, 5), 0.5, "float32")
    label = int(x[0] @ difference > 0)
    first = attack(model, x, np.array([label]))
    model.set_weights([-weight for weight in model.get_weights()])
    second = attack(model, x, np.array([1 - label]))
    np.testing.assert_allclose(first, second, atol=1e-7)


def restarts_of(size):
    """The first restart of many examples."""
    return np.zeros(size, int), np.arange(size)


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_are_uniform_in_the_ball(norm):
    noise = norms.draw_for_examples(norm, (2, 2), 0, *restarts_of(4000))
    points = to_numpy(norms.unit_ball(norm, noise, np.zeros((4000, 2, 2), "float32")))
    # The share of the volume within a radius is the radius to the power of 4.
    share = np.sort(size(norm, points)) ** 4
    np.testing.assert_allclose(share, np.linspace(0, 1, 4000), atol=0.04)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.04)


def test_random_starts_are_uniform_in_the_dimensions_of_a_mask():
    mask = np.array([1, 0, 1, 1], "float32")
    noise = norms.draw_for_examples("l2", (4,), 0, *restarts_of(4000))
    like = np.zeros((4000, 4), "float32")
    points = norms.unit_ball("l2", noise, like, ops.convert_to_tensor(mask))
    points = to_numpy(points)
    assert not points[:, 1].any()
    share = np.sort(size("l2", points)) ** 3
    np.testing.assert_allclose(share, np.linspace(0, 1, 4000), atol=0.04)


def test_tiny_gradients_survive_float16():
    """Inputs up to 255 have gradients that float16 alone would round to zero."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layers = [
            keras.Input((4,)),
            keras.layers.Rescaling(2.0**-14),
            keras.layers.Dense(2, use_bias=False),
            keras.layers.Dense(2, use_bias=False),
        ]
        model = keras.Sequential(layers)
    finally:
        keras.config.set_dtype_policy(before)
    kernel = np.zeros((4, 2))
    kernel[:, 0] = [2.0**-11, -(2.0**-11), 2.0**-11, 0]  # product 2**-25: zero
    model.set_weights([kernel, np.array([[1.0, -1.0], [0.0, 0.0]])])
    x = np.full((1, 4), 100, "float32")
    found = FGSM(1.0, bounds=(0.0, 255.0))(model, x, np.array([0]))
    np.testing.assert_array_equal(found - x, [[-1, 1, -1, 0]])


def test_images_and_one_hot_labels(digits):
    x, y = (part[:20] for part in digits[1])
    model = mlp((8, 8, 1), 10, units=(16,))
    images = x.reshape(-1, 8, 8, 1)
    attack = PGD(0.1, steps=3)
    found = attack(model, images, y)
    assert found.shape == images.shape
    for labels in (np.eye(10)[y], y[:, None], y.astype("float64")):
        np.testing.assert_array_equal(attack(model, images, labels), found)


def test_one_sigmoid_output_is_a_choice_of_two_classes():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")]
    )
    model.set_weights([np.array([[1.0], [-1.0]]), np.zeros(1)])
    x = np.array([[0.75, 0.25], [0.25, 0.75]], "float32")
    found = PGD(0.125, random_start=False)(model, x, np.array([1, 0]))
    np.testing.assert_array_equal(found, [[0.625, 0.375], [0.375, 0.625]])


@pytest.mark.parametrize("restart", [0, 1])
def test_a_targeted_loss_goes_for_another_class_at_every_restart(restart):
    model = mlp((3,), 4, units=())
    kernel = np.array([[0, 4, 0, 0], [0, 0, 3, 0], [0, 0, 0, 2]], "float32")
    model.set_weights([kernel, np.array([9, 0, 0, 0], "float32")])
    attack = APGD(0.1, loss="targeted_dlr", steps=5, restarts=2, random_start=False)
    x, y = np.full((1, 3), 0.5, "float32"), np.zeros(1, "int32")
    target = Classifier(model)
    objective = attack.objective(target.logits, x, y, rank=restart)
    logits = np.array([[9, 2, 1.5, 1]], "float32")
    difference = logits[0, 1 + restart] - 9
    expected = difference / (9 - (1.5 + 1) / 2)
    assert to_numpy(objective(logits))[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "attack",
    [
        PGD(0.1, norm="l2", steps=3, step_size=0.05, seed=4, bounds=(-1, 2)),
        FGSM(0.2, random_start=True, mask=[True, False]),
        APGD(0.3, loss="targeted_dlr", steps=20),
    ],
)
def test_attacks_are_made_again_from_their_configs(attack):
    config = keras.saving.serialize_keras_object(attack)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(attack)
    assert again.get_config() == attack.get_config()
    assert repr(again) == repr(attack)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(-0.1), "`epsilon`. Expected a number >= 0"),
        (lambda: PGD(float("inf")), "`epsilon`. Expected a number >= 0"),
        (lambda: PGD(8), "`epsilon`. Expected at most 1, the largest linf.*\nAre the"),
        (lambda: PGD(0.1, norm="l3"), "`norm`. Expected one of 'linf', 'l2'"),
        (lambda: PGD(0.1, steps=0), "`steps`. Expected an integer >= 1"),
        (lambda: PGD(0.1, step_size=0), "`step_size`. Expected a number > 0"),
        (lambda: PGD(0.1, random_start=2), "`random_start`. Expected one of True"),
        (lambda: PGD(0.1, restarts=0), "`restarts`. Expected an integer >= 1"),
        (
            lambda: PGD(0.1, restarts=2, random_start=False),
            "`restarts`. Expected 1.*\nWithout a random start",
        ),
        (lambda: PGD(0.1, bounds=(1, 0)), "`bounds`. Expected two finite numbers"),
        (lambda: PGD(0.1, mask=[0.5]), "`mask`. Expected booleans"),
        (lambda: PGD(0.1, mask=[False]), "`mask`. Expected booleans"),
        (lambda: PGD(0.1, targeted=None), "`targeted`. Expected one of True"),
        (lambda: PGD(0.1, seed=-1), "`seed`. Expected an integer >= 0"),
        (lambda: APGD(0.1, loss="hinge"), "`loss`. Expected one of 'cross_entropy'"),
        (
            lambda: APGD(0.1, loss="targeted_dlr", targeted=True),
            '`targeted`. Expected False.*\nUse `loss="dlr"`',
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


GOOD = np.full((4, 3), 0.5, "float32"), np.arange(4) % 3


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (GOOD[0] * 300, GOOD[1], "`x`. Expected values within.*from 150 to 150.*\nPas"),
        (GOOD[0] * np.nan, GOOD[1], "`x`. Expected finite numbers.*row 0"),
        (GOOD[0][:, :2], GOOD[1], r"`x`. Expected examples of shape \(3,\)"),
        (GOOD[0].astype(str), GOOD[1], "`x`. Expected numbers"),
        (GOOD[0][:0], GOOD[1], "`x`. Expected numbers of shape"),
        (GOOD[0], GOOD[1] + 1, "`y`. Expected 4 classes from 0 to 2.*from 1 to 3"),
        (GOOD[0], GOOD[1] - 1, "`y`. Expected 4 classes.*from -1 to 1"),
        (GOOD[0], GOOD[1][:3], r"`y`. Expected 4 classes.*of shape \(3,\)"),
        (GOOD[0], GOOD[1] + 0.5, "`y`. Expected.*not whole"),
        (GOOD[0], np.full((4, 3), 1), "`y`. Expected.*\nEvery row of one-hot"),
    ],
)
def test_wrong_data(x, y, message):
    with pytest.raises(ValueError, match=message):
        PGD(0.1)(mlp((3,), 3, units=()), x, y)


@pytest.mark.parametrize("mask", [[True] * 2, [[True] * 3]])
def test_a_mask_of_another_shape(mask):
    with pytest.raises(ValueError, match=r"`mask`.*the shape of an example, \(3,\)"):
        PGD(0.1, mask=mask)(mlp((3,), 3, units=()), *GOOD)


def tokens_model():
    layers = [keras.Input((3,), dtype="int32"), keras.layers.Embedding(5, 2)]
    return keras.Sequential(
        [*layers, keras.layers.Flatten(), keras.layers.Dense(3)],
    )


def two_inputs():
    pair = [keras.Input((3,)), keras.Input((3,))]
    return keras.Model(pair, keras.layers.Add()(pair))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (tokens_model, "`model`. Expected a model of float inputs.*\nIntegers, as tok"),
        (two_inputs, "`model`. Expected a model of one input and one output"),
        (lambda: "mlp", "`model`. Expected a keras.Model that is built"),
        (
            lambda: keras.Sequential([keras.layers.Dense(3)]),
            "`model`. Expected a keras.Model that is built.*\nGive its input shape",
        ),
        (
            lambda: keras.Sequential([keras.Input((3, 1)), keras.layers.Dense(3)]),
            r"`model`. Expected a classifier.*\(batch, classes\)",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((3,), dtype="uint8"), tokens_model()]
            ),
            "`model`. Expected a model of float inputs",
        ),
        (
            lambda: keras.Sequential(
                [
                    keras.Input((3,), dtype="uint8"),
                    keras.layers.Rescaling(1 / 255),
                    keras.Sequential(
                        [keras.Input((3,), dtype="int32"), keras.layers.Dense(3)]
                    ),
                ]
            ),
            "`model`. Expected.*no inner model has inputs of integers.*\nThe inner",
        ),
    ],
)
def test_wrong_models(make, message):
    with pytest.raises(ValueError, match=message):
        PGD(0.1)(make(), *GOOD)


def test_an_l2_epsilon_beyond_the_bounds():
    with pytest.raises(ValueError, match="`epsilon`. Expected at most 1.73205"):
        PGD(1.8, norm="l2")(mlp((3,), 3, units=()), *GOOD)


def test_a_wrong_batch_size():
    with pytest.raises(ValueError, match="`batch_size`. Expected an integer >= 1"):
        PGD(0.1)(mlp((3,), 3, units=()), *GOOD, batch_size=0)
