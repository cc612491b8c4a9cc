import keras
import numpy as np

from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio
from callbacks.monitors.summaries import extremes, listed, number_of, recorded_at

X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")


def fit(monitor, *layers, x=X, rate=0.0):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(keras.optimizers.SGD(rate), "mse")
    y = np.zeros((8, model.output_shape[-1]))
    settings = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    model.fit(x, y, callbacks=[monitor], **settings)
    return repr(monitor)


def test_phrases():
    assert number_of(1, "update") == "1 update"
    assert number_of(2000, "pass", "passes") == "2,000 passes"
    assert recorded_at([7], "step") == "step 7"
    assert recorded_at([0, 50, 100], "step") == "steps 0 to 100"
    assert extremes({"a": 1.0}, ".1f") == "is 1.0 (a)"
    values = {"a": 2.0, "b": 1.0, "c": 3.0}
    assert extremes(values, ".1f") == "ranges from 1.0 (b) to 3.0 (c)"
    assert extremes({"a": 0.0, "b": 0.0}, ".1f") == "is 0.0 in all of them"
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c"], limit=2) == "a, b and 1 more"


def test_gradient_histograms_print_extremes_and_zeros():
    histograms = GradientHistograms(1)
    assert repr(histograms) == "GradientHistograms: nothing recorded yet."
    first = keras.layers.Dense(4, "relu", bias_initializer="ones", name="first")
    dead = keras.initializers.Constant([0.0, -99.0])  # one of two units is dead
    second = keras.layers.Dense(2, "relu", bias_initializer=dead, name="second")
    second.kernel_initializer = "ones"
    text = fit(histograms, first, second, keras.layers.Dense(1, name="last"))
    assert text.startswith("GradientHistograms: 4 updates recorded, steps 0 to 3. ")
    frame = histograms.to_frame().query("step == 3")
    kernels = frame[frame["variable"].str.endswith("kernel")]
    rms = kernels.set_index("variable")["rms"]
    for best in (rms.idxmin(), rms.idxmax()):
        assert f"{rms[best]:.1e} ({best.removesuffix('/kernel')})" in text
    assert "at most 50% of the entries are zero" in text


def test_gradient_histograms_print_where_nan_began():
    histograms = GradientHistograms(1, of="weight")
    x = X.copy()
    x[0] = np.nan
    text = fit(histograms, keras.layers.Dense(1, name="only"), x=x, rate=0.1)
    assert text.endswith("The weight of only/kernel is not finite from step 1 on.")


def test_activation_histograms_print_dead_and_saturated_units():
    activations = ActivationHistograms(X)
    assert repr(activations) == "ActivationHistograms: nothing recorded yet."
    bias = keras.initializers.Constant([0.0, 0.0, 0.0, -99.0])
    dead = keras.layers.Dense(4, "relu", bias_initializer=bias, name="quarter")
    dead.kernel_initializer = "ones"
    small = {"kernel_initializer": "zeros", "bias_initializer": "ones"}
    tanh = keras.layers.Dense(2, "tanh", name="small", **small)
    text = fit(activations, dead, tanh)
    assert text == (
        "ActivationHistograms: 3 passes recorded, epochs 0 to 2. In the last pass, at "
        "most 25% of the units are dead (quarter) and no unit is saturated."
    )
    text = fit(activations, keras.layers.Dense(1))
    assert text.endswith("The model has no layer with an activation function.")


def test_activation_histograms_print_nan():
    bias = keras.initializers.Constant(np.nan)
    # On some CPUs, the ReLU of TensorFlow turns NaN into 0.
    layer = keras.layers.Dense(2, "tanh", bias_initializer=bias, name="broken")
    text = fit(ActivationHistograms(X), layer)
    assert text.endswith("In the last pass, the outputs of broken are not finite.")


def dying(rate):
    """Prints the ratio of a network whose hidden units die in the first step."""
    ratio = UpdateRatio(1)
    hidden = keras.layers.Dense(4, "relu", kernel_initializer="ones", name="hidden")
    last = keras.layers.Dense(1, kernel_initializer="ones", name="last")
    return fit(ratio, hidden, last, x=np.abs(X), rate=rate), ratio


def frame_of_medians(ratio):
    return ratio.to_frame().query("in_median").groupby("step")["ratio"].median()


def test_layers_outside_of_the_band_are_named_if_the_median_is_inside():
    ratio = UpdateRatio(1, healthy=(1e-9, 1e9))
    layers = [keras.layers.Dense(4, name=f"layer_{i}") for i in range(3)]
    assert "Only the median" not in fit(ratio, *layers, rate=1e-3)
    frame = ratio.to_frame().query("step >= 1 and in_median")
    values = frame.groupby("variable")["ratio"].median().sort_values()
    last = values.index[-1].removesuffix("/kernel")
    ratio.healthy = values.iloc[0] / 2, (values.iloc[1] + values.iloc[2]) / 2
    assert f"Only the median is in the band: {last} is outside." in repr(ratio)


def test_the_update_ratio_of_dead_units_is_not_below_the_band():
    text, ratio = dying(rate=10.0)
    frame = ratio.to_frame().query("step == 3")
    kernels = frame[frame["variable"].str.endswith("kernel")]
    assert (kernels["gradient_norm"] == 0).all()
    assert "below the healthy band" not in text
    medians = frame_of_medians(ratio)
    assert f"{medians.max():.1e} at step {medians.idxmax()}, is far above" in text
    assert "the gradient of hidden, last is zero" in text
    assert "a higher learning rate does not help" in text


def test_small_updates_with_a_gradient_are_below_the_band():
    text, _ = dying(rate=1e-7)
    assert "below the healthy band" in text
    assert "dead" not in text
