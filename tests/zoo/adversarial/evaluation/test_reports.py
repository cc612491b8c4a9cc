"""Reports with certificates: their table and picture, files and comparisons."""

import dataclasses

import keras
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


@pytest.fixture(scope="module")
def data(digits):
    return tuple(part[:60] for part in digits[1])


@pytest.fixture(scope="module")
def report(trained, data):
    return evaluate_robustness(trained, data, (0.02, 0.06), certify=True, **QUICK)


def test_certified_and_attacked_accuracy_bracket_the_robust_one(report, trained, data):
    certificate = certify(trained, data, (0.02, 0.06), verbose=0)
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
    for line, epsilon in zip(lines[2:], (0.02, 0.06), strict=True):
        certified = f"{100 * report.certified_accuracy[epsilon]:.2f}"
        assert line.split()[-2:] == [certified, str(report.gap[epsilon])]
    axes = report.plot().subfigs[0].axes[0]
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    clean = report.clean_accuracy
    for label, values in (
        ("certified", report.certified_accuracy),
        ("all stages", report.robust_accuracy),
    ):
        np.testing.assert_allclose(lines[label][:, 1], [clean, *values.values()])
    assert "unknown" in [some.get_label() for some in axes.collections]


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
    table = compare(report, edited(report, robust=other)).set_index(
        ["measure", "epsilon"]
    )
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


def test_reports_that_cannot_be_compared_are_named(report):
    for name, other in (
        ("second", "report"),
        ("second", edited(report, norm="l2")),
        ("second", edited(report, data="other")),
        ("second", edited(report, robust={0.5: report.correct})),
    ):
        with pytest.raises(ValueError, match=f"`{name}`"):
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
