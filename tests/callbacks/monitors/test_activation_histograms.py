import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from callbacks import ActivationHistograms
from zoo import mlp

X = np.random.default_rng(0).standard_normal((16, 4)).astype("float32")


def fit(model, callback, x=X, epochs=1, compile_it=True, **arguments):
    if compile_it:
        model.compile(keras.optimizers.SGD(0.0), lambda y, output: output)
    y = np.zeros(len(x))
    model.fit(
        *(x, y), batch_size=8, verbose=0, epochs=epochs, callbacks=[callback],
        **arguments,
    )  # fmt: skip
    return callback


def last(callback):
    """The row of the last pass, by layer."""
    frame = callback.to_frame()
    return frame[frame["step"] == frame["step"].max()].set_index("layer")


@pytest.mark.parametrize(
    ("activation", "low", "high"), [("tanh", -1, 1), ("sigmoid", 0, 1)]
)
def test_bins_cover_the_range_of_the_activation(activation, low, high):
    dense = keras.layers.Dense(3, activation, kernel_initializer="ones", name="dense")
    model = keras.Sequential([keras.Input((4,)), dense])
    info = fit(model, ActivationHistograms(X)).activation_info()
    sums = X.sum(axis=1).astype("float64")
    values = np.tanh(sums) if low else 1 / (1 + np.exp(-sums))
    np.testing.assert_allclose(info["edges"][0, 0], np.linspace(low, high, 51))
    expected, _ = np.histogram(values.repeat(3), 50, (low, high))
    np.testing.assert_array_equal(info["counts"][0, 0], expected)
    np.testing.assert_allclose(info["mean"], values.mean(), rtol=1e-5)
    np.testing.assert_allclose(info["deviation"], values.std(), rtol=1e-5)


def test_dead_and_saturated_are_fractions_of_units():
    # Units: always dead, dead for half, alive; then at the ends, in the middle.
    relu = keras.layers.Dense(3, "relu", name="relu")
    tanh = keras.layers.Dense(2, "tanh", name="tanh")
    model = keras.Sequential([keras.Input((4,)), relu, tanh])
    relu.set_weights([np.eye(4, 3), np.array([-1.0, 0.0, 1.0])])
    tanh.set_weights([np.zeros((3, 2)), np.array([-9.0, 0.1])])
    x = np.tile([[0.5, 0.5, 0.5, 0.0], [0.5, -0.5, 0.5, 0.0]], (8, 1))
    callback = fit(model, ActivationHistograms(x), x)
    info, rows = callback.activation_info(), last(callback)
    np.testing.assert_array_equal(info["unit_zeros/relu"][-1], [1, 0.5, 0])
    np.testing.assert_array_equal(info["unit_saturated/tanh"][-1], [1, 0])
    assert rows.loc["relu", "dead"] == pytest.approx(1 / 3)
    assert rows.loc["relu", "zeros"] == pytest.approx(0.5)
    assert np.isnan(rows.loc["relu", "saturated"])
    assert rows.loc["tanh", "saturated"] == 0.5
    assert rows.loc["tanh", "dead"] == 0


def test_a_unit_of_an_image_is_a_channel():
    conv = keras.layers.Conv2D(3, 2, activation="relu", name="conv2d")
    model = keras.Sequential([keras.Input((4, 4, 1)), conv])
    model.layers[0].set_weights([np.ones((2, 2, 1, 3)), np.array([0.0, -99.0, 0.0])])
    x = np.ones((8, 4, 4, 1), "float32")
    callback = fit(model, ActivationHistograms(x), x)
    info = callback.activation_info()
    np.testing.assert_array_equal(info["unit_zeros/conv2d"][-1], [0, 1, 0])
    assert info["counts"].sum() == 2 * 8 * 3 * 3 * 3


