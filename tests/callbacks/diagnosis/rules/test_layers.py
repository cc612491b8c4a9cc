import keras
import numpy as np
import pytest

from callbacks.diagnosis.rules.layers import unsettled_statistics
from callbacks.diagnosis.run.pass_facts import PassFacts

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(0)


def test_linear_stacks_are_found(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(16, None), dense(16, None), dense(3, "softmax"))
    assert found(model, x, y) == [("linear_hidden_stack", "warning")]
    model = compiled(dense(16), dense(3, "softmax"))
    assert found(model, x, y) == []
    for layer in (keras.layers.ReLU(), keras.layers.Activation("tanh")):
        assert found(compiled(dense(16, None), layer, dense(3, "softmax")), x, y) == []
    assert found(compiled(dense(3, "softmax")), x, y) == []  # logistic regression


def test_normalization_of_examples_is_no_linear_layer(compiled, dense, found, table):
    x, y = table
    for norm, expected in (
        (keras.layers.LayerNormalization, []),
        (keras.layers.BatchNormalization, [("linear_hidden_stack", "warning")]),
    ):
        model = compiled(
            dense(16, None), norm(), dense(16, None), norm(), dense(3, "softmax")
        )
        assert found(model, x, y) == expected


@pytest.mark.parametrize(("units", "expected"), [(1, "misused_layer"), (2, None)])
def test_a_single_value_cannot_be_normalized(
    compiled, dense, found, table, units, expected
):
    norm = keras.layers.LayerNormalization()
    model = compiled(dense(), dense(units), norm, dense(3, "softmax"))
    assert [one for one, _ in found(model, *table)] == [expected][: units == 1]


@pytest.mark.parametrize("flatten", [False, True])
def test_dense_layers_of_pixels_do_not_see_the_image(compiled, dense, found, flatten):
    x = RNG.normal(size=(60, 8, 8, 1)).astype("float32")
    pooling = keras.layers.GlobalAveragePooling2D()
    layers = [dense(), pooling]
    if flatten:
        layers = [keras.layers.Flatten(), dense()]
    model = compiled(*layers, dense(3, "softmax"), shape=(8, 8, 1))
    causes = [one for one, _ in found(model, x, RNG.integers(0, 3, 60))]
    assert causes == (["misused_layer"] if not flatten else [])


def test_pooling_does_not_replace_activations(compiled, dense, found):
    x = RNG.normal(size=(60, 8, 8, 1)).astype("float32")
    y = RNG.integers(0, 3, 60)
    for activation, expected in ((None, ["linear_hidden_stack"]), ("relu", [])):
        model = compiled(
            keras.layers.Conv2D(4, 3, activation=activation),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            dense(16, activation),
            dense(3, "softmax"),
            shape=(8, 8, 1),
        )
        assert [one for one, _ in found(model, x, y)] == expected


def test_topics_may_be_a_softmax(compiled, dense, found):
    x = RNG.random((100, 30))
    layers = [dense(16), dense(5, "softmax"), dense(30, None)]
    model = compiled(*layers, loss="mse", shape=(30,))
    assert found(model, x, x) == []
    assert found(model, x, 2 * x) == [("misused_layer", "warning")]


def test_a_projection_beside_other_activations_is_no_fault(
    compiled, dense, found, table
):
    x, y = table
    model = compiled(dense(16), dense(16, None), dense(3, "softmax"))
    assert found(model, x, y) == []
    expected = [("linear_hidden_stack", "hint")]
    assert found(model, x, y, hints=True) == expected


def test_hidden_softmax_is_found_but_not_attention(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(16, "softmax"), dense(3, "softmax"))
    assert found(model, x, y) == [("misused_layer", "warning")]
    inputs = keras.Input((4,))
    gate = keras.layers.Dense(16, "softmax")(inputs)
    hidden = keras.layers.Dense(16, "relu")(inputs)
    outputs = keras.layers.Dense(3, "softmax")(keras.layers.multiply([gate, hidden]))
    model = keras.Model(inputs, outputs)
    model.compile("adam", SPARSE)
    assert found(model, x, y) == []


def test_softmax_over_the_batch_is_found(compiled, dense, found, table):
    x, y = table
    for axis, expected in ((0, [("misused_layer", "error")]), (-1, []), (1, [])):
        model = compiled(dense(), dense(3, None), keras.layers.Softmax(axis=axis))
        assert found(model, x, y) == expected


