import keras
import numpy as np
import pytest

from callbacks.diagnosis.ranking import judge
from callbacks.diagnosis.rules.heads import activation_on_activation
from callbacks.diagnosis.run.pass_facts import PassFacts
from zoo.backend import LOSSES_FIND_LOGITS

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
IDS = X[:, :3].argmax(axis=1)
ONE_HOT = np.eye(3)[IDS]
BINARY = (X[:, 0] > 0) * 1
SIGNED = 2 * BINARY - 1
MULTI_HOT = (X[:, :3] > 0) * 1
REAL = (X @ [1.0, -2.0, 0.5, 1.0])[:, None]
BCE, CCE = "binary_crossentropy", "categorical_crossentropy"
SPARSE = "sparse_categorical_crossentropy"


def logits(name, **options):
    return getattr(keras.losses, name)(from_logits=True, **options)


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y"),
    [
        (3, "softmax", SPARSE, IDS),
        (3, "softmax", SPARSE, IDS[:, None]),
        (10, "softmax", SPARSE, IDS),
        (3, None, logits("SparseCategoricalCrossentropy"), IDS),
        (3, "log_softmax", logits("SparseCategoricalCrossentropy"), IDS),
        (3, "softmax", CCE, ONE_HOT),
        (3, "softmax", CCE, 0.9 * ONE_HOT + 0.1 / 3),
        (3, None, logits("CategoricalCrossentropy", label_smoothing=0.1), ONE_HOT),
        (3, "softmax", "kl_divergence", ONE_HOT),
        (2, "softmax", SPARSE, BINARY),
        (2, "softmax", CCE, np.eye(2)[BINARY]),
        (1, "sigmoid", BCE, BINARY),
        (1, "sigmoid", BCE, BINARY.astype("bool")),
        (1, "sigmoid", BCE, BINARY * 0.8 + 0.1),
        (1, "sigmoid", "binary_focal_crossentropy", BINARY),
        (1, None, logits("BinaryCrossentropy"), BINARY),
        (3, "sigmoid", BCE, MULTI_HOT),
        (3, "sigmoid", BCE, MULTI_HOT * 0.7),
        (1, "tanh", "hinge", SIGNED),
        (1, None, "squared_hinge", BINARY),
        (3, None, "categorical_hinge", ONE_HOT),
        (1, None, "mse", REAL),
        (1, None, "mae", REAL[:, 0]),
        (1, None, keras.losses.Huber(), REAL),
        (1, "sigmoid", "mse", BINARY),
        (1, "sigmoid", "mse", BINARY * 0.5 + 0.2),
        (1, "softplus", "mse", np.abs(REAL)),
        (1, "softplus", "mse", 1000 * np.abs(REAL)),  # a unit is no fault
        (1, None, "mse", 1000 * REAL),
        (1, "elu", "mse", np.abs(REAL) - 0.9),
        (3, "exponential", CCE, ONE_HOT),  # Keras divides by the sum
        (3, "leaky_relu", logits("SparseCategoricalCrossentropy"), IDS),
        (2, "softmax", BCE, np.eye(2)[BINARY]),  # equals the categorical one
        (1, "relu", "mse", np.abs(REAL)),
        (1, "tanh", "mse", np.tanh(REAL)),
        (1, "exponential", "poisson", np.abs(REAL).round()),
        (1, None, "mse", np.abs(REAL).round()),
        (2, None, "mse", np.concatenate([REAL, REAL], axis=1)),
        (2, None, lambda y, p: keras.ops.mean((y - p) ** 2), IDS),
    ],
)
def test_a_right_head_is_not_mentioned(classifier, found, units, activation, loss, y):
    assert found(classifier(units, activation, loss), X, y) == []


