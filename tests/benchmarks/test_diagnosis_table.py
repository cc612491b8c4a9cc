"""The results of `benchmarks/diagnosis.py` are evaluated as described."""

import json

import numpy as np
import pytest
from scipy import stats

pytestmark = pytest.mark.one_backend


@pytest.fixture
def table(tmp_path, monkeypatch):
    import diagnosis_table

    monkeypatch.setattr(diagnosis_table, "FOLDER", tmp_path)
    return diagnosis_table


def finding(cause, severity="error"):
    return {"cause": cause, "severity": severity, "evidence": "", "advice": "x"}


def run(key, causes=(), during=(), *, skill=0.0, half="reported", **others):
    return {
        "key": key,
        "kind": key.split("/")[0],
        "family": "mlp",
        "dataset": "digits",
        "half": half,
        "causes": list(causes),
        "wrong_head": False,
        "harm": "skill",
        "skill": skill,
        "last_to_best": 1.0,
        "before": [],
        "during": list(during),
        "twin": "t",
        **others,
    }


def write(table, rows, suffix=""):
    path = table.results_path("tensorflow", suffix)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


TWIN = run("t", skill=0.95)


def test_only_harmful_faults_and_sound_healthy_runs_count(table):
    harmless = run("a/mlp/digits/1", ["overfitting"], skill=0.9)
    harmful = run("a/mlp/digits/0", ["overfitting"], skill=0.5)
    sound, unsound = run("b/mlp/digits/0", skill=0.95), run("b/mlp/digits/1", skill=0.5)
    rising = run("b/mlp/digits/2", skill=0.95, last_to_best=1.5)
    script = {"key": "whole/x", "causes": ["data_bug"], "before": [], "during": []}
    write(table, [harmless, harmful, sound, unsound, rising, script])
    write(table, [TWIN], "_twins")
    found = [[row["key"] for row in rows] for rows in table.judged("tensorflow")]
    assert found == [["a/mlp/digits/0"], ["b/mlp/digits/0"], ["whole/x"]]


def test_first_cause_is_the_most_severe(table):
    row = run(
        "a/mlp/digits/0",
        ["overfitting"],
        [finding("dead_units", "warning"), finding("overfitting", "hint")],
        before=[finding("not_finite")],
    )
    assert [one["cause"] for one in table.alarms(row)] == ["not_finite", "dead_units"]
    row["causes"] = ["dead_units"]
    assert table.MEASURES["detected"](row)
    assert not table.MEASURES["right cause first"](row)
    assert table.MEASURES["right cause"](row)
    hint = run("a/mlp/digits/1", ["overfitting"], [finding("overfitting", "hint")])
    assert not table.MEASURES["detected"](hint)


def test_rates_have_the_interval_of_clopper_and_pearson(table):
    low, high = stats.beta.ppf([0.025, 0.975], [3, 4], [8, 7])
    assert table.rate(range(10), lambda value: value < 3) == (
        f"30 % ({100 * low:.0f} to {100 * high:.0f})"
    )
    assert table.rate([], bool) == "-"


def test_mean_over_causes_weights_causes_equally(table):
    rows = [run(f"a/{i}", ["a"], [finding("a")]) for i in range(8)]
    rows += [run(f"b/{i}", ["b"]) for i in range(2)]
    mean = table.mean_over_causes(rows, table.MEASURES["detected"])
    assert mean.startswith("50 %")


def test_tables_show_each_half_and_cause(table):
    rows = [
        run("a/mlp/digits/0", ["overfitting"], [finding("overfitting")], skill=0.4),
        run("a/mlp/digits/1", ["overfitting"], skill=0.4, half="chosen"),
        run("b/mlp/digits/0", [], [finding("overfitting", "warning")], skill=0.95),
    ]
    write(table, rows)
    write(table, [TWIN], "_twins")
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in table.diagnosis_table().splitlines()
    }
    assert cells["reported: all faults"][0] == "1"
    assert cells["reported: all faults"][1].startswith("100 % (")
    assert cells["chosen: all faults"][1].startswith("0 % (0 to ")
    assert cells["reported: healthy runs"][-1].startswith("100 % (")
    assert "| overfitting | 1 | 100 %" in table.causes_table()


