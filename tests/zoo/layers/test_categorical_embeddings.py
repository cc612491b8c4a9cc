import keras
import numpy as np
import pandas as pd
import pytest

from zoo import check_gradients, mlp, res_mlp
from zoo.datasets import from_arrays
from zoo.layers import (
    CategoricalEmbeddings,
    PeriodicEmbeddings,
    PiecewiseLinearEmbeddings,
    Whitening,
)

to_numpy = keras.ops.convert_to_numpy
COUNT = 96
TOWNS, SHOPS = np.random.default_rng(1).integers([[12], [30]], size=(2, COUNT))
FRAME = pd.DataFrame(
    {
        "town": pd.Categorical(TOWNS, categories=range(12)),
        "size": np.random.default_rng(2).normal(size=COUNT),
        "kind": ["x", "y"] * (COUNT // 2),
        "shop": pd.Categorical(SHOPS, categories=range(30)),
    }
)
Y = np.random.default_rng(3).normal(size=COUNT).astype("float32")


def data(frame=FRAME):
    return from_arrays((frame, Y), validation=0, batch_size=COUNT)


def rows(frame=FRAME):
    return data(frame).train.arrays.x


def test_vectors_are_those_of_an_embedding_with_the_same_weights():
    layer = data().categorical_embeddings()
    received = to_numpy(layer(rows()))
    vectors = []
    for codes, weights in zip((TOWNS, SHOPS), layer.embeddings, strict=True):
        reference = keras.layers.Embedding(*weights.shape)
        reference.build()
        reference.embeddings.assign(weights)
        vectors.append(to_numpy(reference(codes)))
    assert layer.columns == {"town": (0, 12), "shop": (15, 45)}
    np.testing.assert_allclose(received, np.concatenate(vectors, axis=1), rtol=1e-6)


def test_the_layer_learns_as_an_embedding_does():
    """Only the vectors of categories in the batch change, by the same amounts."""
    layer = CategoricalEmbeddings({"town": (0, 12)}, 3)
    reference = keras.layers.Embedding(12, 3)
    weights = []
    for own, x in ((layer, np.eye(12)[TOWNS[:8]]), (reference, TOWNS[:8])):
        model = keras.Sequential(
            [keras.Input(x.shape[1:]), own, keras.layers.Flatten()]
        )
        model.set_weights([np.arange(36.0).reshape(12, 3) / 36])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.train_on_batch(x.astype("float32"), np.ones((8, 3)))
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(*weights, rtol=1e-5)


def test_sizes_are_those_of_fastai():
    """The sizes that `tabular_learner` prints for the Rossmann data."""
    printed = {3: 3, 5: 4, 8: 5, 13: 7, 22: 9, 24: 9, 32: 11, 53: 15, 1116: 81}
    stops = np.cumsum(list(printed)).tolist()
    blocks = zip([0, *stops[:-1]], stops, strict=True)
    columns = dict(zip("abcdefghi", blocks, strict=True))
    assert CategoricalEmbeddings(columns).output_dims == list(printed.values())
    assert CategoricalEmbeddings(columns, 4).output_dims == [4] * 9
    assert CategoricalEmbeddings({"a": (0, 100_000)}).output_dims == [600]


def test_an_unknown_category_is_the_zero_vector_and_others_remain():
    x = rows()
    x[:, 0:12] = 0
    layer = data().categorical_embeddings(output_dim=2)
    vectors = to_numpy(layer(x))
    assert not vectors[:, :2].any()
    assert vectors[:, 2:].any(axis=1).all()
    np.testing.assert_array_equal(to_numpy(layer.other_columns(x)), x[:, 12:15])


def test_the_model_normalizes_only_the_other_columns():
    made = data()
    embeddings = made.categorical_embeddings(output_dim=2)
    normalization = made.normalization()
    model = mlp(
        made.input_shape,
        1,
        units=(),
        preprocessing=normalization,
        categorical_embeddings=embeddings,
    )
    kernel, bias = map(to_numpy, model.get_layer("head").weights)
    x = rows()
    features = [to_numpy(normalization(x))[:, 12:15]]
    features += [to_numpy(weights)[codes]
                 for weights, codes in zip(embeddings.embeddings, (TOWNS, SHOPS),
                                           strict=True)]  # fmt: skip
    expected = np.concatenate(features, axis=1) @ kernel + bias
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-4, atol=1e-5)


