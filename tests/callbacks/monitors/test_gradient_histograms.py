import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from callbacks import GradientHistograms

X = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")


def make_model(scale=1.0):
    """Its gradient is the sum of the inputs, times the scale."""
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, use_bias=False, name="only")]
    )
    model.compile(
        keras.optimizers.SGD(0.0), lambda y, output: output * scale, metrics=[]
    )
    return model


def fit(callback, x=X, scale=1.0, epochs=1):
    y = np.zeros(len(x))
    model = make_model(scale)
    model.fit(
        *(x, y), batch_size=1, shuffle=False, verbose=0, epochs=epochs,
        callbacks=[callback],
    )  # fmt: skip
    return callback


@pytest.fixture
def recorded():
    return fit(GradientHistograms(1))


@pytest.mark.parametrize("scale", [2.0**-70, 2.0**40])
def test_counts_are_those_of_numpy(scale):
    info = fit(GradientHistograms(1), scale=scale).histogram_info()
    gradients = X.astype("float64") * scale
    log2 = np.clip(np.floor(np.log2(np.abs(gradients))), -64, 31)
    for sign, chosen in enumerate((gradients > 0, gradients < 0)):
        for record in range(len(X)):
            expected, _ = np.histogram(log2[record][chosen[record]], info["log2"])
            np.testing.assert_array_equal(info["counts"][record, 0, sign], expected)
    np.testing.assert_allclose(info["largest"][:, 0], np.abs(gradients).max(axis=1))


def test_weights_and_updates_are_counted_where_asked_for():
    model = make_model()
    model.compile(keras.optimizers.SGD(0.5), lambda y, output: output)
    model.layers[0].set_weights([np.array([[1.0], [-3.0], [0.0], [2.0**30]])])
    of_all = [GradientHistograms(1, of=of) for of in ("weight", "update", "gradient")]
    x = np.array([[2.0, -1.0, 0.0, 4.0]])
    model.fit(x, np.zeros(1), verbose=0, callbacks=of_all)
    weight, update, gradient = (monitor.histogram_info() for monitor in of_all)
    nonzero = [np.argwhere(i["counts"][0, 0]).tolist() for i in (weight, update)]
    # By sign, and log2 of the magnitude + 64; 2**30 is too large to be moved by 2.
    assert nonzero[0] == [[0, 64], [0, 94], [1, 65]]
    assert nonzero[1] == [[0, 63], [1, 64]]
    assert [i["zeros"].item() for i in (weight, update, gradient)] == [1, 2, 1]
    assert [i["largest"].item() for i in (weight, update, gradient)] == [2**30, 1, 4]
    np.testing.assert_allclose(update["norm"], np.sqrt(1.25), rtol=1e-6)
    assert gradient["counts"].sum() == 3


def test_figures_of_the_frame():
    x = X.copy()
    x[:, 0], x[2, 1], x[3, 1] = 0, np.nan, np.inf
    frame = fit(GradientHistograms(1), x).to_frame()
    assert frame.columns.tolist() == [
        *("step", "epoch", "variable", "norm", "rms", "largest", "zeros"),
        *("non_finite", "learning_rate", "skipped"),
    ]
    assert frame["variable"].unique().tolist() == ["only/kernel"]
    np.testing.assert_array_equal(frame["zeros"], 0.25)
    np.testing.assert_array_equal(frame["non_finite"], [0, 0, 1, 1, 0, 0, 0, 0])
    norms = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(frame["norm"], norms, rtol=1e-6)
    np.testing.assert_allclose(frame["rms"], norms / 2, rtol=1e-6)


def test_saving(recorded, tmp_path):
    recorded.save(tmp_path / "h.csv")
    read = pd.read_csv(tmp_path / "h.csv")
    pd.testing.assert_frame_equal(read, recorded.to_frame(), check_dtype=False)
    recorded.save(tmp_path / "h.npz")
    with np.load(tmp_path / "h.npz") as arrays:
        info = recorded.histogram_info()
        assert set(arrays) == set(info)
        np.testing.assert_array_equal(arrays["counts"], info["counts"])


def test_the_plot_is_a_heat_map_of_every_kernel(recorded):
    figure = recorded.plot()
    panel, bar = figure.axes
    assert panel.get_title() == "only · 0% zeros"
    assert bar.get_ylabel() == "fraction of entries"
    (mesh,) = panel.collections
    shares = mesh.get_array().filled(0)
    assert shares.shape[1] == len(X)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert panel.get_yscale() == "log"
    edges = mesh.get_coordinates()[:, 0, 1]
    np.testing.assert_array_equal(edges[1:], 2 * edges[:-1])  # one bin per power of 2
    largest = recorded.to_frame().query("variable == 'only/kernel'")["largest"].max()
    assert edges[-2] <= largest < edges[-1]
    plt.close("all")


def test_it_draws_in_a_part_of_a_figure(recorded):
    figure = plt.figure(layout="constrained")
    left, _ = figure.subfigures(1, 2)
    assert recorded.plot(left) is left
    assert len(left.axes) == 2
    plt.close("all")


def test_one_record_can_be_drawn():
    callback = fit(GradientHistograms(100))
    callback.plot()
    callback.plot_norms()
    plt.close("all")


@pytest.mark.slow
def test_the_plot_of_norms_goes_by_depth():
    model = keras.Sequential([keras.Input((4,))])
    for _ in range(15):
        model.add(keras.layers.Dense(4, activation="sigmoid"))
    model.compile("sgd", "mse")
    callback = GradientHistograms(1)
    model.fit(X, X, verbose=0, callbacks=[callback])
    (ax,) = callback.plot_norms().axes
    (first,) = ax.lines
    assert len(first.get_ydata()) == 15
    assert first.get_ydata()[0] < 1e-6 * first.get_ydata()[-1]  # it vanishes
    assert first.get_label() == "step 0"
    assert len(callback.plot().axes) == 13  # twelve kernels and the colours
    plt.close("all")


def test_before_any_fit_it_says_so():
    callback = GradientHistograms()
    for draw in (callback.plot, callback.plot_norms, callback.to_frame):
        with pytest.raises(ValueError, match="GradientHistograms has recorded nothing"):
            draw()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": -1}, "`every`. Expected an integer >= 1. Received: every=-1"),
        ({"of": "bias"}, "`of`. Expected one of 'gradient', 'weight', 'update'"),
        ({"log_dir": 3}, "`log_dir`. Expected the path of a folder, or None"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientHistograms(**arguments)
