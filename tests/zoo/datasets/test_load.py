import logging
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo import datasets
from zoo.datasets import prepare, reachability
from zoo.datasets.load import load

pytestmark = pytest.mark.one_backend


def arrays(dataset):
    batches = list(dataset.as_numpy_iterator())
    return tuple(np.concatenate(part) for part in zip(*batches, strict=True))


def images(count, start=0):
    return [
        {"image": np.full((2, 2, 1), start + i, "uint8"), "label": i % 3}
        for i in range(count)
    ]


IMAGE_FEATURES = {
    "image": tfds.features.Image(shape=(2, 2, 1)),
    "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
}


@pytest.fixture
def image_folder(make_builder):
    splits = {"train": images(50), "test": images(10, start=200)}
    return make_builder(IMAGE_FEATURES, splits, ("image", "label"))


class TestImages:
    def test_facts(self, image_folder):
        data = load("made_up", data_dir=image_folder, batch_size=8)
        assert data.sizes == {"train": 45, "validation": 5, "test": 10}
        assert data.input_shape == (2, 2, 1)
        assert data.num_outputs == 3
        assert data.task == "classification"
        assert data.class_names == ["a", "b", "c"]
        assert data.vocabulary is None
        assert data.train.cardinality().numpy() == 6
        assert data.validation.cardinality().numpy() == 1
        assert data.train.element_spec[0].shape.as_list() == [None, 2, 2, 1]

    def test_images_are_float32_in_zero_to_one(self, image_folder):
        x, y = arrays(load("made_up", data_dir=image_folder).test)
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        np.testing.assert_allclose(x[:, 0, 0, 0], np.arange(200, 210) / 255, rtol=1e-6)
        np.testing.assert_array_equal(y, np.arange(10) % 3)

    def test_validation_is_the_end_of_train_whatever_the_seed(self, image_folder):
        for seed in (0, 1):
            data = load("made_up", data_dir=image_folder, seed=seed)
            values = np.rint(arrays(data.validation)[0][:, 0, 0, 0] * 255)
            np.testing.assert_array_equal(values, np.arange(45, 50))
            train = np.rint(arrays(data.train)[0][:, 0, 0, 0] * 255)
            np.testing.assert_array_equal(np.sort(train), np.arange(45))

    def test_order_changes_every_epoch_and_repeats_from_the_seed(self, image_folder):
        def epochs(seed):
            data = load("made_up", data_dir=image_folder, seed=seed)
            return [tuple(arrays(data.train)[0][:, 0, 0, 0]) for _ in range(3)]

        first = epochs(seed=0)
        assert len(set(first)) == 3
        tf.random.set_seed(7)
        assert epochs(seed=0) == first
        assert set(epochs(seed=1)).isdisjoint(first)

    def test_streaming_sees_the_same_rows_and_says_so(self, image_folder, caplog):
        held = load("made_up", data_dir=image_folder)
        with caplog.at_level(logging.WARNING):
            streamed = load("made_up", data_dir=image_folder, memory_limit=100)
        assert "streams from disk, shuffled in a buffer" in caplog.text
        assert streamed.train.cardinality().numpy() == 1
        for part in ("train", "validation", "test"):
            one, other = (arrays(getattr(d, part))[0] for d in (held, streamed))
            np.testing.assert_array_equal(np.sort(one, 0), np.sort(other, 0))
        seen = [tuple(arrays(streamed.train)[0][:, 0, 0, 0]) for _ in range(2)]
        assert seen[0] != seen[1]
        for layer in (held.normalization(), streamed.normalization()):
            out = np.asarray(layer(arrays(held.train)[0]))
            assert out.mean() == pytest.approx(0, abs=1e-5)
            assert out.std() == pytest.approx(1, abs=1e-5)

    def test_images_of_several_sizes_are_resized(self, make_builder):
        splits = {
            "train": [
                {"image": np.full((size, 4, 3), 40 * size, "uint8"), "label": 0}
                for size in (2, 3, 4, 5, 6)
            ]
        }
        features = {**IMAGE_FEATURES, "image": tfds.features.Image(shape=(None, 4, 3))}
        folder = make_builder(features, splits, ("image", "label"))
        with pytest.raises(
            ValueError, match=r"no fixed size.*\n.*`image_size=\(height"
        ):
            load("made_up", data_dir=folder)
        data = load("made_up", data_dir=folder, image_size=(3, 2), validation=0)
        assert data.input_shape == (3, 2, 3)
        values = np.sort(arrays(data.train)[0][:, 0, 0, 0])
        np.testing.assert_allclose(values, np.array([80, 120, 160, 200]) / 255)

    def test_images_without_supervised_keys(self, make_builder):
        features = {**IMAGE_FEATURES, "id": np.int64}
        examples = [{**example, "id": 7} for example in images(10)]
        folder = make_builder(features, {"train": examples})
        assert load("made_up", data_dir=folder).input_shape == (2, 2, 1)

    def test_labels_outside_the_classes(self, make_builder):
        examples = [*images(5), {"image": np.zeros((2, 2, 1), "uint8"), "label": -1}]
        folder = make_builder(
            IMAGE_FEATURES, {"train": images(9), "test": examples}, ("image", "label")
        )
        with pytest.raises(
            ValueError, match=r"labels in test of 'made_up'.*-1 in row 5"
        ):
            load("made_up", data_dir=folder)


