"""Samples of the batches that a real `fit` passes to its training step.

What is expected are the arrays that were given to `fit`, in a known order.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from callbacks import UpdateRatio
from callbacks.train_step import StepCallback
from callbacks.train_step.batch_sampler import BatchSampler
from zoo.adversarial import FGSM, AdversarialTrainer

BACKEND = keras.backend.backend()
STEPS, BATCH, SIZE = 6, 8, 45  # the last batch has 5 examples
X = np.random.default_rng(0).standard_normal((SIZE, 3)).astype("float32")
Y = np.random.default_rng(1).integers(0, 2, SIZE)
WEIGHT = np.random.default_rng(2).random(SIZE).astype("float32")
SEVERAL_STEPS = pytest.mark.skipif(
    BACKEND == "torch", reason="PyTorch runs one step at once"
)


class Sampled(StepCallback):
    """Keeps every sample of a `fit`."""

    def __init__(self, size=3, every=1):
        super().__init__()
        self.sample_size, self.sample_every = size, every

    def step_key(self):
        return ()

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.samples = []

    def on_train_batch_end(self, batch, logs=None):
        sample = self._train_function.batch_sample()
        if not any(sample is one for one in self.samples):
            self.samples.append(sample)

    @property
    def steps(self):
        return [sample.step for sample in self.samples]


def make_model(optimizer="sgd", **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dropout(0.5, seed=0),
            keras.layers.Dense(1),
        ]
    )
    optimizer = optimizer() if callable(optimizer) else optimizer
    model.compile(optimizer, "mse", **compiled)
    return model


def fit(model, callbacks, x=X, y=Y, batch_size=BATCH, **arguments):
    return model.fit(
        x,
        y,
        batch_size=batch_size,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **arguments,
    )


def batch_of(array, step, size):
    """The first examples of the batch of a step of any epoch."""
    return array[step % STEPS * BATCH :][:BATCH][:size]


def assert_samples(samples, size, x=X, y=Y):
    for sample in samples:
        np.testing.assert_array_equal(sample.x, batch_of(x, sample.step, size))
        np.testing.assert_array_equal(sample.y, batch_of(y, sample.step, size))
        assert sample.missing == {}


@pytest.mark.parametrize("size", [3, BATCH, 100])
def test_samples_are_the_first_examples_of_the_batches(size):
    sampled = Sampled(size, every=2)
    fit(make_model(), [sampled], epochs=2)
    assert sampled.steps == [0, 2, 4, 6, 8, 10]
    assert_samples(sampled.samples, size)
    assert all(sample.sample_weight is None for sample in sampled.samples)


def test_an_interval_goes_on_from_epoch_to_epoch():
    sampled = Sampled(100, every=5)
    fit(make_model(), [sampled], epochs=2)
    assert sampled.steps == [0, 5, 10]
    assert [len(sample.x) for sample in sampled.samples] == [8, 5, 8]
    assert_samples(sampled.samples, 100)


def test_only_the_first_step_of_each_fit():
    sampled, model = Sampled(every=None), make_model()
    fit(model, [sampled], epochs=2)
    assert sampled.steps == [0]
    fit(model, [sampled], x=X[::-1], y=Y[::-1])
    assert sampled.steps == [0]
    assert_samples(sampled.samples, 3, X[::-1], Y[::-1])


def test_callbacks_share_the_samples_that_any_of_them_requests():
    few, many = Sampled(2, every=4), Sampled(6, every=3)
    fit(make_model(), [few, many], epochs=2)
    assert few.steps == many.steps == [0, 3, 4, 6, 8, 9]
    assert_samples(few.samples, 6)


def test_no_samples_unless_requested():
    ratio, none = UpdateRatio(1), Sampled(0)
    fit(make_model(), [ratio, none])
    assert none.samples == [None]


def test_weights_are_those_of_examples_and_classes():
    sampled = Sampled(BATCH)
    fit(make_model(), [sampled], sample_weight=WEIGHT)
    for sample in sampled.samples:
        expected = batch_of(WEIGHT, sample.step, BATCH)
        np.testing.assert_array_equal(sample.sample_weight, expected)
    fit(make_model(), [sampled], class_weight={0: 0.25, 1: 3.0})
    for sample in sampled.samples:
        expected = np.where(batch_of(Y, sample.step, BATCH), 3.0, 0.25)
        np.testing.assert_array_equal(np.ravel(sample.sample_weight), expected)


def test_a_sample_is_a_copy():
    sampled, x = Sampled(), X.copy()
    fit(make_model(), [sampled], x=x)
    for sample in sampled.samples:
        sample.x[:] = -1
        sample.y[:] = -1
    np.testing.assert_array_equal(x, X)


@pytest.mark.heavy
def test_several_inputs_and_outputs():
    tokens = keras.Input((2,), dtype="int32", name="tokens")
    numbers = keras.Input((3,), name="numbers")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(7, 2)(tokens))
    both = keras.layers.Concatenate()([embedded, numbers])
    outputs = {name: keras.layers.Dense(1, name=name)(both) for name in ("a", "b")}
    model = keras.Model({"tokens": tokens, "numbers": numbers}, outputs)
    model.compile("sgd", {"a": "mse", "b": "mae"})
    x = {"tokens": np.arange(SIZE * 2, dtype="int32").reshape(-1, 2) % 7, "numbers": X}
    y = {"a": Y.astype("float32"), "b": -X[:, :1]}
    sampled = Sampled()
    fit(model, [sampled], x=x, y=y)
    assert len(sampled.samples) == STEPS
    for sample in sampled.samples:
        for got, given in ((sample.x, x), (sample.y, y)):
            assert got.keys() == given.keys()
            for name, array in given.items():
                expected = batch_of(array, sample.step, 3)
                np.testing.assert_array_equal(got[name], expected)
                assert got[name].dtype == array.dtype


COMPILED = [{"run_eagerly": True}]
if BACKEND != "torch":  # whose compiler needs a compiler for C++
    COMPILED.append(pytest.param({"jit_compile": True}, marks=pytest.mark.heavy))


@pytest.mark.parametrize("compiled", COMPILED, ids=str)
def test_however_it_is_compiled(compiled):
    sampled = Sampled()
    fit(make_model(**compiled), [sampled], epochs=2)
    assert sampled.steps == list(range(2 * STEPS))
    assert_samples(sampled.samples, 3)


# Several steps in one call


@SEVERAL_STEPS
@pytest.mark.parametrize("compiled", [{}, {"run_eagerly": True}], ids=str)
def test_the_first_of_several_steps_in_one_call(compiled):
    model = make_model(steps_per_execution=4, **compiled)
    sampled, ratio = Sampled(every=3), UpdateRatio(5)
    fit(model, [sampled, ratio], epochs=4)
    assert sampled.steps == [0, 10, 18]  # each epoch has calls of 4 and 2 steps
    assert ratio.ratio_info()["step"].tolist() == [0, 5, 10, 15, 20]
    assert_samples(sampled.samples, 3)


@SEVERAL_STEPS
def test_steps_that_nobody_counts_have_no_number():
    sampled = Sampled()
    fit(make_model(steps_per_execution=4), [sampled], epochs=2)
    assert sampled.steps == [0, None, None, None]
    batches = [batch_of(X, step, 3) for step in (0, 4, 6, 10)]
    for sample, batch in zip(sampled.samples, batches, strict=True):
        np.testing.assert_array_equal(sample.x, batch)


@pytest.mark.heavy
@pytest.mark.parametrize("steps", [1, pytest.param(2, marks=SEVERAL_STEPS)])
def test_accumulation_samples_a_batch_of_the_recorded_updates(steps):
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    sampled, ratio = Sampled(every=2), UpdateRatio(2)
    model = make_model(optimizer, steps_per_execution=steps)
    fit(model, [sampled, ratio], epochs=2)
    assert ratio.ratio_info()["step"].tolist() == [1, 5, 9]
    assert sampled.steps == ([0, 4, 8] if steps == 1 else [0, 8])
    assert_samples(sampled.samples, 3)


# Other data than arrays


class Batches(keras.utils.PyDataset):
    """Batches of different sizes."""

    ends = np.cumsum([0, 3, 7, 1, 4, 2])

    def __len__(self):
        return len(self.ends) - 1

    def __getitem__(self, index):
        rows = slice(self.ends[index], self.ends[index + 1])
        return X[rows], Y[rows]


@pytest.mark.parametrize("steps", [1, pytest.param(3, marks=SEVERAL_STEPS)])
def test_batches_of_different_sizes(steps):
    sampled, ratio = Sampled(5), UpdateRatio(1)
    model = make_model(steps_per_execution=steps)
    fit(model, [sampled, ratio], Batches(), y=None, batch_size=None, epochs=2)
    assert sampled.steps == ([0, 3, 5, 8] if steps == 3 else list(range(10)))
    for sample in sampled.samples:
        x, y = Batches()[sample.step % 5]
        np.testing.assert_array_equal(sample.x, x[:5])
        np.testing.assert_array_equal(sample.y, y[:5])


def unknown_length():
    """Batches of which `fit` does not know how many there are."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH)
    return dataset.filter(lambda x, y: True)