def builders():
    """Yields models with all kinds of neighbors of categorical embeddings."""
    made, shape = data(), data().input_shape
    categorical = made.categorical_embeddings
    piecewise = PiecewiseLinearEmbeddings(4, num_bins=6)
    piecewise.adapt(categorical().other_columns(x) for x, _ in made.train)
    assert len(piecewise.bin_boundaries) == 3
    for options in (
        {"numerical_embeddings": piecewise},
        {
            "numerical_embeddings": PeriodicEmbeddings(4, num_frequencies=5),
            "preprocessing": made.normalization("quantile"),
            "ensemble_size": 3,
        },
    ):
        yield mlp(shape, 1, units=(5,), categorical_embeddings=categorical(), **options)
    yield res_mlp(shape, 1, units=5, categorical_embeddings=categorical(2))


@pytest.mark.heavy
def test_saved_and_cloned_models_predict_the_same(tmp_path):
    x = rows()
    for model in builders():
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        for other in (loaded, clone):
            np.testing.assert_array_equal(to_numpy(other(x)), to_numpy(model(x)))


def test_members_scale_all_components_of_a_vector_alike():
    made = data()
    embeddings = made.categorical_embeddings()
    model = mlp(
        made.input_shape,
        1,
        units=(5,),
        ensemble_size=4,
        categorical_embeddings=embeddings,
    )
    scales = to_numpy(model.get_layer("hidden_1").r)
    assert scales.shape == (4, 3 + 6 + 11)
    for vector in (scales[:, 3:9], scales[:, 9:]):
        np.testing.assert_array_equal(vector, np.tile(vector[:, :1], vector.shape[1]))
    assert np.unique(scales, axis=1).shape[1] > 1


def test_a_table_of_categories_only():
    made = data(FRAME[["town"]])
    embeddings = made.categorical_embeddings(output_dim=4)
    model = mlp(made.input_shape, 1, units=(), categorical_embeddings=embeddings,
                preprocessing=made.normalization())  # fmt: skip
    kernel, bias = map(to_numpy, model.get_layer("head").weights)
    expected = to_numpy(embeddings.embeddings[0])[TOWNS] @ kernel + bias
    x = rows(FRAME[["town"]])
    np.testing.assert_allclose(to_numpy(model(x)), expected, rtol=1e-4, atol=1e-6)
    assert to_numpy(embeddings.other_columns(x)).shape == (COUNT, 0)


@pytest.mark.heavy
@pytest.mark.one_backend
def test_gradients_are_right():
    made = data()
    model = mlp(
        made.input_shape,
        1,
        units=(4,),
        activation="tanh",
        preprocessing=made.normalization(),
        categorical_embeddings=made.categorical_embeddings(),
    )
    model.compile("adam", "mse")
    assert check_gradients(model, rows(), Y[:, None]).verdict == "right"


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(dtype):
    layer = CategoricalEmbeddings({"town": (0, 12)}, 3, dtype=dtype)
    vectors = layer(rows())
    assert keras.backend.standardize_dtype(vectors.dtype) == dtype.removeprefix(
        "mixed_"
    )
    expected = to_numpy(layer.embeddings[0])[TOWNS]
    received = to_numpy(keras.ops.cast(vectors, "float32"))
    np.testing.assert_allclose(received, expected, rtol=0.01)


def model_with(columns, width=45, **options):
    embeddings = CategoricalEmbeddings(columns, 2)
    return mlp((width,), 1, categorical_embeddings=embeddings, **options)


