"""The programs of `benchmarks/diagnosis.py` can be built, and healthy ones learn."""

import ast
import json

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow_only(reason="the benchmark runs on TensorFlow")
SHIPPED = ("digits", "breast_cancer", "rings", "labels", "friedman", "waves")
CAUSES = {
    "loss_head_mismatch", "wrong_output_activation", "wrong_num_outputs",
    "inputs_not_scaled", "labels_out_of_range", "labels_independent_of_inputs",
    "linear_hidden_stack", "learning_rate_too_high", "learning_rate_too_low",
    "not_finite", "exploding_gradients", "vanishing_gradients", "saturated_units",
    "dead_units", "bad_initialization", "symmetric_units", "too_few_steps",
    "underfitting", "overfitting", "over_regularized", "unfit_batch_size",
    "unfit_optimizer", "unfit_metric", "misused_layer", "train_and_inference_differ",
    "data_bug", "frozen_weights", "not_learning",
}  # fmt: skip


@pytest.fixture
def programs(monkeypatch):
    """The package, restricted to datasets that need no TFDS."""
    import programs

    monkeypatch.setattr(programs, "is_available", lambda name: name in SHIPPED)
    return programs


def one_of_each_kind(listed):
    return list({program.kind: program for program in listed}.values())


def test_there_are_enough_programs(programs):
    faulty, healthy = programs.faulty_programs([0]), programs.healthy_programs([0])
    assert len(programs.FAULTS) >= 25
    assert len({program.kind for program in faulty}) >= 25
    assert len(healthy) >= 150
    for listed in (faulty, healthy):
        keys = [program.key for program in listed]
        assert len(set(keys)) == len(keys)
        assert {one.recipe.family for one in listed} == {
            "mlp",
            "res_mlp",
            "lstm",
            "cnn",
        }


def test_causes_are_those_of_the_vocabulary(programs):
    from programs.watch import causes_of, whole_programs

    found = {cause for fault in programs.FAULTS for cause in fault.causes}
    assert found <= CAUSES
    assert found >= CAUSES - {"not_learning"}
    causes = [causes_of(path) for path in whole_programs()]
    assert sum(map(bool, causes)) >= 30
    assert {cause for each in causes for cause in each} <= CAUSES


def test_faulty_programs_differ_from_their_twins(programs):
    for program in programs.faulty_programs(range(2)):
        assert program.recipe != program.twin, program.key
        assert program.recipe.seed == program.twin.seed


@pytest.mark.heavy
def test_programs_are_the_same_in_every_process(programs, run_python, root):
    program = programs.faulty_programs([1])[7]
    code = (
        f"import sys; sys.path.insert(0, {str(root / 'benchmarks')!r})\n"
        "import programs\n"
        f"programs.is_available = {SHIPPED!r}.__contains__\n"
        "print(repr(programs.faulty_programs([1])[7]))"
    )
    assert run_python("-c", code).stdout.strip() == repr(program)


def test_all_seeds_of_a_kind_are_in_the_same_half(programs):
    halves = {}
    for program in programs.faulty_programs(range(3)):
        halves.setdefault(program.group, set()).add(program.half)
    assert {len(each) for each in halves.values()} == {1}
    chosen = sum(each == {"chosen"} for each in halves.values())
    assert 0.35 < chosen / len(halves) < 0.65


def test_test_data_are_apart_and_a_seed_determines_everything(programs):
    program = programs.healthy_programs([0])[0]
    first, second = program.build(), program.build()
    for one, other in zip(
        first.model.get_weights(), second.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.fit["x"], second.fit["x"])
    rows = {row.tobytes() for row in first.fit["x"]}
    tests = [row.tobytes() for row in first.arrays.x_test]
    assert sum(row in rows for row in tests) < 0.01 * len(tests)


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(4))
def test_one_program_of_each_fault_is_built_and_compiled(programs, part):
    for program in one_of_each_kind(programs.faulty_programs([0]))[part::4]:
        training = program.build()
        assert training.model.compiled, program.key
        assert len(training.fit["x"]) == len(training.fit["y"]), program.key


@pytest.mark.heavy
def test_one_healthy_program_of_each_context_is_built_and_compiled(programs):
    for program in one_of_each_kind(programs.healthy_programs([0])):
        if not program.recipe.special.startswith(("pretrained", "fine")):
            assert program.build().model.compiled, program.key