@pytest.mark.tensorflow_only(reason="other backends run no step without data")
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize("steps", [1, 4])
def test_a_step_that_never_was_is_not_sampled(steps):
    sampled, ratio = Sampled(every=3), UpdateRatio(3)
    model = make_model(steps_per_execution=steps)
    fit(model, [sampled, ratio], unknown_length(), None, None, epochs=3)
    expected = [0, 3, 6, 9, 12, 15] if steps == 1 else [0, 10]
    assert sampled.steps == expected
    assert_samples(sampled.samples, 3)


def endless():
    while True:
        for index in range(5):
            yield Batches()[index]


def test_endless_data():
    sampled = Sampled(5)
    fit(make_model(), [sampled], endless(), None, None, epochs=2, steps_per_epoch=3)
    assert sampled.steps == list(range(6))
    for sample in sampled.samples:
        np.testing.assert_array_equal(sample.x, Batches()[sample.step % 5][0][:5])


@pytest.mark.tensorflow_only(reason="other backends have no tensors of strings")
def test_strings_are_left_out_quietly():
    words = np.array(["a", "b", "c"])[Y]
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, keras.layers.Dense(1)(lookup(inputs)))
    model.compile("sgd", "mse")
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((words[:, None], Y)).batch(BATCH)
    sampled = Sampled()
    fit(model, [sampled], data, None, None)
    assert sampled.steps == list(range(STEPS))
    for sample in sampled.samples:
        assert sample.x is None
        assert sample.missing.keys() == {"x"}
        assert sample.missing["x"].startswith("It contains strings")
        np.testing.assert_array_equal(sample.y, batch_of(Y, sample.step, 3))


