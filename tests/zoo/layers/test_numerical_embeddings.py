import keras
import numpy as np
import pytest

from zoo import mlp, res_mlp
from zoo.layers import PeriodicEmbeddings, PiecewiseLinearEmbeddings

to_numpy = keras.ops.convert_to_numpy


def table(count=200):
    x = np.random.default_rng(0).normal(size=(count, 3))
    x[:, 1] = x[:, 1] > 0
    x[:, 2] = np.exp(x[:, 2]).round(1)
    return x.astype("float32")


def piecewise(x, *arguments, **options):
    layer = PiecewiseLinearEmbeddings(*arguments, **options)
    layer.adapt(x)
    return layer


def peers():
    torch = pytest.importorskip("torch", reason="the reference is written in it")
    peer = pytest.importorskip("rtdl_num_embeddings", reason="it is the reference")
    return torch, peer


def assign(torch, parameter, values):
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(np.array(to_numpy(values))))


@pytest.mark.parametrize("lite", [False, True])
def test_periodic_embeddings_are_those_of_the_reference(lite):
    torch, peer = peers()
    x = table()
    options = {"frequency_init_scale": 0.5, "n_frequencies": 6, "lite": lite}
    reference = peer.PeriodicEmbeddings(3, 4, **options)
    layer = PeriodicEmbeddings(4, num_frequencies=6, frequency_scale=0.5, lite=lite)
    received = to_numpy(layer(x))
    kernel = keras.ops.transpose(layer.kernel) if lite else layer.kernel
    assign(torch, reference.periodic.weight, layer.frequencies)
    assign(torch, reference.linear.weight, kernel)
    assign(torch, reference.linear.bias, layer.bias)
    expected = reference(torch.as_tensor(x)).detach().numpy()
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_piecewise_linear_embeddings_are_those_of_the_reference():
    torch, peer = peers()
    x = table()[:, [0, 2]]
    bins = peer.compute_bins(torch.as_tensor(x), 6)
    reference = peer.PiecewiseLinearEmbeddings(bins, 4, activation=True, version="A")
    layer = piecewise(x, 4, num_bins=6)
    for own, other in zip(layer.bin_boundaries, bins, strict=True):
        np.testing.assert_allclose(own, other.numpy(), rtol=1e-6)
    wider = 2 * x - 0.5  # beyond the boundaries, too
    received = to_numpy(layer(wider))
    assign(torch, reference.linear.weight, layer.kernel)
    assign(torch, reference.linear.bias, layer.bias)
    expected = reference(torch.as_tensor(wider)).detach().numpy()
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_periodic_embeddings_are_what_numpy_computes():
    x = table()
    layer = PeriodicEmbeddings(4, num_frequencies=5, frequency_scale=1.0)
    received = to_numpy(layer(x))
    frequencies, kernel, bias = map(to_numpy, layer.weights)
    phases = 2 * np.pi * frequencies * x[:, :, None]
    waves = np.concatenate([np.cos(phases), np.sin(phases)], axis=-1)
    expected = np.stack([waves[:, i] @ kernel[i] for i in range(3)], axis=1) + bias
    np.testing.assert_allclose(received, np.maximum(expected, 0), rtol=1e-3, atol=1e-4)


def test_initial_frequencies_have_the_requested_scale():
    layer = PeriodicEmbeddings(1, num_frequencies=5000, frequency_scale=3.0)
    layer.build((None, 2))
    assert np.std(to_numpy(layer.frequencies)) == pytest.approx(3.0, rel=0.05)


def test_the_encoding_is_the_position_in_the_bins():
    layer = PiecewiseLinearEmbeddings(2, bin_boundaries=[[0, 1, 3, 4], [5, 7], [9]])
    layer.build((None, 3))
    x = np.array([[2, 6, 9], [-1, 4, 8], [6, 9, 99]], "float32")
    expected = [
        [[1, 0.5, 0], [0.5, 0, 0], [0, 0, 0]],
        [[-1, 0, 0], [-0.5, 0, 0], [0, 0, 0]],
        [[1, 1, 3], [2, 0, 0], [0, 0, 0]],
    ]
    received = to_numpy(layer.encode(x))
    np.testing.assert_allclose(received, expected, atol=1e-6)