def test_fixes_that_help_are_counted(table):
    found = [finding("overfitting")]
    names = ("a/mlp/digits/0", "a/mlp/digits/1")
    write(table, [run(name, ["overfitting"], found, skill=0.4) for name in names])
    write(table, [TWIN], "_twins")
    fixed = [
        run(name, skill=skill) for name, skill in zip(names, (0.9, 0.42), strict=True)
    ]
    write(table, fixed, "_fixes")
    assert "| all | 2 | 50 %" in table.fixes_table()


@pytest.fixture
def advised():
    """Applies advice to a small program, and returns it and the original."""
    from programs.fixes import with_advice
    from programs.program import Program
    from programs.recipe import Recipe

    recipe = Recipe("digits", "mlp", 0, loss="sparse", rate=5.0, head="softmax")
    program = Program("a", recipe)
    return lambda advice: (with_advice(program, advice), program.build())


def test_advice_on_the_optimizer_is_applied(advised):
    fixed, original = advised("model.optimizer.learning_rate = 0.001")
    assert float(fixed.model.optimizer.learning_rate) == pytest.approx(0.001)
    assert float(original.model.optimizer.learning_rate) == 5.0


def test_advice_on_a_layer_replaces_it(advised):
    name = advised("1")[1].model.layers[-1].name
    fixed, _ = advised(f"keras.layers.Dense(10, name={name!r}, activation='sigmoid')")
    assert fixed.model.layers[-1].activation.__name__ == "sigmoid"
    assert fixed.model.loss == "sparse_categorical_crossentropy"


def test_advice_on_the_inputs_is_applied_to_all_splits(advised):
    fixed, original = advised(
        "norm = keras.layers.Normalization(); norm.adapt(x); "
        "x = keras.ops.convert_to_numpy(norm(x)) / 2"
    )
    x, _ = fixed.fit["validation_data"]
    before, _ = original.fit["validation_data"]
    mean, std = original.fit["x"].mean(), original.fit["x"].std()  # of the channel
    expected = (before - mean) / std / 2
    np.testing.assert_allclose(x, expected, rtol=1e-3, atol=1e-3)
    test = fixed.arrays.x_test * 2 * std + mean
    np.testing.assert_allclose(test, original.arrays.x_test, atol=1e-3)


def test_advice_on_fit_and_pairs_changes_training_only(advised):
    fixed, _ = advised("model.fit(x, y, epochs=20, batch_size=16)")
    assert (fixed.fit["epochs"], fixed.fit["batch_size"]) == (20, 16)
    fixed, original = advised("x, y = x[:10], y[:10]")
    assert len(fixed.fit["x"]) == len(fixed.fit["y"]) == 10
    before, after = (one.fit["validation_data"][0] for one in (original, fixed))
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    "advice",
    [
        *("Shuffle x and y.", "x = unknown(x)", "", "1", "print(x.max())"),
        *("x = model(x)  # in `call`", "stop = keras.callbacks.TerminateOnNaN()"),
    ],
)
def test_advice_that_is_no_edit_is_not_applied(advised, advice):
    assert advised(advice)[0] is None


def test_harm_is_paired_by_seed(table):
    rows = [run(f"a/mlp/digits/{i}", ["a"], skill=0.2, twin=str(i)) for i in (0, 1)]
    write(table, rows)
    twins = [run(f"{i}", skill=skill) for i, skill in enumerate((0.9, 0.94))]
    write(table, twins, "_twins")
    last = table.harm_table().splitlines()[-1]
    assert last == "| a | 2 | 2 | 0.72 | 0.47 to 0.97 |"
