import keras
import numpy as np
import pandas as pd
import pytest

from zoo import LanguageModel, lstm
from zoo.datasets.text import text_vectorization, windows
from zoo.language_model import next_probabilities

to_numpy = keras.ops.convert_to_numpy

VOCABULARY = ["", "[UNK]", *"abcdefgh"]
SIZE = len(VOCABULARY)


def build(time=8, **options):
    options = {"embedding_size": 4, "units": (6, 5), **options}
    return lstm((time,), SIZE, vocabulary_size=SIZE, return_sequences=True, **options)


@pytest.fixture(scope="module")
def model():
    """A model whose weights are large, so that what it read matters much."""
    keras.utils.set_random_seed(0)
    model = build(tie_embeddings=True, dropout=0.5, embedding_dropout=0.5)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(rng.standard_normal(weight.shape))
    return model


@pytest.fixture(scope="module")
def language_model(model):
    return LanguageModel(model, VOCABULARY)


@pytest.fixture(scope="module")
def text():
    return np.random.default_rng(0).integers(2, SIZE, 81).astype("int32")


def one_forward_pass(model, ids):
    """Logits of all tokens at once, by a copy of the model that takes them all."""
    ids = np.asarray(ids, "int32")
    long = build(len(ids), tie_embeddings=True)
    long.set_weights([w for w in model.get_weights() if w.dtype == "float32"])
    return to_numpy(long(ids[None]))[0].astype("float64")


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def in_batches(x, y, size):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def test_streaming_is_one_long_forward_pass(model, language_model, text):
    probabilities = softmax(one_forward_pass(model, text[:-1]))
    expected = -np.log(probabilities[np.arange(80), text[1:]]).mean()
    for batch_size in (3, 10):
        stream = in_batches(*windows(text, 8), batch_size)
        nats = language_model.nats_per_token(stream)
        assert nats == pytest.approx(expected, rel=1e-5)


def test_a_model_of_any_length_reads_as_one_of_a_fixed_length(model, text):
    any_length = build(None, tie_embeddings=True)
    any_length.set_weights([w for w in model.get_weights() if w.dtype == "float32"])
    nats = [
        LanguageModel(one, VOCABULARY).nats_per_token([windows(text, 8)])
        for one in (any_length, model)
    ]
    assert nats[0] == pytest.approx(nats[1], rel=1e-6)