def test_bins_are_quantiles_and_equal_quantiles_are_merged():
    x = np.column_stack([np.arange(101.0), np.arange(101) > 90, np.full(101, 7.0)])
    layer = piecewise(x, 2, num_bins=4)
    assert layer.bin_boundaries == [[0, 25, 50, 75, 100], [0, 1], [7]]


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_encodes_in_float32(dtype):
    x = table()
    x[:, 0] += 2048  # neighbors in half precision differ by 2
    for layer in (
        PeriodicEmbeddings(4, frequency_scale=1.0, dtype=dtype),
        piecewise(x, 4, num_bins=6, dtype=dtype),
    ):
        y = layer(x)
        assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
        full = type(layer).from_config({**layer.get_config(), "dtype": "float32"})
        full.build(x.shape)
        full.set_weights(layer.get_weights())
        y = to_numpy(keras.ops.cast(y, "float32"))
        np.testing.assert_allclose(y, to_numpy(full(x)), atol=0.05)


@pytest.mark.parametrize("build", [mlp, res_mlp])
def test_saved_models_predict_the_same(build, tmp_path):
    x = table()
    for embeddings in (
        PeriodicEmbeddings(4, num_frequencies=5, frequency_scale=0.3, lite=True),
        piecewise(x, 4, num_bins=6),
    ):
        model = build((3,), 2, units=5 if build is res_mlp else (5,),
                      numerical_embeddings=embeddings)  # fmt: skip
        assert model.get_layer("flatten").output.shape == (None, 12)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(to_numpy(loaded(x)), to_numpy(model(x)))


@pytest.mark.heavy
@pytest.mark.one_backend
def test_embeddings_learn_a_function_that_changes_fast():
    x = np.random.default_rng(0).uniform(-1, 1, size=(512, 1)).astype("float32")
    losses = {}
    for name, embeddings in {
        "none": None,
        "periodic": PeriodicEmbeddings(8, num_frequencies=8, frequency_scale=3.0),
        "piecewise": piecewise(x, 8),
    }.items():
        keras.utils.set_random_seed(0)
        model = mlp((1,), 1, units=(16,), numerical_embeddings=embeddings)
        model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=False)
        history = model.fit(x, np.sin(20 * x), batch_size=64, epochs=30, verbose=0)
        losses[name] = history.history["loss"][-1]
    assert losses.pop("none") > 0.3
    assert max(losses.values()) < 0.05, losses


def test_it_cannot_adapt_after_its_first_call():
    x = table()
    layer = piecewise(x, 2)
    layer(x)
    with pytest.raises(ValueError, match="Expected `adapt.data.` before the first"):
        layer.adapt(x)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: PeriodicEmbeddings(0), "`output_dim`. Expected an integer >= 1"),
        (
            lambda: PeriodicEmbeddings(num_frequencies=0),
            "`num_frequencies`. Expected an integer >= 1",
        ),
        (
            lambda: PeriodicEmbeddings(frequency_scale=0),
            "`frequency_scale`. Expected a number > 0",
        ),
        (lambda: PeriodicEmbeddings(lite="yes"), "`lite`. Expected one of"),
        (
            lambda: PiecewiseLinearEmbeddings(2, num_bins=0),
            "`num_bins`. Expected an integer >= 1",
        ),
        (
            lambda: PiecewiseLinearEmbeddings(2, bin_boundaries=[[0, 1], [2, 2]]),
            "`bin_boundaries`. Expected a list of increasing finite numbers",
        ),
        (
            lambda: PiecewiseLinearEmbeddings(2, bin_boundaries=[0, 1]),
            "`bin_boundaries`. Expected a list of increasing finite numbers",
        ),
        (
            lambda: PiecewiseLinearEmbeddings(2)(table()),
            "no bins yet. Expected `adapt.data.` before",
        ),
        (
            lambda: piecewise(table(), 2)(table()[:, :2]),
            "`inputs`. Expected a table of 3 columns",
        ),
        (
            lambda: piecewise(np.ones((9, 2, 2)), 2),
            "Expected a table, of shape",
        ),
        (
            lambda: mlp((3,), 2, numerical_embeddings=PeriodicEmbeddings),
            "`numerical_embeddings`. Expected a keras.layers.Layer or None",
        ),
        (
            lambda: mlp((8, 8, 1), 2, numerical_embeddings=PeriodicEmbeddings()),
            "`numerical_embeddings`. Expected None for inputs of shape .8, 8, 1.",
        ),
        (
            lambda: res_mlp(
                (3,),
                2,
                preprocessing=keras.layers.Rescaling(2),
                numerical_embeddings=piecewise(table(), 2),
            ),
            "`preprocessing`. Expected None if `numerical_embeddings` has adapted",
        ),
    ],
)
def test_errors(use, message):
    with pytest.raises(ValueError, match=message):
        use()
