import logging

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from zoo import mlp
from zoo.datasets import from_arrays


def table(count=100, classes=3):
    generator = np.random.default_rng(0)
    return generator.standard_normal((count, 4)), np.arange(count) % classes


def arrays(dataset):
    return tuple(np.concatenate(part) for part in zip(*dataset, strict=True))


def test_facts():
    data = from_arrays(table(), test=table(20), batch_size=32, name="mine")
    assert data.sizes == {"train": 90, "validation": 10, "test": 20}
    assert (data.input_shape, data.num_outputs) == ((4,), 3)
    assert data.task == "classification"
    assert data.class_names == ["0", "1", "2"]
    assert repr(data) == (
        "<Data 'mine': classification of inputs (4,) into 3 outputs; "
        "90 train, 10 validation, 20 test>"
    )
    x, y = data.train[0]
    assert (x.shape, x.dtype, y.dtype) == ((32, 4), np.float32, np.int32)


def test_fractions_are_cut_off_the_end():
    x, y = np.arange(100.0)[:, None], np.zeros(100, int)
    data = from_arrays((x, y), test=0.2, validation=0.1)
    assert sorted(arrays(data.train)[0][:, 0]) == list(range(72))
    assert arrays(data.validation)[0][:, 0].tolist() == list(range(72, 80))
    assert arrays(data.test)[0][:, 0].tolist() == list(range(80, 100))


def test_validation_zero_and_no_test():
    data = from_arrays(table(), validation=0)
    assert data.validation is None
    assert data.test is None
    assert data.sizes == {"train": 100}


def test_images_are_scaled_and_get_a_channel():
    images = np.arange(256, dtype="uint8").reshape(4, 8, 8)
    data = from_arrays((images, [0, 1, 0, 1]), validation=0)
    x, _ = arrays(data.train)
    assert data.input_shape == (8, 8, 1)
    assert (x.dtype, x.min(), x.max()) == (np.float32, 0.0, 1.0)


@pytest.mark.parametrize(("dtype", "scale"), [("uint8", 255), ("uint16", 65535)])
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_images_of_every_type_lie_in_zero_to_one(dtype, scale, shape):
    generator = np.random.default_rng(0)
    images = generator.integers(0, scale + 1, (20, *shape)).astype(dtype)
    data = from_arrays((images, np.arange(20) % 2), validation=0)
    assert data.input_shape == (*shape, 1)[:3]
    x = data.train.arrays.batch(slice(None))[0]
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.reshape(images.shape), images / scale, rtol=1e-6)


def test_images_of_booleans_are_zeros_and_ones():
    images = np.random.default_rng(0).random((20, 8, 8)) > 0.5
    data = from_arrays((images, np.arange(20) % 2), validation=0)
    x = data.train.arrays.batch(slice(None))[0]
    assert (data.input_shape, x.dtype) == ((8, 8, 1), np.float32)
    np.testing.assert_array_equal(x[..., 0], images)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("int64", (8, 8)), ("float32", (8, 8, 1))]
)
def test_images_that_are_not_scaled_are_said(dtype, shape, caplog):
    images = np.random.default_rng(0).integers(0, 256, (20, *shape))
    with caplog.at_level(logging.WARNING):
        data = from_arrays((images.astype(dtype), np.arange(20) % 2), validation=0)
    assert data.input_shape == shape
    assert "go up to 255 and are taken as they are" in caplog.text
    caplog.clear()
    from_arrays((images / 255.0, np.arange(20) % 2))
    from_arrays((images / 128.0 - 1, np.arange(20) % 2))
    assert not caplog.text


def test_float_targets_are_a_regression():
    x, _ = table()
    data = from_arrays((x, x.sum(axis=1)))
    assert (data.task, data.num_outputs, data.class_names) == ("regression", 1, None)
    assert arrays(data.train)[1].shape == (90, 1)
    assert from_arrays((x, x[:, :2])).num_outputs == 2


