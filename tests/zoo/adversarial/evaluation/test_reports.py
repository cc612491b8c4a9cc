"""Reports with certificates: their table and picture, files and comparisons."""

import dataclasses
import html

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from zoo import mlp
from zoo.adversarial import (
    CertificateReport,
    RobustnessReport,
    certify,
    compare,
    evaluate_robustness,
)
from zoo.adversarial.evaluation.self_checks import check_certificates

QUICK = {"steps": 5, "restarts": 1, "verbose": 0}


@pytest.fixture
def report():
    """Results for 60 examples: 54 are correct, fewer robust, even fewer certified."""
    counts = {0.02: (50, 40), 0.06: (30, 9)}  # robust, certified
    index = np.arange(60)
    labels, correct = index % 3, index < 54
    robust = {epsilon: index < count for epsilon, (count, _) in counts.items()}
    margins = {
        epsilon: np.where(
            np.eye(3, dtype=bool)[labels],
            np.inf,
            np.where(index < count, 1.5, -0.5)[:, None],
        )
        for epsilon, (_, count) in counts.items()
    }
    certificate = CertificateReport(
        norm="linf",
        method="crown",
        labels=labels,
        correct=correct,
        margins=margins,
        errors={epsilon: np.full((60, 3), 1e-3) for epsilon in counts},
        seconds=dict.fromkeys(counts, 0.5),
    )
    rows = [
        {
            "epsilon": epsilon,
            "stage": stage,
            "accuracy": count / 60,
            "low": count / 60 - 0.1,
            "high": count / 60 + 0.1,
            "attacked": 54,
            "broken": 54 - count,
            "largest_perturbation": epsilon,
            "non_finite": 0,
            "seconds": 1.0,
            "seed": 3,
        }
        for epsilon, (left, _) in counts.items()
        for stage, count in (("clean", 54), ("pgd", left))
    ]
    x = np.random.default_rng(0).random((4, 8, 8))
    examples = {
        "epsilon": 0.06,
        "x": x,
        "adversarial": x + 0.06,
        "label": labels[:4],
        "predicted": labels[:4],
        "fooled": labels[1:5],
    }
    return RobustnessReport(
        rows=tuple(rows),
        warnings=["Something is wrong."],
        norm="linf",
        examples=examples,
        correct=correct,
        robust=robust,
        data="digest",
        certificate=certificate,
        distances=np.linspace(0, 1, 60),
    )


@pytest.mark.heavy
def test_certified_and_attacked_accuracy_bracket_the_robust_one(trained, digits):
    data, epsilons = tuple(part[:60] for part in digits[1]), (0.02, 0.06)
    report = evaluate_robustness(trained, data, epsilons, certify=True, **QUICK)
    certificate = certify(trained, data, epsilons, verbose=0)
    assert report.certified_accuracy == certificate.certified_accuracy
    assert report.warnings == []
    for epsilon, robust in report.robust.items():
        assert robust.mean() == report.robust_accuracy[epsilon]
        certified = certificate.certified[epsilon]
        assert not (certified & ~robust).any()
        assert report.gap[epsilon] == robust.sum() - certified.sum()
    assert report.gap[0.06] > 0


def test_the_table_and_the_picture_show_both(report):
    lines = str(report).splitlines()
    assert lines[1].split()[-2:] == ["certified", "unknown"]
    assert lines[2].split()[-2:] == ["66.67", "10"]
    assert lines[3].split()[-2:] == ["15.00", "21"]
    assert report.gap == {0.02: 10, 0.06: 21}
    axes = report.plot().subfigs[0].axes[0]
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    for label, counts in (("certified", [54, 40, 9]), ("all stages", [54, 50, 30])):
        np.testing.assert_allclose(60 * lines[label][:, 1], counts)
    assert "unknown" in [some.get_label() for some in axes.collections]


def test_the_changes_of_images_have_one_scale(report):
    x = np.random.default_rng(0).random((3, 4, 4, 1))
    change = np.array([0.1, -0.2, 0.05]).reshape(3, 1, 1, 1) * np.ones_like(x)
    labels = {name: np.arange(3) for name in ("label", "predicted", "fooled")}
    examples = {"x": x, "adversarial": x + change, "epsilon": 0.2, **labels}
    figure = dataclasses.replace(report, examples=examples).plot()
    *axes, bar = figure.subfigs[1].axes
    assert len(axes) == 9
    for ax, expected in zip(axes[1::3], change, strict=True):
        np.testing.assert_allclose(ax.images[0].get_array(), expected[..., 0])
        np.testing.assert_allclose(ax.images[0].get_clim(), [-0.2, 0.2])
    np.testing.assert_allclose(bar.get_xlim(), [-0.2, 0.2])
    assert bar.get_xlabel() == "change of a pixel"
    plt.close("all")


def test_consoles_and_notebooks_show_the_table(report):
    for some in (report, report.certificate):
        assert repr(some) == str(some)
        assert some._repr_html_() == f"<pre>{html.escape(str(some))}</pre>"


