import keras
import numpy as np
import pytest

from zoo import datasets, mlp
from zoo.adversarial import (
    FGSM,
    AdversarialTrainer,
    evaluate_robustness,
)

ops = keras.ops
QUICK = {"steps": 20, "restarts": 2, "verbose": 0}


@keras.saving.register_keras_serializable(package="tests")
class Quantise(keras.layers.Layer):
    def call(self, x):
        return ops.round(8 * x) / 8


@keras.saving.register_keras_serializable(package="tests")
class AlwaysRandom(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, x):
        return x + keras.random.normal(ops.shape(x), seed=self.generator)


def on_top(model, *layers):
    outputs = model.output
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(model.input, outputs)


@pytest.fixture(scope="module")
def report(trained, digits):
    return evaluate_robustness(trained, digits[1], (0.1, 0.0, 0.04), **QUICK)


@pytest.mark.heavy
def test_epsilon_zero_is_the_accuracy_to_the_digit(report, trained, digits):
    predicted = trained.predict(digits[1][0], verbose=0).argmax(axis=1)
    assert report.robust_accuracy[0.0] == (predicted == digits[1][1]).mean()
    assert report.clean_accuracy == report.robust_accuracy[0.0]


@pytest.mark.heavy
def test_stages_come_one_after_another(report):
    frame = report.to_frame()
    assert list(dict.fromkeys(frame["stage"])) == [
        *("clean", "fgsm", "pgd", "apgd_ce", "apgd_dlr", "apgd_targeted")
    ]
    assert list(dict.fromkeys(frame["epsilon"])) == [0.0, 0.04, 0.1]
    for _, rows in frame[frame["epsilon"] > 0].groupby("epsilon"):
        left = rows["attacked"] - rows["broken"]
        np.testing.assert_array_equal(left[1:-1], rows["attacked"][2:])
        np.testing.assert_allclose(left[1:] / 497, rows["accuracy"][1:])
        assert (rows["low"] < rows["accuracy"]).all()
        assert (rows["high"] > rows["accuracy"]).all()
        largest = rows["largest_perturbation"][1:]
        assert largest.max() <= rows["epsilon"].iloc[0] * (1 + 1e-6)
    assert report.robust_accuracy[0.1] < report.robust_accuracy[0.04] < 0.95
    assert not frame["non_finite"].any()
    assert report.warnings == []


@pytest.mark.heavy
def test_the_table_and_the_picture(report):
    text = str(report)
    assert "apgd_targeted" in text
    assert f"{100 * report.robust_accuracy[0.04]:.2f}" in text
    assert "WARNING" not in text
    figure = report.plot()
    curve, panel = figure.subfigs
    line = curve.axes[0].lines[-1].get_xydata()
    np.testing.assert_allclose(line[:, 0], [0, 0.04, 0.1])
    np.testing.assert_allclose(line[:, 1], list(report.robust_accuracy.values()))
    axes = panel.axes
    assert len(axes) == 15
    first_lines = [ax.get_title().splitlines()[0] for ax in axes[:3]]
    assert first_lines == ["original", "change, epsilon 0.1", "adversarial"]


def masked(trained):
    scale = keras.layers.Rescaling
    softmax = keras.layers.Softmax
    return {
        "x 100": on_top(trained, scale(100.0)),
        "softmax": on_top(trained, softmax()),
        "softmax over x 100": on_top(trained, scale(100.0), softmax()),
        "activation over x 10000": on_top(
            trained, scale(1e4), keras.layers.Activation("softmax")
        ),
    }


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name",
    [
        "softmax over x 100",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("x 100", "softmax", "activation over x 10000")
        ),
    ],
)
def test_masked_models_are_as_robust_as_the_one_that_they_mask(
    name, report, trained, digits
):
    found = evaluate_robustness(masked(trained)[name], digits[1], 0.1, **QUICK)
    assert found.robust_accuracy[0.1] == pytest.approx(
        report.robust_accuracy[0.1], abs=0.02
    )
    assert found.warnings == []
    frame = found.to_frame().set_index("stage")
    # Not thanks to the last stages alone.
    assert frame.loc["pgd", "accuracy"] < report.robust_accuracy[0.1] + 0.04


@pytest.mark.heavy
def test_a_quantised_input_is_named(trained, digits):
    model = keras.Sequential([keras.Input((64,)), Quantise(), trained])
    found = evaluate_robustness(model, digits[1], 0.1, **QUICK)
    assert "exactly zero at 200 of 200" in found.warnings[0]
    assert all("upper bound" in warning for warning in found.warnings)
    assert f"WARNING: {found.warnings[0]}" in str(found)


