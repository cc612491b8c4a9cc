import keras
import numpy as np
import pytest

from callbacks.diagnosis.facts import Facts
from callbacks.diagnosis.reading.model_facts import read_model
from callbacks.diagnosis.rules import advice
from callbacks.diagnosis.rules.heads import logits_against_probabilities
from callbacks.diagnosis.run.training_facts import TrainingFacts

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
IDS = X[:, :3].argmax(axis=1)
REAL = (X @ [1.0, -2.0, 0.5, 1.0])[:, None]
STEPS = RNG.normal(size=(60, 8, 4)).astype("float32")
SPARSE = "sparse_categorical_crossentropy"
L = keras.layers


def build(*parts, loss=SPARSE, shape=(4,), **options):
    model = keras.Sequential([keras.Input(shape), *parts])
    model.compile("adam", loss, **options)
    return model


def output(units, activation=None):
    return L.Dense(units, activation, name="output")


def test_metrics_and_the_losses_of_other_outputs_stay(facts_of):
    inp = keras.Input((4,))
    ends = {"a": L.Dense(3, name="a")(inp), "b": L.Dense(1, name="b")(inp)}
    model = keras.Model(inp, ends)
    model.compile("adam", {"a": SPARSE, "b": "mse"})
    facts = facts_of(model, X, {"a": IDS, "b": REAL})
    (found,) = logits_against_probabilities(facts)
    exec(found.advice[0], {"model": model, "keras": keras})
    assert model.loss["b"] == "mse"
    assert model.loss["a"].get_config()["from_logits"] is True
    model = build(output(3), metrics=["accuracy"])
    (found,) = logits_against_probabilities(Facts(read_model(model)))
    assert found.advice[0].endswith("metrics=['accuracy'])")


def test_options_of_a_loss_stay():
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model = build(output(3), loss=loss)
    (found,) = logits_against_probabilities(Facts(read_model(model)))
    exec(found.advice[0], {"model": model, "keras": keras})
    assert model.loss.get_config()["label_smoothing"] == 0.1


def test_a_rate_is_set_without_a_new_optimizer():
    model = build(output(3, "softmax"))
    model.compile(keras.optimizers.SGD(1e-5, momentum=0.9), SPARSE)
    line = advice.set_rate(Facts(read_model(model)), 50.0)
    exec(line, {"model": model})
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert model.optimizer.momentum == 0.9
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model.compile(keras.optimizers.Adam(schedule), SPARSE)
    exec(
        advice.set_rate(Facts(read_model(model)), 1e-4),
        {"model": model, "keras": keras},
    )
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)
    line = advice.set_rate(Facts(read_model(model)), float("nan"))
    assert line == "model.optimizer.learning_rate = 0.001"


@pytest.mark.parametrize(
    "layer",
    [
        L.Dense(8, name="a"),
        L.Conv1D(8, 3, padding="same", name="a"),
        L.LSTM(8, return_sequences=True, name="a"),
        L.Bidirectional(L.LSTM(4, return_sequences=True), name="a"),
        L.EinsumDense("btx,xy->bty", (None, 8), name="a"),
        L.Activation("relu", name="a"),
    ],
)
def test_one_layer_keeps_its_kind_and_name(layer):
    model = build(layer, output(3, "softmax"), shape=(8, 4))
    graph = read_model(model).graph
    (node,) = [one for one in graph.nodes if one.name == "a"]
    scope = {"model": model, "keras": keras}
    if node.kind != "Bidirectional":
        exec(advice.layer_code(node, activation="tanh"), scope)
    if node.kind in ("Dense", "Conv1D"):
        made = eval(advice.layer_code(node, units=5), scope)
        assert type(made) is type(layer)
        assert made.name == "a"
        assert made(STEPS).shape == (60, 8, 5)


def test_a_head_of_a_recurrent_layer_follows_it():
    model = build(L.LSTM(1, name="memory"), loss="mse", shape=(8, 4))
    head = read_model(model).graph.head(0)
    line = advice.layer(head, 1, "linear")
    assert line.startswith("keras.layers.Dense(1")
    assert line.endswith("# after layer 'memory'")


@pytest.mark.parametrize(
    ("reads_dataset", "changes", "line"),
    [
        (False, {"epochs": 10}, "model.fit(x, y, epochs=10)  # instead of epochs=2"),
        (True, {"epochs": 10}, "model.fit(dataset, epochs=10)  # instead of epochs=2"),
        (False, {"epochs": 2}, "model.fit(x, y, epochs=2)"),
        (
            False,
            {"batch_size": 32, "epochs": 2},
            "model.fit(x, y, batch_size=32, epochs=2)  # instead of batch_size=500",
        ),
        (
            True,
            {"batch_size": 32, "epochs": 2},
            "model.fit(dataset, epochs=2)  # with batches of 32 in the dataset, "
            "instead of batch_size=500",
        ),
    ],
)
def test_fit_is_called_with_the_users_data_and_arguments(reads_dataset, changes, line):
    training = TrainingFacts(
        logs={"loss": [1.0, 0.9]}, batch_size=500, reads_dataset=reads_dataset
    )
    facts = Facts(read_model(build(output(3))), training=training)
    assert advice.fit_with(facts, **changes) == line
    compile(line, "advice", "exec")


def test_before_training_the_arguments_of_fit_are_unknown():
    facts = Facts(read_model(build(output(3))))
    assert advice.fit_with(facts, batch_size=32) == "model.fit(x, y, batch_size=32)"
