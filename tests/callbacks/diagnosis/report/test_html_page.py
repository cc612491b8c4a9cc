"""The page of a report, also opened in a headless browser where there is one."""

import re
from dataclasses import replace

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

from callbacks.diagnosis import DiagnosisReport, Evidence, Finding
from callbacks.diagnosis.data.sample_data import Sample
from callbacks.diagnosis.report.pictures import TEXTS, pictures_of
from callbacks.diagnosis.run.pass_facts import run_pass

pytestmark = pytest.mark.one_backend

LONG = "a_layer_with_a_name_that_is_longer_than_a_phone_is_wide_" * 2
SHOWN = {  # a fault for each picture
    "loss": "not_finite",
    "ratio": "learning_rate_too_high",
    "gradients": "vanishing_gradients",
    "outputs": "labels_out_of_range",
    "inputs": "inputs_not_scaled",
    "activations": "dead_units",
    "weights": "bad_initialization",
    "graph": "linear_hidden_stack",
}


def finding(picture, cause=None, severity="warning", where=f"layer '{LONG}'"):
    evidence = Evidence("The value of `x` is <b>1e9</b>.", 1e9, 10.0, step=50)
    advice = (f"keras.layers.Dense(16, name='{LONG}')", "Or call `model.compile`.")
    cause = cause or SHOWN[picture]
    return Finding(cause, severity, where, (evidence,), advice, picture)


@pytest.fixture
def facts(compiled, dense, table, facts_of, training):
    """Facts of a run that had a warm-up, and in which NaN appeared."""
    x, y = table
    hidden = dense(name=LONG, kernel_initializer=keras.initializers.RandomNormal(9))
    model = compiled(hidden, dense(8, "tanh", name="bounded"), dense(3, "softmax"))
    rates = 1e-3 * np.minimum(1, np.arange(20) / 5)
    gradient = np.full((20, 3), [1e-6, 1e-2, 1.0])
    gradient[-1] = np.nan
    run = training(
        [2.0, 1.0, np.nan],
        val_loss=[2.1, 1.2, 1.3],
        rate=rates,
        ratio=np.concatenate([[np.nan], np.geomspace(1, 1e-8, 19)]),
        gradient=gradient,
    )
    found = facts_of(model, x * 1e4, y, training=run)
    return replace(found, end=run_pass(model, Sample(x * 1e4, y)))


@pytest.fixture
def faulty(facts):
    assert pictures_of(facts).keys() == SHOWN.keys() == TEXTS.keys()
    findings = [finding("loss", severity="error"), *map(finding, list(SHOWN)[1:])]
    findings.append(finding("loss", "unfit_metric", "hint", "argument `metrics`"))
    return DiagnosisReport(tuple(findings), ("3 layers",), ("the loss `f`",), facts)


@pytest.fixture
def healthy(facts):
    return DiagnosisReport((), ("the 3 layers of the model",), (), facts)


def written(report, tmp_path):
    path = tmp_path / "report.html"
    report.to_html(path)
    return path


@pytest.mark.heavy
def test_the_page_is_complete_and_needs_no_other_file(faulty, tmp_path):
    page = written(faulty, tmp_path).read_text()
    sources = re.findall(r'(?:src|srcset)="([^"]{0,30})', page)
    assert len(sources) == len(SHOWN)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page
    assert "@import" not in page
    assert [*tmp_path.iterdir()] == [tmp_path / "report.html"]
    # A picture is shown once, and texts are escaped.
    assert page.count('alt="Loss"') == 1
    assert 'See the picture of <a href="#finding-1">' in page
    assert "<b>1e9</b>" not in page
    assert "The value of <code>x</code> is &lt;b&gt;1e9&lt;/b&gt;." in page


def test_a_report_without_facts_has_a_page(tmp_path):
    page = written(DiagnosisReport((finding("loss"),), ("x",)), tmp_path).read_text()
    assert "<img" not in page
    assert "not finite" in page or "NaN" in page


@pytest.mark.heavy
def test_a_notebook_shows_the_same(healthy):
    body = healthy._repr_html_()
    assert "the 3 layers of the model" in body.lower()
    assert '<span class="badge">unknown</span> Nothing found in' in body
    assert "<html" not in body


def test_the_overview_has_the_pictures_of_the_findings(faulty, healthy):
    titles = [ax.get_title(loc="left") for ax in faulty.plot().axes]
    assert titles == [TEXTS[name][0] for name in SHOWN]
    assert len(healthy.plot().axes) == len(SHOWN)
    with pytest.raises(ValueError, match="nothing to plot"):
        DiagnosisReport((), ("x",)).plot()
    plt.close("all")


def test_the_layer_of_a_finding_is_highlighted(facts):
    _, ax = plt.subplots()
    pictures_of(facts)["weights"].draw(ax, "layer 'bounded'")
    weights = {one.get_text(): one.get_fontweight() for one in ax.get_xticklabels()}
    assert {name for name, one in weights.items() if one == "bold"} == {"bounded"}
    plt.close("all")


@pytest.mark.heavy
@pytest.mark.parametrize(("kind", "pictures"), [("faulty", 8), ("healthy", 4)])
def test_a_browser_shows_the_page(browser, request, tmp_path, kind, pictures):
    report = request.getfixturevalue(kind)
    path = written(report, tmp_path)
    for width in (390, 1200):
        seen = browser.open(path, width)
        assert seen["errors"] == []
        assert seen["requests"] == []  # it works without a network
        assert seen["overflow"] <= 0  # no horizontal scrolling
        assert seen["images"] == [True] * pictures
        text = seen["text"]
        for one in report.findings:
            assert one.summary in text
            assert one.advice[0] in text
        assert ("How we know" in text) == (kind == "faulty")


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("<script>nothing.at_all()</script>", "errors"),
        ("<script>console.error('x')</script>", "errors"),
        ("<img src='missing.png'>", "errors"),
        ("<div style='width: 500px'>wide</div>", "overflow"),
    ],
)
def test_the_browser_notices_faults_of_a_page(browser, tmp_path, broken, what):
    path = tmp_path / "page.html"
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    path.write_text(f"<!doctype html><head>{viewport}</head><body>{broken}</body>")
    assert browser.open(path, 390)[what]