def sample(digits):
    return tuple(part[:100] for part in digits[1])


@pytest.mark.slow
def test_inputs_saturated_by_a_layer_are_named(trained, digits):
    layers = [keras.layers.Rescaling(2e3, offset=-1e3), keras.layers.Activation("tanh")]
    model = keras.Sequential([keras.Input((64,)), *layers, trained])
    found = evaluate_robustness(model, sample(digits), 0.1, **QUICK)
    assert any("gradient with respect to the input" in w for w in found.warnings)


@pytest.mark.slow
def test_random_inference_is_named(trained, digits):
    model = keras.Sequential([keras.Input((64,)), trained, AlwaysRandom()])
    found = evaluate_robustness(model, sample(digits), 0.1, **QUICK)
    assert any("the model is random" in warning for warning in found.warnings)


@pytest.mark.slow
def test_probabilities_that_no_last_layer_made_are_named(trained, digits):
    hidden = on_top(trained, keras.layers.Softmax(), keras.layers.Rescaling(1.0))
    found = evaluate_robustness(hidden, sample(digits), 0.1, **QUICK)
    plain = evaluate_robustness(trained, sample(digits), 0.1, **QUICK)
    assert found.robust_accuracy[0.1] == pytest.approx(
        plain.robust_accuracy[0.1], abs=0.02
    )
    (warning,) = found.warnings
    assert "look like softmax probabilities" in warning