def tags(count=300, labels=3):
    x, _ = table(count)
    return x, (x[:, :labels] > 0).astype(int)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_zeros_and_ones_of_several_labels(dtype):
    x, y = tags()
    data = from_arrays((x, y.astype(dtype)), class_names=["a", "b", "c"])
    assert (data.task, data.num_outputs) == ("multi_label", 3)
    assert data.class_names == ["a", "b", "c"]
    assert data.train[0][1].shape == (128, 3)
    assert data.train[0][1].dtype == np.int32
    assert from_arrays((x, y)).class_names == ["0", "1", "2"]


def test_single_labels_are_several_where_one_says_so():
    x, y = table()
    data = from_arrays((x, np.eye(3)[y]), task="multi_label")
    assert (data.task, data.num_outputs) == ("multi_label", 3)


@pytest.mark.heavy
def test_loss_and_metrics_of_several_labels():
    data = from_arrays(tags(), test=tags(100))
    model = mlp(data.input_shape, data.num_outputs, units=(32,))
    model.compile(keras.optimizers.Adam(0.01), data.loss, metrics=data.metrics)
    model.fit(data.train, epochs=5, shuffle=False, verbose=0)
    logs = model.evaluate(data.test, verbose=0, return_dict=True)
    y, logits = arrays(data.test)[1], model.predict(data.test, verbose=0)
    log_likelihood = y * logits - np.log1p(np.exp(logits))
    assert logs["loss"] == pytest.approx(-log_likelihood.mean(), rel=1e-4)
    right = ((logits > 0) == y).mean()
    assert logs["binary_accuracy"] == pytest.approx(right, rel=1e-5)
    auc = roc_auc_score(y, logits)
    assert logs["auc"] == pytest.approx(auc, abs=0.01)  # Keras' is in 200 steps
    assert auc > 0.8


def test_integer_targets_are_a_regression_where_one_says_so():
    assert from_arrays(table(), task="regression").num_outputs == 1


def test_tokens_and_language_models():
    vocabulary = ["", "[UNK]", "a", "b", "c"]
    ids = np.arange(60).reshape(12, 5) % 5
    data = from_arrays((ids, np.arange(12) % 2), vocabulary=vocabulary)
    assert (data.task, data.vocabulary) == ("classification", vocabulary)
    assert data.train[0][0].dtype == np.int32
    model = from_arrays((ids, (ids + 1) % 5), vocabulary=vocabulary)
    assert (model.task, model.num_outputs) == ("language_model", 5)
    assert model.train[0][1].shape == (11, 5)


def test_a_file(tmp_path):
    path = tmp_path / "mine.npz"
    (x, y), (x_test, y_test) = table(), table(20)
    np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    data = from_arrays(path)
    assert data.sizes == {"train": 90, "validation": 10, "test": 20}
    np.savez(path, x_train=x, y_train=y, x_validation=x_test, y_validation=y_test)
    assert from_arrays(str(path)).sizes == {"train": 100, "validation": 20}


