"""Smoothing beside its closed form, on a linear classifier."""

import json

import keras
import numpy as np
import pytest
from scipy import stats

from zoo import mlp
from zoo.adversarial import SmoothedClassifier
from zoo.adversarial.certification.smoothing_report import SmoothingReport

SIGMA = 0.5
OPTIONS = {"n0": 50, "n": 4000, "batch_size": 1500, "verbose": 0}


@pytest.fixture
def smoothed(linear):
    return SmoothedClassifier(linear[0], SIGMA)


@pytest.fixture
def data(linear):
    """Points at known distances from the boundary of a linear classifier."""
    direction = linear[1] / np.linalg.norm(linear[1])
    distances = np.array([-1.0, -0.6, 0.3, 0.5, 0.8])
    x = distances[:, None] * direction + 0.0
    return x.astype("float32"), (distances > 0).astype(int), np.abs(distances)


def test_a_radius_is_the_distance_to_a_linear_boundary_and_less(smoothed, data):
    x, y, distances = data
    report = smoothed.certify((x, y), **OPTIONS)
    assert report.predictions.tolist() == y.tolist()
    # For a linear classifier the radius of the exact probability is the distance.
    assert (report.radii < distances).all()
    counts = stats.norm.cdf(distances / SIGMA) * OPTIONS["n"]
    typical = SIGMA * stats.norm.ppf(
        stats.beta.ppf(0.001, counts, OPTIONS["n"] - counts + 1)
    )
    np.testing.assert_allclose(report.radii, typical, atol=0.1)


def test_too_few_draws_make_it_abstain(smoothed, data):
    report = smoothed.certify(data[:2], n0=10, n=5, verbose=0)
    assert report.predictions.tolist() == [-1] * 5  # 0.001 ** (1 / 5) < 1 / 2
    assert report.to_frame()["abstained"].all()
    assert report.certified_accuracy(0.0) == 0.0


def test_predict_abstains_at_the_boundary(smoothed, data):
    x = np.concatenate([data[0], np.zeros((1, 5), "float32")])
    predicted = smoothed.predict(x, n=2000)
    assert predicted.tolist() == [*data[1], -1]


def test_examples_have_noise_of_their_own(smoothed, data):
    x = np.repeat(data[0][2:3], 4, axis=0)
    report = smoothed.certify((x, [1] * 4), **OPTIONS)
    assert len(set(report.radii)) > 1
    again = smoothed.certify((x, [1] * 4), **OPTIONS)
    np.testing.assert_array_equal(report.radii, again.radii)
    other = smoothed.certify((x, [1] * 4), seed=1, **OPTIONS)
    assert (report.radii != other.radii).any()


def test_an_interrupted_run_goes_on(smoothed, data, tmp_path, monkeypatch):
    x, y, _ = data
    path = tmp_path / "rows.json"
    whole = smoothed.certify((x, y), **OPTIONS)
    smoothed.certify((x, y), path=path, **OPTIONS)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "rows": content["rows"][:3]}))
    calls = []
    certify_one = SmoothedClassifier._certify_one

    def counted(self, *arguments):
        calls.append(arguments)
        return certify_one(self, *arguments)

    monkeypatch.setattr(SmoothedClassifier, "_certify_one", counted)
    report = smoothed.certify((x, y), path=path, **OPTIONS)
    assert len(calls) == 2
    np.testing.assert_array_equal(report.radii, whole.radii)


def test_results_of_another_call_are_refused(smoothed, data, tmp_path):
    path = tmp_path / "rows.json"
    smoothed.certify(data[:2], path=path, **OPTIONS)
    with pytest.raises(ValueError, match="Different: seed"):
        smoothed.certify(data[:2], path=path, seed=3, **OPTIONS)
    with pytest.raises(ValueError, match="Different: model_and_data"):
        smoothed.certify((data[0], 1 - data[1]), path=path, **OPTIONS)
    path.write_text("something else")
    with pytest.raises(ValueError, match="`path`"):
        smoothed.certify(data[:2], path=path, **OPTIONS)


def test_outputs_that_are_not_finite_count_for_no_class(linear, data):
    model, _ = linear
    model.layers[-1].bias.assign([np.nan, np.nan])
    report = SmoothedClassifier(model, SIGMA).certify(data[:2], n=1000, verbose=0)
    assert (report.predictions == -1).all()


def test_a_report_counts_what_is_right_within_a_radius():
    report = SmoothingReport(
        sigma=0.25,
        n=100,
        alpha=0.001,
        labels=np.array([0, 1, 2, 2]),
        predictions=np.array([0, 1, 1, -1]),
        radii=np.array([0.5, 0.25, 0.5, 0.0]),
        seconds=1.0,
    )
    found = [report.certified_accuracy(radius) for radius in (0, 0.2, 0.25, 0.5)]
    assert found == [0.5, 0.5, 0.25, 0.0]
    assert "1 abstained" in str(report)
    assert len(report.plot().axes) == 1
    assert report.to_frame()["correct"].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n0": 0}, "n0"),
        ({"n": 1.5}, "n"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": 1}, "alpha"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"verbose": 2}, "verbose"),
        ({"data": np.zeros((2, 5))}, "data"),
        ({"data": (np.zeros((2, 4)), [0, 1])}, "x"),
        ({"data": (np.zeros((2, 5)), [0, 7])}, "y"),
    ],
)
def test_bad_arguments_are_named(smoothed, options, name):
    arguments = {"data": (np.zeros((2, 5)), [0, 1]), **options}
    with pytest.raises(ValueError, match=f"`{name}`"):
        smoothed.certify(**arguments)


def test_models_and_sigmas_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="`sigma`"):
        SmoothedClassifier(mlp((4,), 2), 0.0)
    with pytest.raises(ValueError, match="`model`"):
        SmoothedClassifier(keras.Sequential([keras.layers.Dense(2)]), 0.5)