def test_a_report_is_the_same_after_loading(report, tmp_path):
    path = tmp_path / "report.npz"
    report.save(path)
    loaded = RobustnessReport.load(path)
    assert str(loaded) == str(report)
    for field in dataclasses.fields(report):
        if field.name != "certificate":
            found, expected = (getattr(one, field.name) for one in (loaded, report))
            np.testing.assert_equal(found, expected)
    np.testing.assert_equal(
        dataclasses.asdict(loaded.certificate), dataclasses.asdict(report.certificate)
    )
    assert len(loaded.plot().subfigs[1].axes) == len(report.plot().subfigs[1].axes)
    report.certificate.save(path)
    assert str(CertificateReport.load(path)) == str(report.certificate)
    with pytest.raises(ValueError, match="`path`. Expected a file with a saved Robust"):
        RobustnessReport.load(path)
    with pytest.raises(ValueError, match=r"`path`.*\.npz"):
        report.save(tmp_path / "report.json")
    (tmp_path / "other.npz").write_text("something else")
    with pytest.raises(ValueError, match="`path`"):
        RobustnessReport.load(tmp_path / "other.npz")


def edited(report, **changes):
    return dataclasses.replace(report, **changes)


def test_a_comparison_is_paired(report):
    other = {}
    for epsilon, robust in report.robust.items():
        left = np.flatnonzero(robust)
        other[epsilon] = robust.copy()
        other[epsilon][left[:12]] = False
        other[epsilon][np.flatnonzero(~robust)[:2]] = True
    comparison = compare(report, edited(report, robust=other))
    table = comparison.to_frame().set_index(["measure", "epsilon"])
    assert list(table.index) == [
        ("robust", 0.0),
        *((measure, one) for measure in ("robust", "certified") for one in other),
    ]
    row = table.loc[("robust", 0.06)]
    assert (row["only_first"], row["only_second"]) == (12, 2)
    assert row["difference"] == pytest.approx(-10 / 60)
    assert row["second"] - row["first"] == pytest.approx(-10 / 60)
    assert row["low"] < -10 / 60 < row["high"] < 0
    # McNemar: twice the binomial tail of 2 or fewer of 14.
    assert row["p_value"] == pytest.approx(2 * stats.binom.cdf(2, 14, 0.5))
    same = table.loc[("certified", 0.06)]
    assert same["difference"] == 0
    assert same["p_value"] == 1
    assert same["low"] < 0 < same["high"]
    lines = str(comparison).splitlines()
    assert len(lines) == 2 + len(table)
    assert max(map(len, lines)) <= 80
    assert "-16.67" in lines[2 + list(table.index).index(("robust", 0.06))]


def test_a_comparison_says_how_the_attacks_differ(report):
    settings = {"steps": 2, "restarts": 5, "bounds": [0.0, 1.0], "mask": None}
    first = edited(report, settings=settings)
    assert compare(first, first).warnings == []
    rows = [*report.rows, {**report.rows[-1], "stage": "square"}]
    stronger = edited(report, settings={**settings, "steps": 9}, rows=tuple(rows))
    differ, stages = compare(first, stronger).warnings
    assert differ.startswith("The attacks differ: steps is 2 and 9. A model")
    assert stages.startswith(
        "Only the second model was attacked in the stages 'square'"
    )
    assert str(compare(first, stronger)).endswith(
        f"WARNING: {differ}\nWARNING: {stages}"
    )
    seeds = tuple({**row, "seed": 4} for row in report.rows)
    (differ,) = compare(first, edited(first, rows=seeds)).warnings
    assert "seed is 3 and 4" in differ


def test_reports_that_cannot_be_compared_are_named(report):
    for message, other in (
        ("Expected a RobustnessReport", "report"),
        ("Received: second='a report in l2'", edited(report, norm="l2")),
        ("second='a report on 60 other examples'", edited(report, data="other")),
        (r"the epsilons \[0.5\]", edited(report, robust={0.5: report.correct})),
    ):
        with pytest.raises(ValueError, match=f"`second`.*{message}"):
            compare(report, other)


def test_a_certified_example_that_is_broken_is_a_warning():
    robust = {0.1: np.array([True, True, False]), 0.2: np.array([True, False, False])}
    certified = {0.1: np.array([True, False, False]), 0.2: np.array([True, True, True])}
    (warning,) = check_certificates(certified, robust)
    assert "At epsilon 0.2, attacks have broken 2 certified" in warning


def test_layers_without_bounds_are_named_before_any_attack():
    model = mlp((4,), 2, units=(3,), activation="gelu")
    data = np.zeros((2, 4)), np.array([0, 1])
    with pytest.raises(ValueError, match="activation gelu"):
        evaluate_robustness(model, data, 0.1, certify=True, verbose=0)
    with pytest.raises(ValueError, match="`certify`"):
        evaluate_robustness(keras.Sequential(), data, 0.1, certify="crown")