def test_windows_that_are_read_alone_start_cold(model, language_model, text):
    x, y = windows(text, 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    cold = float(to_numpy(loss(y, model(x))))
    alone = [language_model.nats_per_token([window]) for window in in_batches(x, y, 1)]
    assert np.mean(alone) == pytest.approx(cold, rel=1e-5)
    stream = language_model.nats_per_token([(x, y)])
    assert abs(stream - cold) > 1e-3


def test_each_call_starts_cold(language_model, text):
    x, y = windows(text, 8)
    once, again = (language_model.nats_per_token([(x, y)]) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("length", [1, 20, 75])
def test_next_tokens_are_those_of_one_forward_pass(model, language_model, text, length):
    probabilities = softmax(one_forward_pass(model, text[:length]))[-1]
    table = language_model.next_tokens(text[:length], top_k=4)
    assert isinstance(table, pd.DataFrame)
    best = np.argsort(-probabilities)[:4]
    assert table.index.tolist() == best.tolist()
    assert table["token"].tolist() == [VOCABULARY[index] for index in best]
    np.testing.assert_allclose(table["probability"], probabilities[best], rtol=1e-4)


def test_the_whole_vocabulary_has_probability_1(language_model):
    table = language_model.next_tokens("ab", top_k=100)
    assert len(table) == SIZE
    assert table["probability"].sum() == pytest.approx(1)
    assert table["probability"].is_monotonic_decreasing


def greedy(model, ids, length):
    """The most probable next token, again and again, from the whole text."""
    ids = list(ids)
    for _ in range(length):
        logits = one_forward_pass(model, ids)[-1]
        ids.append(2 + int(np.argmax(logits[2:])))
    return ids[-length:]


@pytest.mark.parametrize("options", [{"temperature": 0}, {"top_k": 1}])
def test_temperature_0_and_top_1_take_the_most_probable(model, language_model, options):
    written = language_model.generate("abc", 5, seed=1, **options)
    expected = greedy(model, language_model.encode("abc"), 5)
    assert written == language_model.decode(expected)


def test_a_seed_reproduces_a_text(language_model):
    texts = [language_model.generate("ab", 30, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert language_model.generate("ab", 12, seed=0) == texts[0][:12]


def test_unknown_characters_of_a_prompt_are_named(language_model, caplog):
    language_model.next_tokens("abc")
    assert not caplog.records
    language_model.generate("aXbXé", 1)
    (record,) = caplog.records
    assert record.getMessage() == (
        "The prompt has characters that are not in the vocabulary: 'X', 'é'. The model "
        "reads each of them as [UNK]."
    )


def test_a_prompt_is_a_text_or_its_ids(language_model):
    by_ids = language_model.generate([2, 3, 4], 10, seed=0)
    assert by_ids == language_model.generate("abc", 10, seed=0)
    assert len(by_ids) == 10
    assert language_model.generate("abc", 0) == ""


def test_first_tokens_are_drawn_from_the_softmax(language_model):
    table = language_model.next_tokens("ab", top_k=SIZE)
    probabilities = table["probability"].drop([0, 1])
    probabilities /= probabilities.sum()
    drawn = [language_model.generate("ab", 1, seed=seed) for seed in range(200)]
    counts = np.array([drawn.count(VOCABULARY[index]) for index in table.index])
    expected = 200 * probabilities.reindex(table.index, fill_value=0)
    often = (expected > 5).to_numpy()
    chi_square = ((counts - expected) ** 2 / expected)[often].sum()
    assert often.sum() > 1
    assert chi_square < 30  # at most 7 degrees of freedom: p = 1e-4
    assert counts[table.index < 2].sum() == 0


def test_next_probabilities_are_the_softmax_of_what_may_be_drawn():
    logits = np.random.default_rng(0).standard_normal(9)
    expected = np.concatenate([[0, 0], softmax(logits[2:] / 0.7)])
    np.testing.assert_allclose(next_probabilities(logits, 0.7), expected, rtol=1e-12)
    kept = np.argsort(-logits[2:])[:3] + 2
    result = next_probabilities(logits, 0.7, top_k=3)
    assert set(np.flatnonzero(result)) == set(kept)
    np.testing.assert_allclose(result[kept], softmax(logits[kept] / 0.7), rtol=1e-12)
    assert next_probabilities(logits, 1e-6).max() == 1.0


def test_a_loaded_model_writes_the_same_text(model, language_model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    text = LanguageModel(loaded, VOCABULARY).generate("abc", 20, seed=0)
    assert text == language_model.generate("abc", 20, seed=0)


def test_it_reads_under_mixed_precision(text):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build()
        table = LanguageModel(model, VOCABULARY).next_tokens(text[:8], top_k=SIZE)
    finally:
        keras.config.set_dtype_policy(before)
    expected = softmax(to_numpy(model(text[None, :8]))[0, -1])
    np.testing.assert_allclose(table["probability"].sort_index(), expected, rtol=0.01)


def test_it_follows_the_training_of_its_model():
    model = build()
    language_model = LanguageModel(model, VOCABULARY)
    before = language_model.next_tokens("ab")
    model.get_layer("head").bias.assign(np.arange(SIZE) == 4)
    after = language_model.next_tokens("ab")
    assert after.loc[4, "probability"] > 2 * before.loc[4, "probability"]


def test_it_leaves_the_model_as_it_was(model, language_model, text):
    x, _ = windows(text, 8)
    before = to_numpy(model(x))
    language_model.generate("ab", 3, seed=0)
    np.testing.assert_array_equal(to_numpy(model(x)), before)
    assert model.input_shape == (None, 8)
    assert not model.compiled


def test_characters_are_encoded_as_they_are(language_model):
    assert language_model.encode("hA a").tolist() == [9, 1, 1, 2]
    assert language_model.decode([9, 2]) == "ha"


def test_words_are_encoded_as_in_the_dataset(model):
    words = ["", "[UNK]", "the", "cat", "isnt", *"abcde"]
    language_model = LanguageModel(model, words, tokens="word")
    assert language_model.encode("The cat, isn't\n!here").tolist() == [2, 3, 4, 1]
    assert language_model.decode([2, 3]) == "the cat"


@pytest.mark.tensorflow_only(reason="TextVectorization computes with TensorFlow")
def test_words_have_the_ids_of_the_layer_of_the_datasets(model):
    words = ["", "[UNK]", "école", "École", "straße", "caf", "café", "it", *"ab"]
    text = "École ÉCOLE école STRAßE CAFÉ Café, it's IT\u00a0A it\x1ca\tB\v'a' É"
    layer = text_vectorization(words, "word", None)
    ids = LanguageModel(model, words, tokens="word").encode(text)
    assert ids.tolist() == to_numpy(layer([text]))[0].tolist()


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("generate", {"prompt": ""}, "`prompt`. Expected a text or ids from 0 to 9"),
        ("generate", {"prompt": [10]}, "`prompt`. Expected a text or ids from 0"),
        ("generate", {"prompt": 3}, "`prompt`. Expected a text or ids from 0"),
        ("generate", {"length": -1}, "`length`. Expected an integer >= 0"),
        ("generate", {"temperature": -1}, "`temperature`. Expected a number >= 0"),
        ("generate", {"top_k": 0}, "`top_k`. Expected an integer >= 1"),
        ("generate", {"seed": 1.5}, "`seed`. Expected an integer >= 0"),
        ("next_tokens", {"prompt": []}, "`prompt`. Expected a text or ids from 0"),
        ("next_tokens", {"top_k": 0}, "`top_k`. Expected an integer >= 1"),
    ],
)
def test_bad_arguments_of_reading_and_writing(
    language_model, method, arguments, message
):
    with pytest.raises(ValueError, match=message):
        getattr(language_model, method)(**{"prompt": "ab", **arguments})


def test_bad_text(language_model):
    with pytest.raises(ValueError, match="`text`. Expected a string"):
        language_model.encode([2, 3])


@pytest.mark.parametrize("index", [-1, SIZE, 2.0])
def test_ids_that_are_none_of_the_vocabulary(language_model, index):
    with pytest.raises(ValueError, match="`ids`. Expected ids from 0 to 9"):
        language_model.decode([2, index])
    x = np.array([[2, index, 3]])
    with pytest.raises(ValueError, match="`windows`. Expected ids from 0 to 9"):
        language_model.nats_per_token([(x[:, :-1], x[:, 1:])])
    with pytest.raises(ValueError, match="`windows`. Expected ids from 0 to 9"):
        language_model.nats_per_token([(x[:, :1], x[:, 1:2])])


@pytest.mark.parametrize("windows", [None, 3])
def test_no_windows(language_model, windows):
    with pytest.raises(ValueError, match="`windows`. Expected batches.*\n.*validation"):
        language_model.nats_per_token(windows)


def test_windows_out_of_order(language_model, text):
    x, y = windows(text, 8)
    for bad in (
        [(x[::-1], y[::-1])],
        [(x[:2], y[:2]), (x[4:], y[4:])],
        [(x, y[:, :1])],
        [(x, x)],
    ):
        with pytest.raises(ValueError, match="`windows`. Expected .*\n.*`data.valid"):
            language_model.nats_per_token(bad)
    with pytest.raises(ValueError, match="`windows`. Expected at least one batch"):
        language_model.nats_per_token([])


def inputs_and(*layers):
    x = inputs = keras.Input((6,), dtype="int32")
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def with_lstm_and(*layers):
    embedding = keras.layers.Embedding(SIZE, SIZE)
    recurrent = keras.layers.LSTM(SIZE, return_sequences=True)
    return inputs_and(embedding, recurrent, *layers)


def test_sequential_models_of_layers_that_read_forward_are_read():
    recurrent = keras.layers.LSTM(SIZE, return_sequences=True)
    embedding, head = keras.layers.Embedding(SIZE, 3), keras.layers.Dense(SIZE)
    layers = [keras.Input((6,), dtype="int32"), embedding, recurrent, head]
    model = keras.Sequential([*layers, keras.layers.Activation("relu")])
    ids = np.array([[2, 3, 4, 5, 6, 7]])
    table = LanguageModel(model, VOCABULARY).next_tokens(ids[0], top_k=SIZE)
    expected = softmax(to_numpy(model(ids)))[0, -1]
    np.testing.assert_allclose(table["probability"].sort_index(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.LSTM(SIZE, return_sequences=True, go_backwards=True),
        lambda: keras.layers.GRU(SIZE, return_sequences=True),
        lambda: keras.layers.Bidirectional(
            keras.layers.LSTM(SIZE // 2, return_sequences=True)
        ),
        lambda: keras.layers.RNN(keras.layers.LSTMCell(SIZE), return_sequences=True),
        lambda: keras.layers.Conv1D(SIZE, 3, padding="causal"),
        lambda: lambda x: keras.layers.Attention()([x, x]),
        lambda: lambda x: keras.ops.flip(x, axis=1),
        lambda: keras.Sequential([keras.layers.LSTM(SIZE, return_sequences=True)]),
    ],
)
def test_models_that_another_layer_takes_from_token_to_token(layer):
    with pytest.raises(ValueError, match="`model`. Expected one with LSTM layers, rea"):
        LanguageModel(with_lstm_and(layer()), VOCABULARY)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: None, "`model`. Expected a functional keras.Model"),
        (lambda: lstm((6,), 2, vocabulary_size=SIZE), "`model`. Expected .* 10 logits"),
        (
            lambda: inputs_and(keras.layers.Embedding(SIZE, SIZE)),
            "`model`. Expected one with LSTM layers, read forward",
        ),
    ],
)
def test_bad_models(bad, message):
    with pytest.raises(ValueError, match=message):
        LanguageModel(bad(), VOCABULARY)


@pytest.mark.parametrize("vocabulary", ["abc", None, list("abcdefghij"), ["", "[UNK]"]])
def test_bad_vocabulary(model, vocabulary):
    with pytest.raises(ValueError, match="`vocabulary`. Expected .*\n.*data.vocab"):
        LanguageModel(model, vocabulary)


def test_bad_tokens(model):
    with pytest.raises(ValueError, match="`tokens`. Expected one of 'character', 'wo"):
        LanguageModel(model, VOCABULARY, tokens="letter")