def test_passes_are_before_and_after_epochs():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    frame = fit(model, ActivationHistograms(X, 2), epochs=5).to_frame()
    assert frame["epoch"].tolist() == [0, 2, 4]
    assert frame["step"].tolist() == [0, 4, 8]
    frame = fit(model, ActivationHistograms(X), epochs=5, initial_epoch=4).to_frame()
    assert frame["epoch"].tolist() == [4, 5]


def test_layers_inside_of_models_and_layers_shared_ones_and_none_of_rnns():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="deep")], name="inner"
    )
    shared = keras.layers.Dense(4, "relu", name="shared")

    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.within = keras.layers.Dense(4, name="within")

        def call(self, x):
            return self.within(x)

    inputs = keras.Input((4,))
    x = shared(inner(shared(Block()(inputs))))
    x = keras.layers.Reshape((2, 2), name="reshape")(x)
    outputs = keras.layers.LSTM(3, name="lstm")(x)
    callback = fit(keras.Model(inputs, outputs), ActivationHistograms(X))
    assert last(callback).index.tolist() == [
        *("block/within", "block", "shared", "inner/deep", "inner", "shared (2)"),
        *("reshape", "lstm"),
    ]


def test_masked_steps_are_left_out():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Embedding(5, 2, mask_zero=True, name="embedding"),
            keras.layers.LSTM(4, return_sequences=True, name="lstm"),
            keras.layers.GlobalAveragePooling1D(name="pool"),
        ]
    )
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    info = fit(model, ActivationHistograms(tokens), tokens).activation_info()
    assert info["layer"].tolist() == ["embedding", "lstm", "pool"]
    # Of six steps three are there; what is pooled has none any more.
    assert info["counts"][-1].sum(axis=-1).tolist() == [3 * 2, 3 * 4, 2 * 4]


def test_several_inputs():
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((4,), name="b")}
    added = keras.layers.Add(name="add")([inputs["a"], inputs["b"]])
    model = keras.Model(inputs, keras.layers.Dense(1, name="dense")(added))
    sample = {"a": X, "b": -X}
    model.compile("sgd", "mse")
    callback = ActivationHistograms(sample)
    model.fit(sample, X[:, :1], verbose=0, callbacks=[callback])
    assert last(callback).loc["add", "zeros"] == 1


def test_the_builders_layers_have_their_names():
    model = mlp((4,), 2, units=(5,), dropout=0.5)
    rows = last(fit(model, ActivationHistograms(X)))
    assert rows.index.tolist() == [
        *("flatten", "hidden_1", "hidden_1_activation", "hidden_1_dropout", "head")
    ]
    # As at inference: nothing is dropped.
    assert (
        rows.loc["hidden_1_dropout", "mean"]
        == (rows.loc["hidden_1_activation", "mean"])
    )


def test_values_that_are_not_finite_are_counted_apart():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    model.layers[0].set_weights([np.eye(4, 2), np.zeros(2)])
    x = X.copy()
    x[0], x[1] = np.nan, np.inf
    callback = fit(model, ActivationHistograms(x))
    info = callback.activation_info()
    assert info["non_finite"].tolist() == [[4], [4]]
    assert info["counts"].sum() == 2 * (16 - 2) * 2


def test_a_model_that_its_first_batch_builds():
    model = keras.Sequential([keras.layers.Dense(2, name="dense")])
    frame = fit(model, ActivationHistograms(X), epochs=2).to_frame()
    assert frame["epoch"].tolist()[-2:] == [1, 2]


