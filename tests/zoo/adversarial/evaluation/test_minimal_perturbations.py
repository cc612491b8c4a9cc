"""The smallest perturbations: exact distances, and what the reports make of them."""

import itertools

import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import (
    PGD,
    AdversarialTrainer,
    PerturbationReport,
    evaluate_robustness,
    minimal_perturbations,
)

DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


@pytest.mark.parametrize(
    "norm", ["linf", "l2", pytest.param("l1", marks=pytest.mark.heavy)]
)
def test_linear_models_have_known_distances(linear, norm):
    model, difference = linear
    x = np.random.default_rng(0).uniform(-1, 1, (40, 5)).astype("float32")
    scores = x @ difference
    y = (scores > 0).astype(int)
    y[:4] = 1 - y[:4]
    report = minimal_perturbations(model, (x, y), norm, bounds=(-9, 9), verbose=0)
    expected = np.abs(scores) / np.linalg.norm(difference, DUAL[norm])
    expected[:4] = 0
    assert (report.distances >= expected * (1 - 1e-4)).all()
    np.testing.assert_allclose(report.distances, expected, rtol=0.01, atol=1e-4)
    assert report.median == pytest.approx(np.median(expected), rel=0.01)
    predicted = model.predict(report.adversarial, verbose=0).argmax(axis=1)
    assert (predicted != y).all()
    np.testing.assert_array_equal(predicted, report.fooled)


@pytest.mark.heavy
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_distances_are_those_of_a_fine_grid(norm):
    model = mlp((2,), 2, units=(8,))
    generator = np.random.default_rng(3)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    grid = np.linspace(0, 1, 301)
    points = np.array(list(itertools.product(grid, grid)), "float32")
    classes = model.predict(points, batch_size=4096, verbose=0).argmax(axis=1)
    x = points[generator.choice(len(points), 30, replace=False)]
    y = model.predict(x, verbose=0).argmax(axis=1)
    report = minimal_perturbations(model, (x, y), norm, verbose=0)
    order = np.inf if norm == "linf" else 2
    for row, distance, label in zip(x, report.distances, y, strict=True):
        found = np.linalg.norm(points[classes != label] - row, order, axis=1)
        nearest = found.min(initial=np.inf)
        assert distance > nearest - 0.005  # half a diagonal of the grid, and more
        assert distance < nearest * 1.1 + 0.005 or np.isinf(nearest)
    assert report.adversarial.min() >= 0
    assert report.adversarial.max() <= 1


def test_only_allowed_features_change(linear):
    model, difference = linear
    x = np.full((3, 5), 0.3, "float32")
    y = model.predict(x, verbose=0).argmax(axis=1)
    mask = [False, True, False, False, False]
    report = minimal_perturbations(
        model, (x, y), bounds=(-9, 9), mask=mask, batch_size=2, verbose=0
    )
    assert (report.adversarial[:, [0, 2, 3, 4]] == x[:, [0, 2, 3, 4]]).all()
    expected = abs(x[0] @ difference / difference[1])
    np.testing.assert_allclose(report.distances, expected, rtol=0.01)


def test_nothing_is_found_where_nothing_is():
    model = mlp((2,), 2, units=())
    model.set_weights([np.zeros((2, 2)), np.array([1.0, 0.0])])
    data = np.full((2, 2), 0.5, "float32"), np.array([0, 1])
    report = minimal_perturbations(model, data, steps=5, verbose=0)
    assert report.distances.tolist() == [np.inf, 0.0]
    assert "none found for 1" in str(report)
    report.plot()


def test_a_report_counts_what_is_left():
    report = PerturbationReport(
        norm="l2",
        labels=np.array([0, 1, 1, 0]),
        fooled=np.array([1, 1, 0, 1]),
        distances=np.array([0.5, np.inf, 0.25, 0.0]),
        adversarial=np.zeros((4, 2)),
        seconds=1.0,
    )
    found = [report.robust_accuracy(epsilon) for epsilon in (0, 0.25, 0.4, 0.5, 9)]
    assert found == [0.75, 0.5, 0.5, 0.25, 0.25]
    assert report.median == 0.375
    assert report.to_frame()["distance"].tolist()[2] == 0.25
    line = report.plot().axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(line, [[0, 0.75], [0, 0.75], [0.25, 0.5], [0.5, 0.25]])


@pytest.mark.heavy
def test_the_evaluation_takes_them_as_a_stage(trained, digits, tmp_path):
    data = tuple(part[:60] for part in digits[1])
    epsilons = (0.02, 0.08)
    report = evaluate_robustness(
        trained, data, epsilons, steps=10, restarts=1, minimal=True, verbose=0
    )
    assert list(dict.fromkeys(report.to_frame()["stage"]))[-1] == "minimal"
    for epsilon, robust in report.robust.items():
        np.testing.assert_array_equal(report.distances > epsilon, robust)
    alone = minimal_perturbations(trained, data, "linf", steps=20, verbose=0)
    assert report.median_distance == pytest.approx(alone.median, rel=0.05)
    assert f"{report.median_distance:.4g}" in str(report)
    path = tmp_path / "report.npz"
    report.save(path)
    np.testing.assert_array_equal(type(report).load(path).distances, report.distances)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"norm": "l3"}, "norm"),
        ({"steps": 0}, "steps"),
        ({"bounds": (1, 0)}, "bounds"),
        ({"mask": [True, False]}, "mask"),
        ({"batch_size": 0}, "batch_size"),
        ({"verbose": 2}, "verbose"),
        ({"data": np.zeros((2, 5))}, "data"),
        ({"data": (np.zeros((2, 5)), np.array([0, 7]))}, "y"),
    ],
)
def test_bad_arguments_are_named(linear, options, name):
    trainer = AdversarialTrainer(linear[0], PGD(0.1))
    arguments = {"model": trainer, "data": (np.zeros((2, 5)), np.array([0, 1]))}
    with pytest.raises(ValueError, match=f"`{name}`"):
        minimal_perturbations(**{**arguments, **options})
