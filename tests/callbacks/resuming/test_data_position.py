"""Data that are brought back to where they were, or that a warning tells of."""

import keras
import pytest

KINDS = [
    "pipeline",
    *(
        pytest.param(kind, marks=pytest.mark.heavy)
        for kind in ("arrays", "generator", "py_dataset")
    ),
]


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