@pytest.mark.slow
def test_healthy_programs_do_what_they_should(programs):
    from programs.skill import is_sound
    from programs.watch import train

    listed = programs.healthy_programs([0])
    chosen = [one for one in listed if one.kind == "plain"]
    rows = [train(program, plain=True) for program in chosen]
    assert [row["key"] for row in rows if not is_sound(row)] == []


@pytest.mark.heavy
def test_a_fault_does_harm(programs):
    import diagnosis_table
    from programs.skill import is_harmful
    from programs.watch import train

    listed = programs.faulty_programs([0])
    group = "softmax_on_one_unit/mlp/breast_cancer"
    (program,) = (one for one in listed if one.group == group)
    row = train(program, plain=True)
    twin = train(programs.Program("twin", program.twin), plain=True)
    assert row["skill"] == 0.0
    assert is_harmful(row, twin, noise=0.05)
    assert not is_harmful(row | {"skill": twin["skill"] - 0.05}, twin, noise=0.0)
    assert diagnosis_table.twin_key(program.twin).startswith("mlp/breast_cancer/0/")


def test_whole_programs_call_fit_once_and_import_no_project_code(programs):
    from programs.watch import whole_programs

    for path in whole_programs():
        tree = ast.parse(path.read_text())
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "model.fit"
        ]
        assert len(calls) == 1, path.name
        assert not {"zoo", "callbacks"} & {
            node.module.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }


@pytest.mark.heavy
def test_fit_of_a_script_is_intercepted(programs, tmp_path):
    import keras
    from programs import watch

    script = tmp_path / "small.py"
    script.write_text(
        '"""Title.\n\nCauses: data_bug, overfitting\nHarm: none.\n"""\n'
        "import keras, numpy\n"
        "model = keras.Sequential([keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(numpy.ones((8, 2)), numpy.ones((8, 1)), epochs=2)\n"
    )
    original = keras.Model.fit
    row = watch.run_whole(script, plain=True)
    assert keras.Model.fit is original
    assert row["causes"] == ["data_bug", "overfitting"]
    assert row["fits"] == 1
    assert row["crashed"] is None
    assert set(row["last"]) == {"loss"}


class Finding:
    cause, severity, where = "data_bug", "warning", "data"
    evidence, advice = "all rows are equal", ("Check `x`.",)


class Report:
    findings = [Finding()]


@pytest.mark.heavy
def test_findings_are_recorded_once(programs, monkeypatch, tmp_path):
    import diagnosis
    import diagnosis_table
    import keras
    from programs import recipe

    import callbacks

    class Silent(keras.callbacks.Callback):
        def __init__(self, verbose):
            super().__init__()
            self.report = Report()

    def fail(model, x, y):
        raise RuntimeError("a defect")

    monkeypatch.setattr(callbacks, "Diagnosis", Silent, raising=False)
    monkeypatch.setattr(callbacks, "diagnose", fail, raising=False)
    monkeypatch.setattr(diagnosis_table, "FOLDER", tmp_path)
    arguments = ["--only", "faulty", "--seeds", "1", "--kinds", "inputs_all_equal"]
    monkeypatch.setattr(programs, "GROUPS_PER_FAULT", 1)
    small = dict.fromkeys(recipe.LENGTHS, (100, 1))
    monkeypatch.setattr(recipe, "LENGTHS", small)
    for _ in range(2):  # the second call finds the row of the first one
        diagnosis.main(arguments)
    (line,) = diagnosis.results_path().read_text().splitlines()
    row = json.loads(line)
    assert row["kind"] == "inputs_all_equal"
    assert row["failed"] == "diagnose: RuntimeError: a defect"
    (found,) = row["during"]
    assert found["advice"] == "Check `x`."
    assert diagnosis_table.MEASURES["right cause first"](row)
    assert 0 <= row["skill"] < 0.2


def test_missing_diagnosis_is_reported_clearly(programs, monkeypatch):
    import diagnosis

    import callbacks

    for name in ("Diagnosis", "diagnose"):
        monkeypatch.delattr(callbacks, name, raising=False)
    with pytest.raises(SystemExit, match="do not exist"):
        diagnosis.main([])