@pytest.mark.heavy
@pytest.mark.parametrize(
    "from_logits", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_loss_that_contradicts_the_head_is_named(from_logits, trained, digits):
    model = on_top(
        trained, keras.layers.Softmax() if from_logits else keras.layers.Identity()
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile("sgd", loss)
    found = evaluate_robustness(model, sample(digits), 0.02, **QUICK)
    (warning,) = found.warnings
    assert f"from_logits={from_logits}" in warning


@pytest.mark.slow
def test_a_constant_model_is_named(digits):
    model = mlp((64,), 10, units=())
    model.set_weights([np.zeros((64, 10)), 5 * np.eye(10)[3]])
    x, y = sample(digits)
    found = evaluate_robustness(model, (x, y), 0.1, **QUICK)
    assert found.robust_accuracy[0.1] == (y == 3).mean()
    assert any("With epsilon 1" in warning for warning in found.warnings)
    none_right = evaluate_robustness(model, (x, (y * 0 + 4)), 0.1, **QUICK)
    assert none_right.warnings == [
        "No example is classified correctly, without any attack."
    ]


@pytest.mark.slow
def test_the_batch_size_does_not_matter(trained, digits):
    data = sample(digits)
    first, second = (
        evaluate_robustness(trained, data, (0.05, 0.1), batch_size=size, **QUICK)
        for size in (100, 33)
    )
    assert first.robust_accuracy == second.robust_accuracy


@pytest.mark.slow
def test_batches_of_data_and_one_hot_labels(trained, digits):
    x, y = sample(digits)
    expected = evaluate_robustness(trained, (x, y), 0.1, **QUICK).robust_accuracy
    batched = datasets.from_arrays((x, y), test=(x, y), batch_size=32).test
    for data in (batched, (x, np.eye(10)[y]), [(x[:60], y[:60]), (x[60:], y[60:])]):
        found = evaluate_robustness(trained, data, 0.1, **QUICK)
        assert found.robust_accuracy == expected


@pytest.mark.slow
def test_it_changes_nothing(digits):
    model = mlp((64,), 10, units=(16,), normalization="batch", dropout=0.5)
    before = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    keras.utils.set_random_seed(1)
    evaluate_robustness(model, sample(digits), 0.1, **QUICK)
    drawn = np.array(ops.convert_to_numpy(keras.random.normal((2,))))
    keras.utils.set_random_seed(1)
    again = np.array(ops.convert_to_numpy(keras.random.normal((2,))))
    np.testing.assert_array_equal(drawn, again)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)


@pytest.mark.slow
def test_l2_and_a_mask(trained, digits):
    mask = np.arange(64) < 32
    half, all_features = (
        evaluate_robustness(
            trained, sample(digits), 0.8, norm="l2", mask=mask, **QUICK
        ).robust_accuracy[0.8]
        for mask in (mask, None)
    )
    assert all_features < half < 0.95


@pytest.mark.heavy
def test_in_l1_the_robust_accuracy_of_a_linear_model_is_exact(linear):
    model, difference = linear
    x = np.random.default_rng(0).uniform(0.35, 0.65, (60, 5)).astype("float32")
    scores = x @ difference
    model.layers[-1].bias.assign([np.median(scores), 0.0])
    scores -= np.median(scores)
    y = (scores > 0).astype(int)
    y[:4] = 1 - y[:4]
    epsilons = (0.02, 0.1)  # even the larger reaches no bound of the inputs
    report = evaluate_robustness(
        model, (x, y), epsilons, norm="l1", certify=True, minimal=True, **QUICK
    )
    distances = np.where(np.arange(60) < 4, 0, np.abs(scores) / 2)
    for epsilon in epsilons:
        expected = distances > epsilon
        assert np.abs(distances - epsilon).min() > 1e-4
        np.testing.assert_array_equal(report.robust[epsilon], expected)
        np.testing.assert_array_equal(report.certificate.certified[epsilon], expected)
    assert 0 < report.robust_accuracy[0.1] < report.robust_accuracy[0.02] < 1
    np.testing.assert_allclose(report.distances, distances, rtol=0.01, atol=1e-4)
    assert report.warnings == []


@pytest.mark.slow
def test_in_l1_rounded_inputs_are_named_and_attacked(trained, digits):
    rounded = keras.Sequential([keras.Input((64,)), Quantise(), trained])
    report = evaluate_robustness(rounded, sample(digits), 3.0, norm="l1", **QUICK)
    assert "exactly zero" in report.warnings[0]
    frame = report.to_frame().set_index("stage")
    assert list(frame.index)[-2:] == ["apgd_targeted", "smoothed"]
    assert frame.loc["smoothed", "broken"] > 0.2 * frame.loc["smoothed", "attacked"]


@pytest.mark.slow
def test_of_a_trainer_its_model_is_evaluated(trained, digits):
    found = evaluate_robustness(
        AdversarialTrainer(trained, FGSM(0.1)), sample(digits), 0.1, **QUICK
    )
    expected = evaluate_robustness(trained, sample(digits), 0.1, **QUICK)
    assert found.robust_accuracy == expected.robust_accuracy


@pytest.mark.heavy
def test_a_progress_bar(trained, digits, capsys):
    evaluate_robustness(trained, sample(digits), 0.1, **{**QUICK, "verbose": 1})
    assert "500/500" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("epsilons", "options", "message"),
    [
        (-0.1, {}, "`epsilons`. Expected a number >= 0"),
        ([0.1, float("nan")], {}, "`epsilons`. Expected a number >= 0"),
        ([], {}, "`epsilons`. Expected one number at least"),
        ("0.1", {}, "`epsilons`. Expected a number or several"),
        (8, {}, "`epsilons`. Expected at most 1, the largest linf"),
        (9, {"norm": "l2"}, "`epsilons`. Expected at most 8, the largest l2"),
        (65, {"norm": "l1"}, "`epsilons`. Expected at most 64, the largest l1"),
        (0.1, {"norm": "l3"}, "`norm`. Expected one of"),
        (0.1, {"bounds": (0, 0)}, "`bounds`. Expected two finite numbers"),
        (0.1, {"bounds": (0, 0.5)}, "`x`. Expected values within.*from 0 to 1"),
        (0.1, {"mask": 2}, "`mask`. Expected booleans"),
        (0.1, {"mask": [True] * 3}, "`mask`.*the shape of an example, .*64.*3,"),
        (0.1, {"steps": 0}, "`steps`. Expected an integer >= 1"),
        (0.1, {"restarts": 0}, "`restarts`. Expected an integer >= 1"),
        (0.1, {"batch_size": 0}, "`batch_size`. Expected an integer >= 1"),
        (0.1, {"seed": -1}, "`seed`. Expected an integer >= 0"),
        (0.1, {"verbose": 2}, "`verbose`. Expected one of 0, 1"),
    ],
)
def test_wrong_arguments(epsilons, options, message, trained, digits):
    with pytest.raises(ValueError, match=message):
        evaluate_robustness(trained, sample(digits), epsilons, **options)


@pytest.mark.parametrize("data", [3, [], [1, 2, 3], np.ones((4, 64))])
def test_wrong_data(data, trained):
    with pytest.raises(ValueError, match="`data`. Expected arrays"):
        evaluate_robustness(trained, data, 0.1)
