import keras
import keras_tuner
import numpy as np
import pytest

from tuning import LSTMSpace, MLPSpace, RandomSearch, ResMLPSpace
from tuning.hyperparameters.drawn_hyperparameters import DrawnHyperParameters
from tuning.random_streams import uniform
from zoo import datasets

SPACES = [MLPSpace, ResMLPSpace, LSTMSpace]
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(200, 6, 4)).astype("float32")
Y = (X.mean(axis=(1, 2)) > 0).astype("int32")


def data_of(kind="classification", size=200):
    if kind == "regression":
        return datasets.from_arrays((X[:size], X[:size, 0, 0]), validation=0.2)
    if kind == "text":
        tokens = ["", "[UNK]", "a", "b", "c"]
        x = GENERATOR.integers(0, 5, (size, 7))
        return datasets.from_arrays((x, x[:, 0] % 2), vocabulary=tokens)
    if kind == "language_model":
        tokens = ["", "[UNK]", "a", "b", "c"]
        x = GENERATOR.integers(2, 5, (size, 7))
        return datasets.from_arrays((x, np.roll(x, -1, 1)), vocabulary=tokens)
    return datasets.from_arrays((X[:size], Y[:size]), validation=0.2, batch_size=50)


def defaults(space, **values):
    hp = keras_tuner.HyperParameters()
    hp.values.update(values)
    return hp, space.build(hp)


@pytest.mark.parametrize("cls", SPACES)
def test_the_first_trial_is_a_sound_one(cls):
    hp, model = defaults(cls(data_of()))
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    assert hp.get("batch_size") == 128
    assert hp.get("schedule") == "cosine"
    assert hp.get("dropout") == 0
    assert model.optimizer.weight_decay is None
    assert model.output_shape == (None, 2)


@pytest.mark.heavy
@pytest.mark.one_backend
@pytest.mark.parametrize("cls", SPACES)
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_every_draw_can_be_built(cls, kind):
    space = cls(data_of(kind))
    for trial in range(6):
        hp = DrawnHyperParameters()
        hp.draw = lambda p, t=trial: p.prob_to_value(uniform(t, p.name) * 0.5)
        model = space.build(hp)
        predictions = keras.ops.convert_to_numpy(model(X[:3]))
        assert predictions.shape == (3, 1 if kind == "regression" else 2)
        assert np.isfinite(predictions).all()


@pytest.mark.parametrize("kind", ["text", "language_model"])
def test_token_ids_are_for_lstms(kind):
    data = data_of(kind)
    hp, model = defaults(LSTMSpace(data))
    assert model.get_layer("embedding").input_dim == 5
    assert ("bidirectional" in hp.values) == (kind == "text")
    assert len(model.output_shape) == (2 if kind == "text" else 3)
    with pytest.raises(ValueError, match="token ids"):
        MLPSpace(data).build(keras_tuner.HyperParameters())


def test_the_learning_rate_is_log_uniform_from_a_millionth_to_ten():
    hp, _ = defaults(MLPSpace(data_of()))
    (rate,) = (p for p in hp.space if p.name == "learning_rate")
    exponents = [np.log10(rate.prob_to_value(u)) for u in (0, 0.25, 0.5, 1)]
    assert exponents == pytest.approx([-6, -4.25, -2.5, 1])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_is_decoupled_and_spares_biases(optimizer):
    """Without a gradient a kernel loses rate * decay of itself, a bias nothing."""
    _, model = defaults(
        MLPSpace(data_of()),
        optimizer=optimizer,
        learning_rate=0.1,
        use_weight_decay=True,
        weight_decay=0.5,
    )
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    model.optimizer.apply(
        [keras.ops.zeros(variable.shape) for variable in variables], variables
    )
    for variable in variables:
        expected = 1.0 if variable.name == "bias" else 1 - 0.1 * 0.5
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5)


class Batches(keras.callbacks.Callback):
    """Counts the steps of an epoch, those of validation too."""

    def __init__(self):
        super().__init__()
        self.train = self.validation = 0
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.train += 1

    def on_test_batch_end(self, batch, logs=None):
        self.validation += 1

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(logs.get("learning_rate"))