class Looped(keras.layers.Layer):
    """Calls a dense layer in what compilers trace apart."""

    def __init__(self, how):
        super().__init__(name="block")
        self.how, self.f = how, keras.layers.Dense(4, "tanh", name="f")

    def build(self, shape):
        self.f.build(shape)

    def call(self, x):
        ops = keras.ops
        if self.how == "loop":
            return ops.fori_loop(0, 2, lambda i, h: self.f(h), x)
        if self.how == "scan":
            return ops.scan(lambda h, _: (self.f(h), None), x, xs=None, length=2)[0]
        if self.how == "condition":
            return ops.cond(ops.mean(x) < 9, lambda: self.f(x), lambda: x)
        return ops.vectorized_map(lambda row: self.f(row[None])[0], x)

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize("how", ["loop", "scan", "condition", "map"])
@pytest.mark.filterwarnings("ignore:Using a while_loop for converting")
def test_what_runs_inside_a_loop_is_named_once(how):
    layers = [keras.Input((4,)), Looped(how), keras.layers.Dense(1, name="out")]
    callback = ActivationHistograms(X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(keras.Sequential(layers), callback, epochs=2)
    found = last(callback).index.tolist()
    assert found[-2:] == ["block", "out"]
    named = [w for w in caught if "does not record the layers 'block/f'" in str(w)]
    assert len(named) == ("block/f" not in found)


def test_layers_inside_of_cells_are_named():
    cells = [keras.layers.LSTMCell(3, name="one"), keras.layers.LSTMCell(2, name="two")]
    layers = [keras.Input((2, 2)), keras.layers.RNN(cells, name="rnn")]
    callback = ActivationHistograms(X.reshape(16, 2, 2))
    with pytest.warns(UserWarning, match="'rnn/.*/one', 'rnn/.*/two': when"):
        fit(keras.Sequential(layers), callback, X.reshape(16, 2, 2))
    assert last(callback).index.tolist() == ["rnn"]


@pytest.mark.heavy
def test_quantized_layers_are_recorded():
    dense = keras.layers.Dense(3, "relu", name="dense")
    model = keras.Sequential([keras.Input((4,)), dense])
    dense.quantize("int8")
    info = fit(model, ActivationHistograms(X)).activation_info()
    assert info["layer"].tolist() == ["dense"]
    values = model.predict(X, verbose=0)
    np.testing.assert_allclose(info["mean"][-1], [values.mean()], rtol=1e-5)


def test_batches_give_what_the_whole_sample_gives(monkeypatch):
    model = mlp((4,), 2, units=(5, 7), activation="relu")
    whole = fit(model, ActivationHistograms(X)).activation_info()
    # The 35 numbers of an example: five batches of 3 or 4 examples.
    monkeypatch.setattr("callbacks.monitors.layer_outputs.MAX_ENTRIES", 130)
    monkeypatch.setattr("callbacks.monitors.forward_pass.MAX_ENTRIES", 130)
    batches = fit(model, ActivationHistograms(X)).activation_info()
    assert set(batches) == set(whole)
    for name, values in whole.items():
        if values.dtype.kind == "f":
            # Batches of other sizes round otherwise, and inner edges of the bins have
            # the rounding of the outer ones, which are the largest numbers here.
            atol = 1e-6 * np.abs(values[np.isfinite(values)]).max(initial=0)
            np.testing.assert_allclose(batches[name], values, rtol=1e-5, atol=atol)
        else:
            np.testing.assert_array_equal(batches[name], values)


def test_no_pass_computes_more_examples_than_fit(monkeypatch):
    sizes = []

    class Sees(keras.layers.Layer):
        def call(self, x):
            if not keras.backend.is_keras_tensor(x):
                sizes.append(x.shape[0])
            return x

    model = keras.Sequential([keras.Input((4,)), Sees(), keras.layers.Dense(7)])
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((len(X), 7)), batch_size=2, verbose=0)
    sizes.clear()
    for module in ("layer_outputs", "forward_pass"):
        monkeypatch.setattr(f"callbacks.monitors.{module}.MAX_ENTRIES", 3 * 11)
    callback = ActivationHistograms(X)
    callback.set_model(model)
    callback.set_params({"steps": 1})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    # Where a function is compiled, its trace sees the whole sample, and no values.
    seen = sizes if keras.backend.backend() == "torch" else sizes[1:]
    assert max(seen) <= 3
    assert callback.activation_info()["counts"].sum() == len(X) * 11


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="elsewhere a model is traced once"
)
def test_a_layer_that_does_not_run_in_a_pass_is_nan_there():
    class Sometimes(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3, name="dense")
            self.relu = keras.layers.ReLU(name="relu")
            self.skips = False

        def call(self, x):
            x = self.dense(x)
            return x if self.skips else self.relu(x)

    model = Sometimes()
    model(X)
    model.compile("sgd", "mse")
    skip = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(model, "skips", True)
    )
    activations = ActivationHistograms(X)
    model.fit(
        X, np.zeros((len(X), 3)), verbose=0, callbacks=[activations, skip], epochs=1
    )
    info = activations.activation_info()
    layer = info["layer"].tolist().index("relu")
    assert info["epoch"].tolist() == [0, 1]
    for name in ("mean", "deviation", "zeros", "dead", "saturated"):
        assert np.isnan(info[name][1, layer]), name
    assert np.isfinite(info["dead"][0, layer])
    activations.plot()
    plt.close("all")