def test_normalization_is_that_of_train_and_survives_saving(tmp_path):
    x, y = table()
    x = 5 * x + 100
    x[:, 2] = 7.0
    x_test = np.array([[100, 100, 8, 100]])
    data = from_arrays((x, y), test=(x_test, [0]), validation=0)
    layer = data.normalization()
    out = np.asarray(layer(x.astype("float32")))
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=0), [1, 1, 0, 1], atol=1e-5)
    assert float(layer(data.test[0][0])[0, 2]) == pytest.approx(1.0)

    model = mlp((4,), 3, units=(5,), preprocessing=data.normalization())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_normalization_of_images_is_one_mean_for_each_channel():
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), dtype="uint8")
    images[:, 0, 0] = 0  # a constant pixel
    data = from_arrays((images, np.zeros(50, int)), validation=0)
    out = np.asarray(data.normalization()(images / 255.0))
    np.testing.assert_allclose(out.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert np.abs(out).max() < 3


def test_denormalization_brings_outputs_to_the_units_of_the_targets():
    x, _ = table(1000)
    y = np.stack([100 + 5 * x[:, 0], -3 + x[:, 1] / 2], axis=1)
    data = from_arrays((x, y), validation=0)
    standard = (y - y.mean(axis=0)) / y.std(axis=0)
    out = np.asarray(data.denormalization()(standard.astype("float32")))
    np.testing.assert_allclose(out, y, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="Expected a regression"):
        from_arrays(table()).denormalization()


@pytest.mark.heavy
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_loss_and_metrics_fit_a_model_of_logits(task):
    data = from_arrays(table(300), task=task)
    model = mlp(data.input_shape, data.num_outputs, units=(32,))
    model.compile("adam", data.loss, metrics=data.metrics)
    logs = model.fit(
        data.train,
        validation_data=data.validation,
        epochs=20,
        shuffle=False,
        verbose=0,
    ).history
    assert logs["loss"][-1] < logs["loss"][0]
    name = "val_accuracy" if task == "classification" else "val_rmse"
    assert name in logs
    if task == "regression":
        error = model.predict(data.validation, verbose=0) - arrays(data.validation)[1]
        assert logs["val_rmse"][-1] == pytest.approx(
            np.sqrt((error**2).mean()), rel=1e-5
        )


def test_no_texts_no_text_vectorization():
    with pytest.raises(ValueError, match="was not loaded from texts"):
        from_arrays(table()).text_vectorization()


def test_classes_that_only_another_split_has_are_said(caplog):
    x, y = table()
    names = ["a", "b", "c", "d", "e"]
    with caplog.at_level(logging.WARNING):
        from_arrays((x, y), test=(x, np.full(100, 4)), class_names=names)
    assert "Classes ['e'] occur in test, but never in train" in caplog.text
    caplog.clear()
    from_arrays((x, np.arange(100) % 5), test=0.2)
    assert not caplog.text


@pytest.mark.parametrize("labels", [[0, 1], [2, 0, 1]], ids=["sorted", "grouped"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_sorted_labels_cannot_be_cut(labels, split):
    x = np.zeros((60, 4))
    y = np.repeat(labels, 60 // len(labels))
    message = rf"`{split}`. Expected \(x, y\).*labels are sorted.*\nShuffle first: "
    with pytest.raises(ValueError, match=message):
        from_arrays((x, y), **{"validation": 0, split: 0.2})
    assert from_arrays((x, y), validation=0).sizes == {"train": 60}
    shuffled = np.random.default_rng(0).permutation(len(y))
    from_arrays((x[shuffled], y[shuffled]), **{"validation": 0, split: 0.2})


def test_integers_that_are_no_class_labels_are_said(caplog):
    x, _ = table()
    with caplog.at_level(logging.WARNING):
        assert from_arrays((x, np.full(100, 2020))).num_outputs == 2021
    assert "Train has 1 of the 2021 classes" in caplog.text
    assert "task='regression'" in caplog.text


X, Y = table()
NAN = np.where(np.arange(400).reshape(100, 4) == 22, np.nan, X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": (NAN, Y)}, r"values in x of train.*NaN.*first in row 5"),
        ({"train": (X, Y + 0.5 * np.inf)}, "values in y of train.*infinity"),
        ({"train": (X, Y[:-1])}, r"arrays for `train`.*\(100, 4\), y of shape \(99,\)"),
        ({"train": (X * 1e300, Y)}, "values in x of train.*infinity"),
        ({"train": (X, X[:, 0] * 1e300)}, "values in y of train.*infinity"),
        ({"train": (X + 1j, Y)}, "x of train. Expected real numbers"),
        ({"train": (X[:, :0], Y)}, "no axis empty"),
        ({"test": (X, Y + 2**32)}, "labels in test.*Received: 4294967296 in row 0"),
        ({"class_names": "abc"}, "`class_names`. Expected a list of distinct names"),
        ({"class_names": ["a", "a", "b"]}, "`class_names`. Expected a list of dist"),
        ({"train": (X[:, 0], Y)}, r"arrays for `train`. Expected x of shape"),
        ({"train": X}, r"`train`. Expected \(x, y\), a tuple of two arrays"),
        ({"train": "none.npz"}, r"`train`. Expected \(x, y\), or the path of a .npz"),
        (
            {"train": (X, Y.astype(str))},
            r"y of train. Expected real numbers.*\n.*np.unique",
        ),
        ({"train": (X, Y - 1)}, r"labels in train.*from 0 to 1.*Received: -1 in row 0"),
        ({"class_names": ["a", "b"]}, r"labels in train.*\(2 classes\). Received: 2"),
        ({"test": (X, Y + 1)}, r"labels in test.*from 0 to 2.*Received: 3 in row 2"),
        (
            {"test": (X[:, :3], Y)},
            r"differ.*\(4,\), float64 in train; \(3,\), float64 in",
        ),
        (
            {
                "train": (np.ones((9, 4, 4), "uint16"), Y[:9]),
                "test": (np.ones((9, 4, 4), "uint8"), Y[:9]),
            },
            r"differ.*one type of images.*uint16 in train; .*uint8 in test",
        ),
        ({"train": (np.ma.masked_less(X, 0), Y)}, "x of train.*masked array"),
        ({"train": (X, np.ma.masked_less(Y, 1))}, "y of train.*masked.*first in row 0"),
        ({"test": (np.ma.masked_less(X, 0), Y)}, "x of test.*masked array"),
        (
            {"train": (np.ones((9, 2), int), Y[:9]), "vocabulary": ["", "a", "a"]},
            "`vocabulary`. Expected a list of distinct tokens",
        ),
        (
            {"test": (X.astype("uint8"), Y)},
            r"differ.*float64 in train; .*uint8 in test",
        ),
        ({"train": (X, np.eye(3)[Y])}, r"one-hot labels.*\n.*`y.argmax\(axis=1\)`"),
        (
            {"train": (X, np.eye(3, dtype=int)[Y])},
            r"\n.*`y.argmax\(axis=1\)`.*\n?.*task='multi_label'",
        ),
        ({"task": "multi_label"}, r"y of train. Expected zeros and ones of shape"),
        (
            {"train": (X, X[:, :2] > 0), "test": (X, X > 0)},
            r"y of test. Expected a column for each of 2 labels.*\(100, 4\)",
        ),
        (
            {"train": (X, X > 0), "class_names": ["a", "b"]},
            r"y of train. Expected a column for each of 2 labels.*\(90, 4\)",
        ),
        (
            {"train": (X, X > 0), "test": (X, Y[:, None] + [0, 1])},
            "y of test. Expected zeros and ones.*values from 0 to 3",
        ),
        ({"train": (X, X), "class_names": ["a"]}, "`class_names`. Expected None for"),
        ({"train": (X[:0], Y[:0])}, "The train split is empty"),
        ({"test": (X[:0], Y[:0])}, "The test split is empty"),
        ({"validation": 0.001}, r"The validation split is empty.*\n.*100 examples"),
        ({"validation": 0.999}, "The train split is empty"),
        ({"validation": 1}, r"`validation`. Expected a float in \[0, 1\)"),
        ({"test": -0.5}, r"`test`. Expected a float in \[0, 1\)"),
        ({"batch_size": 0}, "`batch_size`. Expected an integer >= 1"),
        ({"seed": -1}, "`seed`. Expected an integer >= 0"),
        ({"task": "ranking"}, "`task`. Expected one of None, 'classification'"),
        ({"task": "language_model"}, "Expected `vocabulary`, and y of the shape of x"),
        ({"vocabulary": ["a"]}, r"Invalid x of train. Expected token ids"),
        (
            {"train": (np.ones((9, 2), int), Y[:9]), "vocabulary": ["a"]},
            r"token ids in x of train. Expected integers from 0 to 0",
        ),
        ({"train": (X, X[:, None])}, r"y of train. Expected targets of shape"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(**{"train": (X, Y), **arguments})


def test_a_file_without_training_examples(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    with pytest.raises(ValueError, match=r"named x_train and y_train. Received: \['x'"):
        from_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"text", b""])
def test_a_file_that_is_no_npz(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"Cannot read '.*a.npz'. Expected a .npz file"
    ):
        from_arrays(tmp_path / "a.npz")