MISMATCH, ACTIVATION = "loss_head_mismatch", "wrong_output_activation"
NUMBER, RANGE = "wrong_num_outputs", "labels_out_of_range"


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "cause"),
    [
        (1, "softmax", BCE, BINARY, ACTIVATION),
        (1, "softmax", "mse", BINARY, ACTIVATION),
        (3, None, SPARSE, IDS, MISMATCH),
        (3, None, CCE, ONE_HOT, MISMATCH),
        (1, None, BCE, BINARY, MISMATCH),
        (3, None, "kl_divergence", ONE_HOT, ACTIVATION),
        (3, "relu", SPARSE, IDS, ACTIVATION),
        (1, "tanh", BCE, BINARY, ACTIVATION),
        (3, "relu", logits("SparseCategoricalCrossentropy"), IDS, ACTIVATION),
        (3, "sigmoid", SPARSE, IDS, MISMATCH),
        (3, "sigmoid", CCE, ONE_HOT, MISMATCH),
        (3, "sigmoid", CCE, MULTI_HOT, MISMATCH),
        (3, "softmax", BCE, ONE_HOT, MISMATCH),
        (3, "softmax", BCE, MULTI_HOT, ACTIVATION),
        (3, "softmax", CCE, MULTI_HOT, MISMATCH),
        (1, "sigmoid", CCE, BINARY, MISMATCH),
        (1, "sigmoid", SPARSE, BINARY, MISMATCH),
        (1, "sigmoid", SPARSE, IDS, NUMBER),
        (2, "softmax", SPARSE, IDS, NUMBER),
        (1, "sigmoid", BCE, IDS, NUMBER),
        (2, "softmax", CCE, ONE_HOT, NUMBER),
        (2, "sigmoid", BCE, BINARY, NUMBER),
        (2, None, "mse", REAL, NUMBER),
        (1, None, "mse", np.concatenate([REAL, REAL], axis=1), NUMBER),
        (3, "softmax", SPARSE, ONE_HOT, MISMATCH),
        (3, "softmax", CCE, IDS, MISMATCH),
        (3, "softmax", "mse", ONE_HOT, MISMATCH),
        (3, "softmax", "mse", IDS, MISMATCH),
        (1, "sigmoid", BCE, REAL, MISMATCH),
        (1, "sigmoid", "mse", REAL, ACTIVATION),
        (1, "relu", "mae", REAL, ACTIVATION),
        (1, "tanh", "mse", 10 * REAL, ACTIVATION),
        (1, "elu", "mse", REAL, ACTIVATION),
        (1, "silu", "mse", REAL, ACTIVATION),
        (3, "leaky_relu", SPARSE, IDS, ACTIVATION),
        (3, "hard_tanh", CCE, ONE_HOT, ACTIVATION),
        (1, "exponential", BCE, BINARY, ACTIVATION),
        (3, "tanh", logits("SparseCategoricalCrossentropy"), IDS, ACTIVATION),
        (1, "gelu", "poisson", np.abs(REAL).round(), MISMATCH),
        (3, None, "mse", IDS, MISMATCH),
        (3, "sigmoid", "mse", IDS, MISMATCH),
        (1, None, "poisson", np.abs(REAL).round(), MISMATCH),
        (1, "sigmoid", "hinge", SIGNED, MISMATCH),
        (1, None, "cosine_similarity", REAL, MISMATCH),
        (3, "softmax", SPARSE, IDS + 1, RANGE),
        (3, "softmax", SPARSE, IDS - 1, RANGE),
        (1, "sigmoid", BCE, SIGNED, RANGE),
        (1, "sigmoid", BCE, BINARY + 1, RANGE),
    ],
)
def test_a_wrong_head_is_named(classifier, found, units, activation, loss, y, cause):
    causes = [one for one, _ in found(classifier(units, activation, loss), X, y)]
    assert causes[0] == cause


@pytest.mark.parametrize(
    ("units", "activation", "name", "y"),
    [
        (3, "softmax", "SparseCategoricalCrossentropy", IDS),
        (1, "sigmoid", "BinaryCrossentropy", BINARY),
    ],
)
def test_a_second_softmax_is_a_fault_where_it_is_applied(
    classifier, found, units, activation, name, y
):
    model = classifier(units, activation, logits(name))
    severity = "hint" if LOSSES_FIND_LOGITS else "warning"
    assert found(model, X, y, hints=True) == [(MISMATCH, severity)]


def test_a_softmax_of_a_softmax_is_found(found):
    for inner, expected in (("softmax", True), ("tanh", True), (None, False)):
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(3, inner),
            keras.layers.Softmax(),
        ]
        model = keras.Sequential(layers)
        model.compile("adam", SPARSE)
        assert ([one for one, _ in found(model, X, IDS)] == [ACTIVATION]) is expected


class Net(keras.Model):
    def __init__(self, units, activation):
        super().__init__()
        self.hidden = keras.layers.Dense(8)
        self.end = keras.layers.Dense(units)
        self.act = keras.layers.Activation(activation)

    def call(self, x):
        return self.act(self.end(keras.ops.relu(self.hidden(x))))


def test_subclassed_models_are_read(found):
    for activation, expected in (("linear", True), ("sigmoid", False)):
        model = Net(1, activation)
        model(X[:2])
        nodes = [len(layer._inbound_nodes) for layer in model.layers]
        model.compile("adam", BCE)
        causes = [one for one, _ in found(model, X, BINARY)]
        assert (causes == [MISMATCH]) is expected
        assert [len(layer._inbound_nodes) for layer in model.layers] == nodes