def test_a_loss_may_have_the_axis_of_its_softmax(compiled, found):
    x = RNG.normal(size=(40, 3, 6)).astype("float32")  # channels first
    y = np.moveaxis(np.eye(3)[RNG.integers(0, 3, (40, 6))], 2, 1)
    for axis, expected in ((1, []), (-1, [("misused_layer", "error")])):
        model = compiled(
            keras.layers.Dense(6),
            keras.layers.Softmax(axis=1),
            loss=keras.losses.CategoricalCrossentropy(axis=axis),
            shape=(3, 6),
        )
        assert found(model, x, y) == expected


def test_missing_flatten_is_found(compiled, dense, found):
    x = RNG.normal(size=(60, 8, 8)).astype("float32")
    y = RNG.integers(0, 3, 60)
    model = compiled(dense(), dense(3, "softmax"), shape=(8, 8))
    assert found(model, x, y) == [("misused_layer", "error")]
    flatten = keras.layers.Flatten()
    assert (
        found(compiled(flatten, dense(), dense(3, "softmax"), shape=(8, 8)), x, y) == []
    )
    many = compiled(dense(), dense(8, "softmax"), shape=(8, 8))
    assert found(many, x, RNG.integers(0, 8, (60, 8))) == []  # as many classes as steps
    rows = np.eye(8)[RNG.integers(0, 8, 60)]
    many.compile("adam", "categorical_crossentropy")
    assert found(many, x, rows) == [("misused_layer", "error")]
    per_step = RNG.integers(0, 3, (60, 8))
    assert found(model, x, per_step) == []  # one label per position


def test_dropout_after_the_output_is_found(compiled, dense, found, table):
    x, y = table
    dropout = keras.layers.Dropout(0.3)
    model = compiled(dense(), dense(3, "softmax"), dropout)
    assert found(model, x, y) == [("misused_layer", "warning")]
    assert found(compiled(dense(), dropout, dense(3, "softmax")), x, y) == []


@pytest.mark.parametrize(("rate", "expected"), [(0.5, []), (0.8, []), (0.95, ["o"])])
def test_high_dropout_is_found(compiled, dense, found, table, rate, expected):
    model = compiled(dense(), keras.layers.Dropout(rate), dense(3, "softmax"))
    causes = [one for one, _ in found(model, *table)]
    assert causes == ["over_regularized" for _ in expected]


def test_frozen_weights_are_found(compiled, dense, found, table):
    x, y = table
    model = compiled(dense(), dense(3, "softmax"))
    model.trainable = False
    model.compile("adam", SPARSE)
    assert found(model, x, y) == [("frozen_weights", "error")]
    model = compiled(dense(64, name="first"), dense(64), dense(3, "softmax"))
    model.get_layer("first").trainable = False
    model.compile("adam", SPARSE)
    assert found(model, x, y) == [("frozen_weights", "warning")]
    trained = model.get_layer("first")
    trained.set_weights([RNG.normal(size=(4, 64)), np.zeros(64)])
    assert found(model, x, y) == []  # fine-tuning


def test_batches_of_one_defeat_batch_normalization(compiled, dense, found, table):
    x, y = table
    norm = keras.layers.BatchNormalization()
    model = compiled(dense(16, None), norm, keras.layers.ReLU(), dense(3, "softmax"))
    expected = [("unfit_batch_size", "error")]
    assert found(model, x, y, batch_size=1) == expected
    assert found(model, x, y, batch_size=8) == []


@pytest.mark.parametrize(
    ("momentum", "inference", "expected"),
    [
        *[(0.99, 9.0, []), (0.9997, 0.3, ["hint"]), (0.9997, 9.0, ["warning"])],
        *[(0.1, 0.3, ["hint"]), (0.1, 9.0, ["warning"])],
    ],
)
def test_statistics_must_settle(
    compiled, dense, facts_of, training, table, momentum, inference, expected
):
    norm = keras.layers.BatchNormalization(momentum=momentum)
    model = compiled(dense(16, None), norm, keras.layers.ReLU(), dense(3, "softmax"))
    end = PassFacts(loss=inference, training_loss=0.3)
    facts = facts_of(model, *table, training=training([1, 0.5, 0.3]), end=end)
    assert [one.severity for one in unsettled_statistics(facts)] == expected
    norm.trainable = False
    model.compile("adam", SPARSE)
    facts = facts_of(model, *table, training=training([1, 0.5, 0.3]), end=end)
    assert unsettled_statistics(facts) == []


def test_an_encoder_may_end_in_dropout(compiled, dense, found, table):
    def own(target, output):
        return keras.ops.mean((target - output) ** 2)

    x, _ = table
    model = compiled(dense(), keras.layers.Dropout(0.3), loss=own)
    assert found(model, x, np.ones((200, 16))) == []
