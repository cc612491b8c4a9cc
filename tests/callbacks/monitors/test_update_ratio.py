import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from callbacks import ScheduleLearningRate, UpdateRatio
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
    fit(make_model(), often, callbacks=[seldom])
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
    ax = recorded.plot()
    labels = [line.get_label() for line in ax.lines]
    assert [label for label in labels if label[0] != "_"] == [
        *("first", "second", "model")
    ]
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    assert low < 1e-4 < 1e-2 < high
    band = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([band.y0, band.y1], [1e-4, 1e-2])
    np.testing.assert_allclose(
        ax.lines[-1].get_ydata(), recorded.ratio_info()["median"]
    )
    plt.close("all")


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
    assert len(ratio.plot().get_legend().get_texts()) == 1
    plt.close("all")


def test_before_any_fit_it_is_empty():
    ratio = UpdateRatio()
    assert len(ratio.to_frame()) == 0
    with pytest.raises(ValueError, match="This UpdateRatio has recorded nothing"):
        ratio.plot()


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