def wide_bins():
    layer = PiecewiseLinearEmbeddings(2)
    layer.adapt(rows())
    return layer


DICT = "`columns`. Expected a dict of names and .start, stop."
ERRORS = {
    "no dict": (lambda: CategoricalEmbeddings([(0, 2)]), DICT),
    "no columns": (lambda: CategoricalEmbeddings({}), DICT),
    "no pair": (lambda: CategoricalEmbeddings({"a": 3}), DICT),
    "no integers": (lambda: CategoricalEmbeddings({"a": (0, 2.0)}), DICT),
    "empty": (lambda: CategoricalEmbeddings({"a": (2, 2)}), DICT),
    "negative": (lambda: CategoricalEmbeddings({"a": (-2, 2)}), DICT),
    "overlap": (
        lambda: CategoricalEmbeddings({"b": (2, 4), "a": (0, 3)}),
        "`columns`. Expected positions that do not overlap. .*'a': .0, 3.",
    ),
    "size": (
        lambda: CategoricalEmbeddings({"a": (0, 3)}, 0),
        "`output_dim`. Expected an integer >= 1",
    ),
    "narrow": (
        lambda: CategoricalEmbeddings({"a": (0, 3)})(np.ones((5, 2))),
        "`inputs`. Expected a table of at least 3 columns",
    ),
    "narrow others": (
        lambda: CategoricalEmbeddings({"a": (0, 3)}).other_columns(np.ones((5, 2))),
        "`inputs`. Expected a table of at least 3 columns",
    ),
    "images": (
        lambda: CategoricalEmbeddings({"a": (0, 3)}).other_columns(np.ones((5, 4, 4))),
        "`inputs`. Expected a table",
    ),
    "min_categories": (
        lambda: data().categorical_embeddings(0),
        "`min_categories`. Expected an integer >= 1",
    ),
    "few categories": (
        lambda: data().categorical_embeddings(31),
        "`min_categories`. Expected an integer <= 30(.|\n)*'kind': 2",
    ),
    "numbers": (
        lambda: data(FRAME[["size"]]).categorical_embeddings(),
        "'arrays' has no columns to embed",
    ),
    "a method": (
        lambda: mlp((45,), 1, categorical_embeddings=data().categorical_embeddings),
        "`categorical_embeddings`. Expected a keras.layers.Layer(.|\n)*Call the method",
    ),
    "another layer": (
        lambda: res_mlp((45,), 1, categorical_embeddings=keras.layers.Embedding(2, 2)),
        "`categorical_embeddings`. Expected a zoo.layers.CategoricalEmbeddings",
    ),
    "no table": (
        lambda: mlp(
            (8, 8, 1), 1, categorical_embeddings=CategoricalEmbeddings({"a": (0, 3)})
        ),
        "`categorical_embeddings`. Expected None for inputs of shape .8, 8, 1.",
    ),
    "a narrow table": (
        lambda: model_with({"a": (0, 3)}, width=2),
        "`categorical_embeddings`. Expected columns of a table of 2 columns",
    ),
    "no numbers": (
        lambda: model_with(
            {"a": (0, 3)}, width=3, numerical_embeddings=PeriodicEmbeddings()
        ),
        "`numerical_embeddings`. Expected None if `categorical_embeddings` embeds all",
    ),
    "bins": (
        lambda: model_with({"a": (0, 12)}, numerical_embeddings=wide_bins()),
        "`numerical_embeddings`. Expected bins for the 33 columns(.|\n)*other_columns",
    ),
    "fewer outputs": (
        lambda: model_with({"a": (0, 12)}, preprocessing=keras.layers.Dense(20)),
        "`preprocessing`. Expected a layer that keeps columns apart, with 45 outputs",
    ),
    "whitening": (
        lambda: model_with({"a": (0, 12)}, preprocessing=Whitening()),
        "`preprocessing`. Expected a layer that keeps columns apart",
    ),
}


@pytest.mark.parametrize(("use", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(use, message):
    with pytest.raises(ValueError, match=message):
        use()
