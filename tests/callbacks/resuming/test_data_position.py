"""Data that are brought back to where they were, or that a warning tells of."""

import time

import keras
import pytest

from callbacks.resuming import data_source
from zoo.datasets import Arrays, Order, tf_dataset

KINDS = [
    "pipeline",
    *(
        pytest.param(kind, marks=pytest.mark.heavy)
        for kind in ("arrays", "generator", "py_dataset")
    ),
]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:The training data may not be")
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_other_data_are_resumed(kind, run, tmp_path):
    run.train(tmp_path, kind=kind, stop=8)
    run.assert_same(run.train(tmp_path, kind=kind), run.train(kind=kind))


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.filterwarnings("ignore:Training can be saved only at the ends")
@pytest.mark.parametrize("stop", [4, 5, 6])
def test_data_of_unknown_length_are_resumed(stop, run, tmp_path):
    how = {"kind": "unknown length"}
    run.train(tmp_path, every=1, stop=stop, **how)
    run.assert_same(run.train(tmp_path, every=1, **how), run.train(**how))


@pytest.mark.heavy
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="fails on JAX only")
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_unknown_length_are_saved_between_epochs_on_jax(run, tmp_path):
    with pytest.warns(UserWarning, match="only at the ends of epochs"):
        run.train(tmp_path, every=1, stop=5, kind="unknown length")
    assert not run.saves(tmp_path)


@pytest.mark.one_backend
def test_a_shuffle_without_a_seed_is_warned_of(run, tmp_path):
    tf = pytest.importorskip("tensorflow")
    tf.random.set_seed(None)
    pipeline = tf.data.Dataset.from_tensor_slices(run.arrays()).shuffle(60).batch(12)
    with pytest.warns(UserWarning, match="`shuffle` has no seed"):
        run.train(tmp_path, x=pipeline, validation_data=None, stop=0)


@pytest.mark.one_backend
def test_validation_data_that_are_shuffled_are_warned_of(run, tmp_path):
    pipeline = run.data("pipeline")["x"]
    with pytest.warns(UserWarning, match="validation data may not be .* are shuffled"):
        run.train(tmp_path, validation_data=pipeline, stop=0)


@pytest.mark.one_backend
def test_a_generator_is_warned_of_when_it_is_drawn_again(run, tmp_path):
    run.train(tmp_path, kind="generator", stop=3)
    with pytest.warns(UserWarning, match="a generator runs your own code"):
        run.train(tmp_path, kind="generator", stop=0)


@pytest.mark.one_backend
def test_random_numbers_without_a_seed_are_warned_of(run, tmp_path):
    tf = pytest.importorskip("tensorflow")
    tf.random.set_seed(None)
    pipeline = tf.data.Dataset.from_tensor_slices(run.arrays()).batch(12)
    noisy = pipeline.map(lambda x, y: (x + tf.random.normal((6,)), y))
    with pytest.warns(UserWarning, match="draws random numbers without a seed"):
        run.train(tmp_path, x=noisy, validation_data=None, stop=0)


class Waiting(keras.callbacks.Callback):
    """Lets the pipeline draw batches of the next epoch in advance."""

    def on_epoch_begin(self, epoch, logs=None):
        time.sleep(0.2)


@pytest.mark.heavy
def test_epochs_that_share_a_pass_over_the_data(run, tmp_path):
    """The order of the next pass may have been drawn before an epoch ends."""
    pytest.importorskip("tensorflow")
    x, y = run.arrays()

    def how():
        order = Order(0)
        data = tf_dataset.in_memory(Arrays(x, y), 12, order).repeat()
        counted = {"steps_per_epoch": 6, "epochs": 4, "validation_data": None}
        return {"x": data, "kept": [Waiting()], **counted}

    run.train(tmp_path, every="epoch", stop=14, **how())
    resumed = run.train(tmp_path, every="epoch", **how())
    run.assert_same(resumed, run.train(**how()))


def nondeterministic(kind):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.range(9)
    if kind == "map":
        return data.map(lambda i: i, num_parallel_calls=2, deterministic=False)
    if kind == "interleave":
        options = {"num_parallel_calls": 2, "deterministic": False}
        return data.interleave(lambda i: data, cycle_length=2, **options).take(9)
    options = tf.data.Options()
    options.deterministic = False
    return data.with_options(options).batch(3)


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", ["map", "interleave", "options"])
def test_an_order_that_varies_is_doubted(kind):
    source = data_source.pipeline_source(nondeterministic(kind))
    assert source.is_replayed
    assert "`deterministic=False`" in source.doubt


@pytest.mark.one_backend
def test_a_shuffle_that_is_used_twice_is_doubted():
    tf = pytest.importorskip("tensorflow")
    shuffled = tf.data.Dataset.range(9).shuffle(9, seed=1)
    assert data_source.note_use(shuffled.batch(2)) is None
    assert "iterated in this process before" in data_source.note_use(shuffled.batch(3))
    assert data_source.note_use(tf.data.Dataset.range(9).shuffle(9, seed=1)) is None