def test_sorted_labels_are_not_held_out(make_builder):
    rows = [{**row, "label": i // 25} for i, row in enumerate(images(50))]
    splits = {"train": rows, "test": images(10)}
    folder = make_builder(IMAGE_FEATURES, splits, ("image", "label"))
    with pytest.raises(ValueError, match="no validation split.*labels are sorted"):
        load("made_up", data_dir=folder)
    sizes = load("made_up", data_dir=folder, validation=0).sizes
    assert sizes == {"train": 50, "test": 10}


def test_sorted_labels_are_not_held_out_for_testing(make_builder):
    rows = [{**row, "label": i // 25} for i, row in enumerate(images(50))]
    folder = make_builder(IMAGE_FEATURES, {"train": rows}, ("image", "label"))
    message = "no test split.*random order. Received: the labels are sorted"
    with pytest.raises(ValueError, match=message):
        load("made_up", data_dir=folder, validation=0)


class TestTables:
    FEATURES = {
        "features": {
            "width": np.float32,
            "Age": np.int64,
            "kind": tfds.features.ClassLabel(names=["red", "blue"]),
            "big": np.bool_,
            "pair": tfds.features.Tensor(shape=(2,), dtype=np.float64),
        },
        "target": np.int32,
    }

    @staticmethod
    def row(i, **changes):
        features = {
            "width": i / 2,
            "Age": i,
            "kind": i % 2,
            "big": i > 3,
            "pair": [10 + i, 20.0],
        }
        target = 2 * i if i % 2 else -2 * i  # not sorted
        return {"features": {**features, **changes}, "target": target}

    def test_columns_are_stacked_by_name_and_categories_one_hot(self, make_builder):
        splits = {"train": [self.row(i) for i in range(10)], "test": [self.row(5)]}
        folder = make_builder(self.FEATURES, splits, ("features", "target"))
        data = load("made_up", data_dir=folder)
        assert data.feature_names == [
            *("Age", "big", "kind=red", "kind=blue", "pair[0]", "pair[1]", "width")
        ]
        assert data.one_hot_columns == {"kind": (2, 4)}
        assert (data.task, data.num_outputs, data.class_names) == (
            "regression",
            1,
            None,
        )
        x, y = arrays(data.test)
        np.testing.assert_array_equal(x, [[5, 1, 0, 1, 15, 20, 2.5]])
        np.testing.assert_array_equal(y, [[10]])
        assert (x.dtype, y.dtype) == (np.float32, np.float32)

    def test_constant_columns_keep_scale_1(self, make_builder):
        splits = {"train": [self.row(i) for i in range(20)]}
        folder = make_builder(self.FEATURES, splits, ("features", "target"))
        data = load("made_up", data_dir=folder)
        out = np.asarray(data.normalization()(np.full((1, 7), 21.0, "float32")))
        assert out[0, 5] == pytest.approx(21 - 20)

    def test_nan_in_a_column(self, make_builder):
        splits = {
            "train": [self.row(i) for i in range(9)] + [self.row(9, width=np.nan)]
        }
        folder = make_builder(self.FEATURES, splits, ("features", "target"))
        with pytest.raises(ValueError, match="x of test of 'made_up'.*NaN.*row 1"):
            load("made_up", data_dir=folder)

    def test_a_vector_and_a_label(self, make_builder):
        features = {
            "v": tfds.features.Tensor(shape=(3,), dtype=np.float32),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        rows = [{"v": [i, 0, 1], "label": i % 2} for i in range(10)]
        folder = make_builder(features, {"train": rows}, ("v", "label"))
        data = load("made_up", data_dir=folder)
        assert (data.input_shape, data.num_outputs) == ((3,), 2)
        assert data.feature_names == ["v[0]", "v[1]", "v[2]"]
        assert data.one_hot_columns == {}

    def test_a_dict_of_supervised_keys_leaves_the_rest_out(self, make_builder):
        features = {"a": np.float32, "b": np.float32, "c": np.float32, "y": np.bool_}
        rows = [{"a": i, "b": -i, "c": 7, "y": i % 2} for i in range(10)]
        folder = make_builder(features, {"train": rows}, ({"a": "a", "c": "c"}, "y"))
        data = load("made_up", data_dir=folder)
        assert data.feature_names == ["a", "c"]
        assert data.class_names == ["False", "True"]
        np.testing.assert_array_equal(arrays(data.test)[0], [[8, 7], [9, 7]])

    def test_several_targets(self, make_builder):
        features = {
            "x": tfds.features.Tensor(shape=(4, 2), dtype=np.float32),
            "y": tfds.features.Tensor(shape=(3,), dtype=np.float64),
        }
        rows = [{"x": np.ones((4, 2), "float32"), "y": [i, 0, 1]} for i in range(10)]
        folder = make_builder(features, {"train": rows}, ("x", "y"))
        data = load("made_up", data_dir=folder)
        assert (data.input_shape, data.num_outputs) == ((4, 2), 3)
        assert arrays(data.train)[1].shape == (7, 3)


class TestLabels:
    """A vector of booleans is several labels, whatever the inputs are."""

    INPUTS = {
        "vector": (tfds.features.Tensor(shape=(2,), dtype=np.float32), [0.5, 1.0]),
        "image": (tfds.features.Image(shape=(2, 2, 1)), np.ones((2, 2, 1), "uint8")),
        "text": (tfds.features.Text(), "a b"),
    }

    @pytest.mark.parametrize("kind", INPUTS)
    def test_several_labels(self, make_builder, kind):
        feature, x = self.INPUTS[kind]
        labels = np.arange(60).reshape(20, 3) % 2 == 0
        folder = make_builder(
            {"x": feature, "y": tfds.features.Tensor(shape=(3,), dtype=np.bool_)},
            {"train": [{"x": x, "y": y} for y in labels]},
            ("x", "y"),
        )
        for memory_limit in (2**30, 0):
            data = load("made_up", data_dir=folder, memory_limit=memory_limit)
            assert (data.task, data.num_outputs) == ("multi_label", 3)
            assert data.class_names == ["0", "1", "2"]
            y = arrays(data.test)[1]
            assert y.dtype == np.int32
            np.testing.assert_array_equal(y, labels[-4:])

    def test_a_vector_of_one_boolean_is_one_label(self, make_builder):
        folder = make_builder(
            {"x": np.float32, "y": tfds.features.Tensor(shape=(1,), dtype=np.bool_)},
            {"train": [{"x": i, "y": [i % 2 == 0]} for i in range(20)]},
            ("x", "y"),
        )
        data = load("made_up", data_dir=folder)
        assert (data.task, data.class_names) == ("classification", ["False", "True"])
        np.testing.assert_array_equal(arrays(data.test)[1], [1, 0, 1, 0])


class TestTensorsOfPixels:
    """What `from_arrays` takes for an image, `load` does."""

    @pytest.mark.parametrize(
        ("dtype", "shape"),
        [
            ("uint8", (4, 4)),
            ("uint16", (4, 4, 3)),
            ("bool", (4, 4)),
            ("int64", (4, 4)),
        ],
    )
    def test_they_are_scaled_as_in_from_arrays(self, make_builder, dtype, shape):
        generator = np.random.default_rng(0)
        x = generator.integers(0, 256, (20, *shape)).astype(dtype)
        features = {
            "x": tfds.features.Tensor(shape=shape, dtype=np.dtype(dtype).type),
            "y": tfds.features.ClassLabel(num_classes=2),
        }
        rows = [{"x": image, "y": i % 2} for i, image in enumerate(x)]
        folder = make_builder(features, {"train": rows}, ("x", "y"))
        passed = datasets.from_arrays((x, np.arange(20) % 2), test=0.2)
        for memory_limit in (2**30, 0):
            loaded = load("made_up", data_dir=folder, memory_limit=memory_limit)
            assert loaded.input_shape == passed.input_shape
            inputs = arrays(loaded.test)[0]
            np.testing.assert_allclose(inputs, passed.test[0][0], rtol=1e-6)


class TestTexts:
    FEATURES = {
        "text": tfds.features.Text(),
        "label": tfds.features.ClassLabel(names=["neg", "pos"]),
    }
    TRAIN = ["Good, good film!", "bad film", "good", "so bad it is good", "bad"] * 2
    TEST = ["an unseen film", "good film " * 10]

    @pytest.fixture
    def folder(self, make_builder):
        splits = {
            split: [{"text": t, "label": "bad" not in t} for t in texts]
            for split, texts in (("train", self.TRAIN), ("test", self.TEST))
        }
        return make_builder(self.FEATURES, splits, ("text", "label"))

    def test_words_are_learnt_from_train_and_padded_right(self, folder):
        data = load("made_up", data_dir=folder, sequence_length=4, validation=0)
        # 8 good, 6 bad, 4 film, and 2 of each other, in reverse alphabetical order.
        words = ["good", "bad", "film", "so", "it", "is"]
        assert data.vocabulary == ["", "[UNK]", *words]
        x, y = arrays(data.test)
        assert (x.dtype, x.shape) == (np.int32, (2, 4))
        words = [[data.vocabulary[i] for i in row] for row in x]
        assert words == [["[UNK]", "[UNK]", "film", ""], ["good", "film"] * 2]
        assert data.input_shape == (4,)
        assert y.tolist() == [1, 1]

    def test_vocabulary_size_counts_padding_and_unknown(self, folder):
        data = load("made_up", data_dir=folder, vocabulary_size=4)
        assert data.vocabulary == ["", "[UNK]", "good", "bad"]

    def test_characters(self, folder):
        data = load("made_up", data_dir=folder, tokens="character", sequence_length=3)
        (x, _), *_ = data.test.as_numpy_iterator()
        assert "".join(data.vocabulary[i] for i in x[1]) == "goo"

    def test_texts_of_ones_own(self, folder):
        data = load("made_up", data_dir=folder, sequence_length=5)
        ids = np.asarray(data.text_vectorization()(tf.constant(["Film: GOOD"])))
        assert [data.vocabulary[i] for i in ids[0]] == ["film", "good", "", "", ""]

    def test_streamed_texts_are_the_same(self, folder):
        held, streamed = (
            load("made_up", data_dir=folder, memory_limit=limit) for limit in (2**30, 0)
        )
        for one, other in zip(arrays(held.test), arrays(streamed.test), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_token_ids_are_not_normalized(self, folder):
        with pytest.raises(ValueError, match="token ids, which cannot be normalized"):
            load("made_up", data_dir=folder).normalization()


class TestStrangeTexts:
    """Bytes that are no text in UTF-8, and texts of which no token can be made."""

    def folder(self, make_builder, *texts):
        features = {
            "text": tfds.features.Text(),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        rows = [{"text": t, "label": i % 2} for i, t in enumerate(texts)]
        return make_builder(features, {"train": rows * 10}, ("text", "label"))

    @pytest.mark.parametrize("tokens", ["word", "character"])
    @pytest.mark.parametrize("text", ["caf\xe9".encode("latin-1"), b"\xff\xfea\x00"])
    def test_other_encodings(self, make_builder, tokens, text):
        folder = self.folder(make_builder, "a", text)
        with pytest.raises(
            ValueError, match=r"'made_up' is not in UTF-8.*\n.*data.decode"
        ):
            load("made_up", data_dir=folder, tokens=tokens)

    def test_another_encoding_in_the_test_split(self, make_builder):
        features = {"text": tfds.features.Text()}
        splits = {"train": [{"text": "ab" * 99}], "test": [{"text": b"\xe9" * 99}]}
        folder = make_builder(features, splits)
        with pytest.raises(ValueError, match="'made_up' is not in UTF-8"):
            load("made_up", data_dir=folder, sequence_length=4)

    @pytest.mark.parametrize(
        ("text", "tokens"),
        [("", "word"), (" \t\n", "word"), ("?!...", "word"), ("", "character")],
    )
    def test_no_tokens(self, make_builder, text, tokens):
        folder = self.folder(make_builder, text, text)
        with pytest.raises(ValueError, match=f"'made_up' hold no {tokens}s"):
            load("made_up", data_dir=folder, tokens=tokens)

    @pytest.mark.parametrize("tokens", ["word", "character"])
    def test_tokens_with_nul_are_unknown(self, make_builder, tokens):
        text = "a\0 b" if tokens == "word" else "a\0b"
        folder = self.folder(make_builder, text, "a b")
        data = load(
            "made_up", data_dir=folder, tokens=tokens, sequence_length=3, validation=0
        )
        assert len(set(data.vocabulary)) == len(data.vocabulary)
        row = [data.vocabulary[i] for i in arrays(data.test)[0][0]]
        right = {"word": ["[UNK]", "b", ""], "character": ["a", "[UNK]", "b"]}
        assert row == right[tokens]

    def test_a_byte_order_mark_mixed_new_lines_and_emoji_are_characters(
        self, make_builder
    ):
        text = "\ufeffa\r\nb\n\U0001f600"
        folder = self.folder(make_builder, text, text)
        data = load(
            "made_up", data_dir=folder, tokens="character", sequence_length=len(text)
        )
        x = arrays(data.test)[0][0]
        assert "".join(data.vocabulary[i] for i in x) == text


class TestLanguageModels:
    def folder(self, make_builder, **texts):
        splits = {split: [{"text": t} for t in rows] for split, rows in texts.items()}
        return make_builder({"text": tfds.features.Text()}, splits)

    def decode(self, data, ids):
        return "".join(data.vocabulary[i] for i in np.ravel(ids))

    def test_one_text_is_cut_by_characters(self, make_builder):
        text = "".join(chr(97 + i % 26) for i in range(1000))
        folder = self.folder(make_builder, train=[text])
        data = load("made_up", data_dir=folder, sequence_length=10, batch_size=4)
        assert data.task == "language_model"
        assert (data.input_shape, data.num_outputs) == ((10,), 28)
        assert data.num_outputs == len(data.vocabulary)
        # 1000 characters: 720 train, 80 validation, 200 test, the last of which has
        # no next one.
        assert data.sizes == {"train": 71, "validation": 7, "test": 19}
        x, y = arrays(data.test)
        assert (x.dtype, y.dtype, x.shape, y.shape) == (
            *(np.int32, np.int32),
            *((19, 10), (19, 10)),
        )
        assert self.decode(data, x) == text[800:990]
        assert self.decode(data, y) == text[801:991]
        assert self.decode(data, arrays(data.validation)[0]) == text[720:790]

    def test_shipped_splits_are_used(self, make_builder):
        folder = self.folder(
            make_builder, train=["abcabcabcabc"], validation=["cabcab"], test=["bcabca"]
        )
        data = load("made_up", data_dir=folder, sequence_length=5)
        assert self.decode(data, arrays(data.validation)[0]) == "cabca"
        assert self.decode(data, arrays(data.test)[1]) == "cabca"

    def test_several_texts_are_joined_by_new_lines(self, make_builder):
        folder = self.folder(make_builder, train=["ab", "ba", "ab"], test=["ab", "ba"])
        data = load("made_up", data_dir=folder, sequence_length=4, validation=0)
        assert self.decode(data, arrays(data.test)[0]) == "ab\nb"

    def test_words(self, make_builder):
        folder = self.folder(make_builder, train=["the cat sat " * 50])
        data = load("made_up", data_dir=folder, tokens="word", sequence_length=3)
        assert set(data.vocabulary) <= {"", "[UNK]", "the", "cat", "sat", "t", "th"}
        assert data.input_shape == (3,)

    def test_a_text_shorter_than_a_window(self, make_builder):
        folder = self.folder(make_builder, train=["abcdefghij" * 3])
        with pytest.raises(
            ValueError, match=r"split is empty.*\n.*sequence_length \+ 1"
        ):
            load("made_up", data_dir=folder, sequence_length=20)


class TestUnmappedFeatures:
    @pytest.mark.parametrize(
        ("features", "example", "keys", "reason"),
        [
            (
                {"name": np.str_, "age": np.float32, "y": np.float32},
                {"name": "a", "age": 1.0, "y": 0.0},
                ({"name": "name", "age": "age"}, "y"),
                "its column 'name' is Tensor",
            ),
            (
                {"a": np.float32, "b": np.float32},
                {"a": 0.0, "b": 1.0},
                None,
                "0 features are labels",
            ),
            (
                {"x": tfds.features.Image(shape=(2, 2, 1))},
                {"x": np.zeros((2, 2, 1), "uint8")},
                None,
                "no label and no numeric target",
            ),
            (
                {"x": tfds.features.Text(), "y": np.float32},
                {"x": "a", "y": 1.0},
                ("x", "y"),
                "text with a numeric target",
            ),
            (
                {"x": np.float32, "y": tfds.features.Text()},
                {"x": 0.0, "y": "a"},
                ("x", "y"),
                "its target 'y' is Text",
            ),
            (
                {
                    "x": tfds.features.Sequence(np.float32),
                    "y": tfds.features.ClassLabel(num_classes=2),
                },
                {"x": [1.0], "y": 0},
                ("x", "y"),
                "its input 'x' is Sequence",
            ),
        ],
    )
    def test_it_says_what_and_what_is_mapped(
        self, make_builder, features, example, keys, reason
    ):
        folder = make_builder(features, {"train": [example] * 10}, keys)
        with pytest.raises(ValueError, match="Cannot map the features") as error:
            load("made_up", data_dir=folder)
        assert reason in str(error.value)
        assert "Mapped are: image + label" in str(error.value)
        assert "`zoo.datasets.from_arrays`" in str(error.value)


class SendsHalf(BaseHTTPRequestHandler):
    """Answers HEAD, and sends the first half of a file to GET, then nothing."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "2000")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(bytes(1000))
        self.server.test_ends.wait(5)  # without a timeout, the error is another one

    def log_message(self, *arguments):
        pass


@pytest.fixture
def half_a_file(monkeypatch):
    """Returns the URL of a file of which the server sends only the first half."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), SendsHalf)
    server.test_ends = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/file.zip"
    server.test_ends.set()
    server.shutdown()
    server.server_close()


class TestDatasetsThatCannotBeHad:
    @pytest.mark.parametrize(
        "name", ["mnist:99.0.0", "wine_quality/rose", "digits/foo"]
    )
    def test_a_config_or_version_that_is_not_there(self, tmp_path, name):
        with pytest.raises(ValueError, match="a config and version that it has") as e:
            load(name, data_dir=tmp_path)
        assert "TFDS says: " in str(e.value)

    @pytest.mark.parametrize("name", [None, 3, ""])
    def test_what_is_no_name(self, name):
        with pytest.raises(ValueError, match="`name`. Expected the name of a dataset"):
            load(name)

    def test_unknown_name(self, tmp_path):
        with pytest.raises(ValueError, match=r"Unknown dataset 'mnits'.*\n.*'mnist'"):
            load("mnits", data_dir=tmp_path)
        with pytest.raises(ValueError, match="Did you mean 'digits'"):
            load("digit", data_dir=tmp_path)

    def test_names_of_prepared_datasets_are_close_matches_too(self, image_folder):
        with pytest.raises(ValueError, match="Did you mean 'made_up'"):
            load("madeup", data_dir=image_folder)

    def test_neither_shipped_nor_prepared_nor_downloadable(self, tmp_path, monkeypatch):
        def refuse(*args, **kwargs):
            raise ConnectionError("no network")

        monkeypatch.setattr(
            tfds.core.DatasetBuilder, "download_and_prepare", refuse, raising=True
        )
        with pytest.raises(RuntimeError) as error:
            load("cifar10", data_dir=tmp_path)
        message = str(error.value)
        assert f"nor prepared in '{tmp_path}" in message
        assert "ConnectionError: no network" in message
        assert "TFDS_DATA_DIR" in message
        assert error.value.__suppress_context__  # no 200-line traceback of TFDS

    def test_an_unreachable_server_ends_the_download_at_once(
        self, tmp_path, monkeypatch
    ):
        asked = []

        def refuse(url, **options):
            asked.append(url)
            raise requests.ConnectionError("no route to host")

        monkeypatch.setattr(requests, "head", refuse)
        monkeypatch.setattr(reachability, "PAUSE", 0)
        with pytest.raises(RuntimeError, match="toronto.edu cannot be reached: no rou"):
            load("cifar10", data_dir=tmp_path)
        assert len(asked) == 2

    def test_a_server_that_keeps_silent_ends_it_too(self, monkeypatch):
        monkeypatch.setattr(requests, "head", lambda *_, **__: time.sleep(5))
        monkeypatch.setattr(reachability, "SECONDS", 0.05)
        with pytest.raises(ConnectionError, match="^example.org did not answer"):
            reachability.check_reachable("https://example.org/file")

    @pytest.mark.parametrize("answer", [None, requests.exceptions.SSLError("old")])
    def test_any_answer_counts(self, answer, monkeypatch):
        def head(*arguments, **options):
            if answer is not None:
                raise answer

        monkeypatch.setattr(requests, "head", head)
        reachability.check_reachable("https://example.org/file")

    def test_a_server_that_stops_in_the_middle_of_a_file(
        self, half_a_file, tmp_path, monkeypatch
    ):
        class Downloaded(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return tfds.core.DatasetInfo(builder=self)

            def _split_generators(self, dl_manager):
                dl_manager.download(half_a_file)

            def _generate_examples(self):
                raise NotImplementedError

        builder = Downloaded(data_dir=tmp_path)
        monkeypatch.setattr(tfds, "builder", lambda *_, **__: builder)
        monkeypatch.setattr(prepare, "SECONDS", 0.2)
        with pytest.raises(RuntimeError, match="ConnectionError: .*timed out") as error:
            load("downloaded")
        assert "Prepare it on a machine with network access" in str(error.value)
        assert not builder.is_prepared()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size`. Expected an integer >= 1"),
        ({"validation": 1.0}, r"`validation`. Expected a float in \[0, 1\)"),
        ({"validation": -0.1}, r"`validation`. Expected a float in \[0, 1\)"),
        ({"validation": "0.1"}, r"`validation`. Expected a float in \[0, 1\)"),
        ({"validation": 1e-6}, "The validation split is empty"),
        ({"seed": None}, "`seed`. Expected an integer >= 0"),
        ({"image_size": 32}, "`image_size`. Expected a tuple of integers"),
        ({"image_size": (32,)}, r"`image_size`. Expected \(height, width\)"),
        ({"tokens": "byte"}, "`tokens`. Expected one of None, 'word', 'character'"),
        ({"vocabulary_size": 2}, "`vocabulary_size`. Expected an integer >= 3"),
        ({"sequence_length": 0}, "`sequence_length`. Expected an integer >= 1"),
        ({"memory_limit": -1}, "`memory_limit`. Expected an integer >= 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load("digits", **arguments)


def test_image_size_of_a_table():
    with pytest.raises(ValueError, match=r"`image_size`. Expected None.*'diabetes'"):
        load("diabetes", image_size=(2, 2))


def real(name, *facts):
    return pytest.param(name, *facts, marks=pytest.mark.real_data(name))


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "input_shape", "num_outputs", "task", "sizes"),
    [
        real("mnist", (28, 28, 1), 10, "classification", (54_000, 6_000, 10_000)),
        real(
            "fashion_mnist", (28, 28, 1), 10, "classification", (54_000, 6_000, 10_000)
        ),
        real("imdb_reviews", (256,), 2, "classification", (22_500, 2_500, 25_000)),
        # 1,003,854, 55,770 and 55,770 characters, 65 of them distinct.
        real("tiny_shakespeare", (256,), 67, "language_model", (3_921, 217, 217)),
        real("wine_quality/white", (11,), 1, "regression", (3_526, 392, 980)),
    ],
)
def test_real_datasets(name, input_shape, num_outputs, task, sizes):
    data = load(name)
    assert (data.input_shape, data.num_outputs, data.task) == (
        *(input_shape, num_outputs, task),
    )
    assert tuple(data.sizes.values()) == sizes
    assert list(data.sizes) == ["train", "validation", "test"]
    x, y = next(data.train.as_numpy_iterator())
    assert x.shape == (128, *input_shape)
    if task == "classification":
        assert set(y) <= set(range(num_outputs))
    if data.vocabulary is None and len(input_shape) == 3:
        assert (x.min(), x.max()) == (0.0, 1.0)


@pytest.mark.heavy
def test_another_process_sees_the_same_order(run_python):
    code = (
        "import tensorflow as tf\n"
        "from zoo import datasets\n"
        "tf.random.set_seed(1)\n"
        "data = datasets.load('digits', seed=3)\n"
        "for _ in range(2):\n"
        "    print([int(v) for _, y in data.train.as_numpy_iterator() for v in y])\n"
    )
    data = datasets.load("digits", seed=3)
    first, second = (
        [int(v) for _, y in data.train.as_numpy_iterator() for v in y] for _ in range(2)
    )
    assert run_python("-c", code).stdout == f"{first}\n{second}\n"
    assert first != second


def test_it_says_what_to_do_without_tfds(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"pass arrays to `datasets.from_arrays`"):
        datasets.load("digits")