# Other steps than Keras' own


def test_a_train_step_that_changes_its_batch():
    class Doubles(keras.Sequential):
        def train_step(self, *arguments):
            *state, (x, y) = arguments
            return super().train_step(*state, (2 * x, y))

    model = Doubles([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    sampled = Sampled()
    fit(model, [sampled])
    assert_samples(sampled.samples, 3)


@pytest.mark.heavy
def test_an_adversarial_trainer_gives_the_clean_batch():
    layers = [keras.Input((3,)), keras.layers.Dense(2)]
    trainer = AdversarialTrainer(keras.Sequential(layers), FGSM(0.5))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile("sgd", loss)
    x = np.random.default_rng(0).random((SIZE, 3)).astype("float32")
    sampled = Sampled()
    fit(trainer, [sampled], x)
    assert sampled.steps == list(range(STEPS))
    assert_samples(sampled.samples, 3, x)


def test_a_train_function_that_is_made_again():
    def remake(epoch, logs):
        model.make_train_function(force=True)

    sampled, model = Sampled(every=4), make_model()
    remaking = keras.callbacks.LambdaCallback(on_epoch_begin=remake)
    fit(model, [sampled, remaking], epochs=2)
    assert sampled.steps == [0, 4, 8]
    assert_samples(sampled.samples, 3)


def test_steps_from_outside_are_not_sampled():
    class Outside(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.train_on_batch(-X[:2], Y[:2])

    sampled = Sampled()
    fit(make_model(), [sampled, Outside()])
    assert sampled.steps == list(range(STEPS))
    assert_samples(sampled.samples, 3)


# Nothing changes


def adam():
    return keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)


def assert_same_training(make, callbacks=(), **arguments):
    """Fits with and without samples, and counts how often the loss is traced."""
    traced = []

    def loss(y, output):
        traced.append(1)
        return keras.ops.mean(keras.ops.square(output - y), axis=-1)

    ends, counts, sampled = [], [], Sampled(every=1)
    for added in ([], [sampled]):
        model, before = make(loss), len(traced)
        history = fit(model, [*callbacks, *added], epochs=2, **arguments).history
        variables = [*model.weights, *model.optimizer.variables]
        ends.append([*map(keras.ops.convert_to_numpy, variables), history["loss"]])
        counts.append(len(traced) - before)
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    assert counts[0] == counts[1]
    return sampled


def maker(**compiled):
    def make(loss):
        model = make_model()
        model.compile(adam(), loss, **compiled)
        return model

    return make


def test_training_is_bit_for_bit_what_it_is_without():
    sampled = assert_same_training(maker())
    assert sampled.steps == [0, 2, 4, 6, 8, 10]  # an update takes two steps


@pytest.mark.heavy
@pytest.mark.parametrize(
    "compiled",
    [*COMPILED, pytest.param({"steps_per_execution": 4}, marks=SEVERAL_STEPS)],
    ids=str,
)
def test_so_it_is_however_it_is_compiled(compiled):
    assert_same_training(maker(**compiled))


@pytest.mark.heavy
@pytest.mark.parametrize("steps", [1, pytest.param(4, marks=SEVERAL_STEPS)])
def test_so_it_is_where_updates_are_recorded(steps):
    assert_same_training(maker(steps_per_execution=steps), [UpdateRatio(2)])


@pytest.mark.heavy
@pytest.mark.tensorflow_only(reason="other backends run no step without data")
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize("steps", [1, 4])
def test_so_it_is_with_data_of_unknown_length(steps):
    data = {"x": unknown_length(), "y": None, "batch_size": None}
    assert_same_training(maker(steps_per_execution=steps), **data)


@pytest.mark.tensorflow_only(reason="TensorFlow's operations have states of their own")
def test_so_it_is_with_random_operations_of_tensorflow():
    import tensorflow as tf

    class Noise(keras.layers.Layer):
        def call(self, inputs):
            return inputs + tf.random.normal(tf.shape(inputs), seed=1)

    def make(loss):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((3,)), Noise(), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile("sgd", loss)
        return model

    assert_same_training(make)


def test_steps_that_are_not_sampled_get_the_same_arguments():
    step = SimpleNamespace(num_calls=3)
    sampler, args = BatchSampler(), (object(),)
    assert sampler.before_call(step, args) is args  # nothing is requested
    sampler.request(4, every=2)
    sampler._next = 4
    assert sampler.before_call(step, args) is args
    assert sampler.sample is None


DISTRIBUTED = """
import numpy as np
import keras
from callbacks import UpdateRatio
from callbacks.train_step import StepCallback

scopes = [scope()]
if keras.backend.backend() == "tensorflow":  # a strategy with a single replica
    scopes.append(tf.distribute.MirroredStrategy(["CPU:0"]).scope())

class Sampled(StepCallback):
    sample_size, sample_every = 3, 2

    def step_key(self):
        return ()

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.samples = {}

    def on_train_batch_end(self, batch, logs=None):
        sample = self._train_function.batch_sample()
        self.samples[sample.step] = sample

x = np.arange(48 * 2, dtype="float32").reshape(48, 2) / 48
y = np.arange(48)
traced = []

def loss(y, output):
    traced.append(1)
    return keras.ops.mean(keras.ops.square(output), axis=-1)

def fit(callbacks):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), loss)
    traced.clear()
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0,
              callbacks=callbacks)
    return [*model.get_weights(), len(traced)]

for one in scopes:
    with one:
        sampled = Sampled()
        watched = fit([sampled, UpdateRatio(2)])
        if one is scopes[0]:
            for a, b in zip(watched, fit([UpdateRatio(2)]), strict=True):
                np.testing.assert_array_equal(a, b)
        assert list(sampled.samples) == [0, 2, 4, 6, 8, 10]
        for step, sample in sampled.samples.items():
            assert not sample.missing
            rows = slice(step % 6 * 8, step % 6 * 8 + 3)
            np.testing.assert_array_equal(sample.x, x[rows])
            np.testing.assert_array_equal(sample.y, y[rows])
"""


@pytest.mark.heavy
def test_on_several_devices(run_on_two_devices):
    run_on_two_devices(DISTRIBUTED)
