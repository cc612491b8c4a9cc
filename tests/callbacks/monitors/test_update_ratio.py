import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from callbacks import ScheduleLearningRate, UpdateRatio
from callbacks.monitors.update_ratio_plot import records_at_peak, relative_rates
from callbacks.schedules import Linear

STEPS = 4
X = np.random.default_rng(0).standard_normal((STEPS * 2, 3)).astype("float32")


def make_model(initial=("ones", "ones"), rate=0.1):
    """Two matrices and a bias."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(3, kernel_initializer=initial[0], name="first"),
            keras.layers.Dense(
                1, kernel_initializer=initial[1], use_bias=False, name="second"
            ),
        ]
    )
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def fit(model, ratio, epochs=1, callbacks=(), steps=STEPS):
    x = X[: 2 * steps]
    return model.fit(
        x,
        np.ones((len(x), 1)),
        batch_size=2,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, ratio],
    ).history


@pytest.fixture
def recorded():
    ratio = UpdateRatio(2)
    fit(make_model(), ratio)
    return ratio


def test_the_frame_is_in_long_form(recorded):
    frame = recorded.to_frame()
    assert frame.columns.tolist() == [
        *("step", "epoch", "variable", "ratio", "in_median"),
        *("gradient_norm", "gradient_rms", "weight_norm", "weight_rms"),
        *("update_norm", "update_rms", "learning_rate", "skipped"),
    ]
    names = ["first/kernel", "first/bias", "second/kernel"]
    assert frame["variable"].tolist() == 2 * names
    assert frame["step"].tolist() == [0, 0, 0, 2, 2, 2]
    np.testing.assert_allclose(
        frame["weight_rms"] * np.sqrt([9, 3, 3] * 2), frame["weight_norm"], rtol=1e-6
    )
    np.testing.assert_allclose(frame["learning_rate"], 0.1, rtol=1e-6)
    assert frame["in_median"].tolist() == [True, False, True] * 2


def test_the_logs_have_the_median_of_the_kernels(recorded):
    ratio = UpdateRatio(2)
    history = fit(make_model(), ratio, epochs=2)
    frame = ratio.to_frame().query("in_median")
    medians = frame.groupby(["epoch", "step"])["ratio"].median()
    expected = medians.groupby("epoch").median()
    np.testing.assert_allclose(history["update_ratio"], expected, rtol=1e-6)


def test_an_epoch_without_a_record_repeats_the_last():
    history = fit(make_model(), UpdateRatio(2 * STEPS), epochs=4)
    first, second, third, fourth = history["update_ratio"]
    assert first == second != third == fourth


def test_before_the_first_record_it_is_nan():
    model = make_model()
    model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=6), "mse")
    history = fit(model, UpdateRatio(), epochs=2)
    assert np.isnan(history["update_ratio"][0])
    assert history["update_ratio"][1] > 0


def test_callbacks_behind_it_can_monitor_it():
    model = make_model()
    stop = keras.callbacks.TerminateOnNaN()
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(logs["update_ratio"])
    )
    history = model.fit(X, X[:, :1], verbose=0, callbacks=[UpdateRatio(), watch, stop])
    assert seen == history.history["update_ratio"]


def test_a_kernel_counts_once_it_has_grown():
    ratio = UpdateRatio(1)
    fit(make_model(initial=("ones", "zeros")), ratio)
    info = ratio.ratio_info()
    second = info["variable"].tolist().index("second/kernel")
    assert np.isnan(info["ratio"][0, second])
    assert not info["in_median"][0, second]
    assert info["in_median"][-1, second]
    first = info["variable"].tolist().index("first/kernel")
    assert info["median"][0] == info["ratio"][0, first]


def test_without_a_kernel_there_is_no_median():
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    model.compile("sgd", "mse")
    history = model.fit(X, X, verbose=0, callbacks=[UpdateRatio()]).history
    assert np.isnan(history["update_ratio"]).all()


def test_with_a_schedule_it_records_the_rate_of_the_step():
    ratio = UpdateRatio(1)
    schedule = ScheduleLearningRate(Linear(1))
    fit(make_model(), ratio, callbacks=[schedule])
    info = ratio.ratio_info()
    rates = 0.1 * (1 - np.arange(STEPS) / STEPS)
    np.testing.assert_allclose(info["learning_rate"], rates, rtol=1e-6)
    np.testing.assert_allclose(
        info["update_norm"], rates[:, None] * info["gradient_norm"], rtol=1e-5
    )


def test_every_fit_begins_a_new_record(recorded):
    fit(make_model(), recorded, steps=3)
    assert recorded.to_frame()["step"].unique().tolist() == [0, 2]
    fit(make_model(), recorded, steps=1)
    assert recorded.to_frame()["step"].unique().tolist() == [0]


def test_two_of_them_share_the_records():
    often, seldom = UpdateRatio(1), UpdateRatio(3)
    history = fit(make_model(), often, callbacks=[seldom])
    median = np.median(often.ratio_info()["median"])  # `often` is the last one
    np.testing.assert_allclose(history["update_ratio"], [median], rtol=1e-6)
    frame = often.to_frame()
    assert frame["step"].unique().tolist() == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(
        seldom.to_frame(), frame[frame["step"] % 3 == 0].reset_index(drop=True)
    )


def test_saving(recorded, tmp_path):
    recorded.save(tmp_path / "ratio.csv")
    read = pd.read_csv(tmp_path / "ratio.csv")
    pd.testing.assert_frame_equal(read, recorded.to_frame(), check_dtype=False)
    recorded.save(tmp_path / "ratio.npz")
    with np.load(tmp_path / "ratio.npz") as arrays:
        for name, value in recorded.ratio_info().items():
            np.testing.assert_array_equal(arrays[name], value)


def test_the_plot_shows_every_kernel_the_median_and_the_band(recorded):
    ax = recorded.plot().axes[0]
    labels = [line.get_label() for line in ax.lines]
    assert [label for label in labels if label[0] != "_"] == [
        *("learning rate", "first", "second", "model")
    ]
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    assert low < 1e-4 < 1e-2 < high
    (band,) = ax.patches
    band = band.get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([band.y0, band.y1], [1e-4, 1e-2])
    np.testing.assert_allclose(
        ax.lines[-1].get_ydata(), recorded.ratio_info()["median"]
    )
    plt.close("all")


def test_the_band_and_the_line_of_the_learning_rate_follow_the_schedule():
    ratio = UpdateRatio(1, healthy=(1e-3, 1e-1))
    fit(make_model(), ratio, callbacks=[ScheduleLearningRate(Linear(1))])
    ax = ratio.plot().axes[0]
    share = 1 - np.arange(STEPS) / STEPS  # of the peak rate, 0.1
    corners = ax.collections[0].get_paths()[0].vertices
    for step, expected in enumerate(share):
        at_step = corners[np.isclose(corners[:, 0], step), 1]
        np.testing.assert_allclose(at_step.min(), 1e-3 * expected, rtol=1e-5)
        np.testing.assert_allclose(at_step.max(), 1e-1 * expected, rtol=1e-5)
    (line,) = (line for line in ax.lines if line.get_label() == "learning rate")
    np.testing.assert_allclose(line.get_ydata(), 1e-2 * share, rtol=1e-5)
    (right,) = ax.child_axes
    ax.figure.canvas.draw()
    # Read on the axis on the right, the line shows the learning rate.
    limits = np.array(right.get_ylim()) / np.array(ax.get_ylim())
    np.testing.assert_allclose(limits * 1e-2, 0.1, rtol=1e-5)
    plt.close("all")


def test_a_rate_that_is_unknown_or_zero_leaves_the_band():
    np.testing.assert_array_equal(relative_rates([np.nan, np.nan]), 1)
    np.testing.assert_array_equal(relative_rates([0.0, 0.0]), 1)
    np.testing.assert_array_equal(relative_rates([]), np.ones(0))
    # A warm-up from zero has no band at its first step.
    np.testing.assert_array_equal(relative_rates([0.0, 1.0, 2.0]), [np.nan, 0.5, 1.0])


def test_the_peak_has_at_least_half_of_the_highest_rate():
    assert records_at_peak(np.array([4.0, 4.0, 2.0, 1.0])).tolist() == [1, 2]
    assert records_at_peak(np.array([1.0])).tolist() == [0]
    assert records_at_peak(np.array([np.nan] * 3)).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("rate", "place"), [(1e-6, "below the"), (1e-4, "in the"), (1.0, "above the")]
)
def test_it_prints_the_ratio_at_the_peak_and_the_extremes(rate, place):
    ratio = UpdateRatio(1)
    assert repr(ratio) == "UpdateRatio: nothing recorded yet."
    callbacks = [ScheduleLearningRate(Linear(1))]
    fit(make_model(rate=rate), ratio, callbacks=callbacks)
    text = repr(ratio)
    assert text.startswith("UpdateRatio: 4 updates recorded, steps 0 to 3.")
    assert f"{place} healthy band (1e-04 to 1e-02)" in text
    frame = ratio.to_frame().query("1 <= step <= 2 and in_median")
    assert f"is {frame.groupby('step')['ratio'].median().median():.1e}, {place}" in text
    layers = frame.groupby("variable")["ratio"].median().sort_values()
    for name, value in layers.items():
        assert f"{value:.1e} ({name.removesuffix('/kernel')})" in text


def test_it_prints_that_no_ratio_is_known():
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    model.compile("sgd", "mse")
    ratio = UpdateRatio()
    model.fit(X, X, verbose=0, callbacks=[ratio])
    assert repr(ratio) == (
        "UpdateRatio: 1 update recorded, step 0. No kernel has a ratio."
    )


@pytest.mark.slow
def test_many_kernels_have_no_legend_of_their_own():
    model = keras.Sequential([keras.Input((2,))])
    for _ in range(200):
        model.add(keras.layers.Dense(2))
    model.compile("sgd", "mse")
    ratio = UpdateRatio()
    model.fit(X[:, :2], X[:, :2], verbose=0, callbacks=[ratio])
    info = ratio.ratio_info()
    assert info["ratio"].shape == (1, 400)
    assert len(set(info["variable"].tolist())) == 400
    texts = [text.get_text() for text in ratio.plot().axes[0].get_legend().get_texts()]
    assert texts == ["healthy", "learning rate", "model"]
    plt.close("all")


def test_before_any_fit_it_says_so():
    ratio = UpdateRatio()
    for use in (ratio.plot, ratio.to_frame):
        with pytest.raises(ValueError, match="This UpdateRatio has recorded nothing"):
            use()
    assert ratio._repr_html_() == "<pre>UpdateRatio: nothing recorded yet.</pre>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every`. Expected an integer >= 1. Received: every=0"),
        ({"every": 2.5}, "`every`. Expected an integer >= 1. Received: every=2.5"),
        ({"healthy": 0.1}, "`healthy`. Expected two numbers, 0 < lower < upper"),
        ({"healthy": (0.1, 0.01)}, "`healthy`. Expected two numbers"),
        ({"healthy": (0, 1)}, "`healthy`. Expected two numbers"),
        ({"log_dir": 3}, "`log_dir`. Expected the path of a folder, or None"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        UpdateRatio(**arguments)


@pytest.mark.parametrize("path", ["ratio.txt", "ratio", None])
def test_a_file_that_cannot_be_saved_to(recorded, path):
    with pytest.raises(ValueError, match="`path`. Expected a path that ends in .csv"):
        recorded.save(path)