def test_outputs_are_judged_one_by_one(found):
    inputs = keras.Input((4,))
    a = keras.layers.Dense(3, "softmax", name="a")(inputs)
    b = keras.layers.Dense(1, "softmax", name="b")(inputs)
    model = keras.Model(inputs, {"a": a, "b": b})
    model.compile("adam", {"a": SPARSE, "b": "mse"})
    assert found(model, X, {"a": IDS, "b": REAL}) == [(ACTIVATION, "error")]
    model = keras.Model(inputs, {"a": a, "b": keras.layers.Dense(1)(inputs)})
    model.compile("adam", {"a": SPARSE, "b": "mse"})
    assert found(model, X, {"a": IDS, "b": REAL}) == []


def test_heads_inside_other_models_are_read(found, classifier):
    inner = classifier(3, None, SPARSE)
    outer = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), inner])
    outer.compile("adam", SPARSE)
    assert [one for one, _ in found(outer, X, IDS)] == [MISMATCH]
    outer = keras.Sequential([keras.Input((4,)), inner, keras.layers.Softmax()])
    outer.compile("adam", SPARSE)
    assert found(outer, X, IDS) == []


def test_a_custom_step_is_not_judged(found):
    class Own(keras.Model):
        def train_step(self, *arguments):
            return super().train_step(*arguments)

    inputs = keras.Input((4,))
    model = Own(inputs, keras.layers.Dense(3)(inputs))
    model.compile("adam", SPARSE)
    assert found(model, X, IDS) == []


def test_labels_decide_which_of_two_fixes_is_right(classifier, facts_of):
    model = classifier(3, "sigmoid", CCE)
    assert [one.cause for one in judge(facts_of(model), "model")] == []  # no labels yet
    for y, part in ((MULTI_HOT, "'binary_crossentropy'"), (ONE_HOT, "'softmax'")):
        (one,) = judge(facts_of(model, X, y), "model")
        assert part in one.advice[0]


def test_one_softmax_unit_is_never_replaced_by_itself(classifier, facts_of):
    model = classifier(1, "softmax", SPARSE)
    for given in ((), (X, BINARY), (X, IDS)):
        one = judge(facts_of(model, *given), "model")[0]
        number = 3 if given and given[1] is IDS else 2
        assert one.advice[0].startswith(f"keras.layers.Dense({number},")


def test_a_rectified_average_may_precede_a_softmax(found):
    """SqueezeNet and Network in Network end this way."""
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.Conv2D(3, 1),
        keras.layers.Activation("relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Activation("softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    assert found(model, RNG.normal(size=(40, 8, 8, 3)), IDS[:40]) == []


@pytest.mark.parametrize(("logit", "expected"), [(0.0, 1), (1.0, 0)])
def test_a_softmax_of_zeros_is_found_after_training(facts_of, logit, expected):
    layers = [keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Softmax()]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    outputs = np.exp(logit * ONE_HOT) / np.exp(logit * ONE_HOT).sum(axis=1)[:, None]
    end = PassFacts(loss=1.0, outputs=(outputs,))
    (one,) = activation_on_activation(facts_of(model, X, IDS, end=end))
    assert (one.severity == "warning") is bool(expected)


def test_more_outputs_than_columns_are_broadcast(classifier, found):
    expected = [(NUMBER, "warning")]
    assert found(classifier(2, None, "mse"), X, REAL) == expected
    two = np.concatenate([REAL, REAL], axis=1)
    assert found(classifier(2, None, "mse"), X, two) == []


@pytest.mark.parametrize("ignored", [-1, 255])
def test_ignored_classes_do_not_count(classifier, found, ignored):
    y = np.where(np.arange(200) % 5, IDS, ignored)
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=ignored)
    assert found(classifier(3, "softmax", loss), X, y) == []
    assert found(classifier(3, "softmax", SPARSE), X, y) != []
    wrong = np.where(y == 2, 7, y)
    assert found(classifier(3, "softmax", loss), X, wrong) == [(NUMBER, "error")]


def test_gray_images_are_scaled_and_not_classified(found):
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", BCE)
    x = RNG.integers(0, 256, (60, 8, 8, 1)).astype("float32")
    assert found(model, x / 255, x) == [(RANGE, "error")]
    assert found(model, x / 255, x / 255) == []
    overshoot = x / 255
    overshoot[0, 0, 0] = 1.02  # as interpolation does
    assert found(model, x / 255, overshoot) == []
