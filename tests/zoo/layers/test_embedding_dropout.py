import keras
import numpy as np
import pytest

from zoo.layers import EmbeddingDropout

to_numpy = keras.ops.convert_to_numpy


def dropped(rate, ids, size=3, vocabulary_size=1000):
    layer = EmbeddingDropout(rate, vocabulary_size, seed=0)
    x = np.ones((*ids.shape, size), "float32")
    return to_numpy(layer(x, ids, training=True))


def test_a_token_is_dropped_everywhere_in_a_sequence_or_nowhere():
    ids = np.tile(np.arange(1000), (2, 2))
    x = dropped(0.3, ids)
    np.testing.assert_array_equal(x[:, :1000], x[:, 1000:])
    np.testing.assert_array_equal(x, x[:, :, :1].repeat(3, axis=2))


def test_each_sequence_draws_its_own_tokens():
    x = dropped(0.3, np.tile(np.arange(1000), (2, 1)))
    assert not np.array_equal(x[0], x[1])


def test_its_share_of_tokens_is_dropped_and_the_mean_stays():
    x = dropped(0.3, np.tile(np.arange(1000), (20, 1)))
    # 20,000 draws: a standard deviation of 0.0032
    assert (x[:, :, 0] == 0).mean() == pytest.approx(0.3, abs=0.015)
    assert x.max() == pytest.approx(1 / 0.7)


def test_half_precision_does_not_round_its_rate():
    layer = EmbeddingDropout(0.001, 100_000, seed=0, dtype="bfloat16")
    ids = np.arange(100_000)[None]
    x = to_numpy(layer(np.ones((1, 100_000, 1)), ids, training=True))
    # bfloat16 has no 0.999, and would drop none or four times as many
    assert (x == 0).mean() == pytest.approx(0.001, abs=0.0005)


def test_it_passes_a_mask_on():
    ids = np.array([[1, 2, 0]])
    x = keras.layers.Embedding(5, 3, mask_zero=True)(ids)
    mask = keras.src.backend.get_keras_mask(EmbeddingDropout(0.5, 5)(x, ids))
    assert to_numpy(mask).tolist() == [[True, True, False]]


def test_it_does_nothing_at_inference_and_at_rate_0():
    x = np.ones((2, 4, 3), "float32")
    ids = np.zeros((2, 4), "int32")
    np.testing.assert_array_equal(to_numpy(EmbeddingDropout(0.5, 5)(x, ids)), x)
    kept = EmbeddingDropout(0.0, 5)(x, ids, training=True)
    np.testing.assert_array_equal(to_numpy(kept), x)


def test_it_is_saved_with_its_settings():
    layer = EmbeddingDropout(0.25, 7, seed=3, name="words")
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert (copy.rate, copy.vocabulary_size, copy.seed) == (0.25, 7, 3)
    assert copy.name == "words"
    assert layer.compute_output_shape((None, 4, 3)) == (None, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.0}, r"`rate`. Expected a float in \[0, 1\)"),
        ({"vocabulary_size": 0}, "`vocabulary_size`. Expected an integer >= 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingDropout(**{"rate": 0.1, "vocabulary_size": 5, **arguments})