def as_tf(data):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((X[:160], Y[:160])).batch(50)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "form",
    [
        "ours",
        "arrays",
        pytest.param(
            "tf.data",
            marks=pytest.mark.tensorflow_only(reason="reads tf.data batches natively"),
        ),
    ],
)
def test_the_batch_size_of_a_trial_is_that_of_its_training(form):
    data = data_of()
    space = MLPSpace(data)
    hp, model = defaults(space, batch_size=32, units=4)
    counted = Batches()
    given = {
        "ours": lambda: (data.train,),
        "arrays": lambda: (X[:160], Y[:160]),
        "tf.data": lambda: (as_tf(data),),
    }[form]()
    space.fit(
        hp,
        model,
        *given,
        validation_data=data.validation,
        epochs=2,
        verbose=0,
        callbacks=[counted],
    )
    assert counted.train == 2 * 5  # 160 examples
    assert counted.validation == 2 * 1  # 40 examples, still in batches of 50
    assert counted.rates[-1] < 0.1 * counted.rates[0]  # a cosine


@pytest.mark.heavy
def test_every_trial_sees_the_same_orders():
    data = data_of()
    space = MLPSpace(data)
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        hp, model = defaults(space, units=4)
        history = space.fit(hp, model, data.train, epochs=2, verbose=0)
        runs.append(history.history["loss"])
    assert runs[0] == runs[1]


@pytest.mark.heavy
def test_a_search_over_a_space(tmp_path):
    data = data_of()
    settings = {"seed": 0, "directory": tmp_path, "initial_trials": [{"units": 32}]}
    search = RandomSearch(MLPSpace(data), "val_accuracy", 2, folds=2, **settings)
    search.search(data.train, epochs=2, verbose=0)
    results = search.results()
    assert results.status.tolist() == ["completed"] * 2
    assert results.units.tolist() == [32, 256]
    assert search.history().groupby("trial").size().tolist() == [4, 4]
    assert search.best_model().count_params() > 0
    other = MLPSpace(data_of(size=150))
    with pytest.raises(ValueError, match="train_examples: 160 there, 120 here"):
        RandomSearch(other, "val_accuracy", 2, folds=2, **settings)


def test_something_else_than_data_is_named():
    with pytest.raises(ValueError, match="`data`. Expected a dataset of zoo.datasets"):
        MLPSpace((X, Y))
    space = MLPSpace(data_of())
    hp, model = defaults(space, units=4)
    with pytest.raises(ValueError, match="`x`. Expected arrays"):
        space.fit(hp, model, iter([(X, Y)]))


def test_data_that_cannot_be_batched_anew_end_the_search(tmp_path):
    search = RandomSearch(
        MLPSpace(data_of()), "loss", max_trials=9, seed=0, directory=tmp_path
    )
    with pytest.raises(ValueError, match="batch size can be changed"):
        search.search(verbose=0)
    assert search.results().status.tolist() == ["running"]  # to be repeated


def endless(kind):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((X[:160], Y[:160])).batch(50)
    if kind == "repeat":
        return dataset.repeat()

    def generate():
        while True:
            yield X[:50], Y[:50]

    signature = (tf.TensorSpec((50, 6, 4)), tf.TensorSpec((50,), tf.int32))
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


@pytest.mark.heavy
@pytest.mark.tensorflow_only(reason="makes batches by tf.data")
@pytest.mark.parametrize("cls", SPACES)
@pytest.mark.parametrize("kind", ["repeat", "generator"])
def test_a_dataset_without_an_end_is_trained_on_for_steps_per_epoch(cls, kind):
    space = cls(data_of())
    hp, model = defaults(space, batch_size=32, units=4)
    counted, repeated = Batches(), endless("repeat")
    space.fit(
        hp,
        model,
        endless(kind),
        steps_per_epoch=3,
        validation_data=repeated,
        validation_steps=2,
        epochs=2,
        verbose=0,
        callbacks=[counted],
    )
    assert (counted.train, counted.validation) == (6, 4)
    assert counted.rates[-1] < 0.1 * counted.rates[0]  # a cosine over both epochs


@pytest.mark.tensorflow_only(reason="makes batches by tf.data")
def test_without_steps_per_epoch_it_is_refused():
    space = MLPSpace(data_of())
    hp, model = defaults(space, units=4)
    with pytest.raises(ValueError, match="`steps_per_epoch`. Expected an integer"):
        space.fit(hp, model, endless("repeat"), verbose=0)


@pytest.mark.heavy
@pytest.mark.tensorflow_only(reason="makes batches by tf.data")
def test_batches_with_weights_are_counted_and_trained_on():
    import tensorflow as tf

    space = MLPSpace(data_of())
    hp, model = defaults(space, batch_size=32, units=4)
    counted = Batches()
    weighted = tf.data.Dataset.from_tensor_slices((X[:160], Y[:160], np.ones(160)))
    space.fit(hp, model, weighted.batch(50), verbose=0, callbacks=[counted])
    assert counted.train == 5