@pytest.mark.parametrize("value", [1e10, -3e38])
def test_a_large_constant_has_bins(value):
    dense = keras.layers.Dense(1, name="dense", kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((4,)), dense])
    dense.bias.assign([value])
    info = fit(model, ActivationHistograms(X)).activation_info()
    assert info["counts"].sum() == 2 * 16
    assert (np.diff(info["edges"][-1, 0]) > 0).all()


def test_a_model_without_call_is_refused():
    class OnlyTrains(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

    callback = ActivationHistograms(X)
    callback.set_model(OnlyTrains())
    with pytest.raises(ValueError, match="a model with a `call` method"):
        callback.on_train_begin()


def test_saving_and_drawing(tmp_path):
    model = mlp((4,), 2, units=(5, 5), activation="tanh")
    callback = fit(model, ActivationHistograms(X))
    callback.save(tmp_path / "a.csv")
    read = pd.read_csv(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read, callback.to_frame(), check_dtype=False)
    callback.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        assert set(arrays) == set(callback.activation_info())
    first, second, _ = callback.plot().axes
    assert first.get_title() == "hidden_1 · 0% saturated"
    assert second.get_title() == "hidden_2 · 0% saturated"
    assert first.get_ylim() == (-1, 1)
    plt.close("all")


def test_a_model_without_activations_is_drawn_too():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    assert len(fit(model, ActivationHistograms(X)).plot().axes) == 2
    plt.close("all")


def test_before_any_fit_it_says_so():
    callback = ActivationHistograms(X)
    message = "ActivationHistograms has recorded nothing"
    for use in (callback.plot, callback.to_frame):
        with pytest.raises(ValueError, match=message):
            use()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample": None}, "`sample`. Expected inputs of the model with .*\n.*a batch"),
        ({"sample": np.zeros((0, 4))}, "`sample`. Expected inputs of the model"),
        ({"sample": "x"}, "Received: sample='x'"),
        ({"sample": np.float32(3)}, "`sample`. Expected inputs of the model"),
        ({"sample": [X, X[:3]]}, "`sample`. Expected inputs of the model"),
        ({"every_epochs": 0}, "`every_epochs`. Expected an integer >= 1. Received"),
        ({"log_dir": 3}, "`log_dir`. Expected the path of a folder, or None"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ActivationHistograms(**{"sample": X, **arguments})


def test_a_sample_that_the_model_does_not_take():
    model = mlp((4,), 2, units=(5,))
    with pytest.raises(ValueError, match=r"shape \[\(4,\)\], which.*\[\(3,\)\]"):
        fit(model, ActivationHistograms(X[:, :3]))
    with pytest.raises(ValueError, match=r"\(\)\]\n.*`x` instead of `\(x, y\)`"):
        fit(model, ActivationHistograms((X, np.arange(len(X)))))
    fit(model, ActivationHistograms(X[..., None]))  # Keras removes that axis
