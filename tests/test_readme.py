"""The README's code runs, and its tables are those of the raw results."""

import inspect
import json
import os
import re
from difflib import unified_diff

import pytest

from callbacks import schedules

REAL = ("mnist", "wine_quality/white", "imdb_reviews", "tiny_shakespeare")


@pytest.fixture(scope="module")
def readme(request):
    return (request.config.rootpath / "README.md").read_text()


@pytest.fixture
def blocks(readme):
    return re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)


@pytest.fixture
def run_block(blocks, tmp_path, monkeypatch):
    """Runs the one block that holds a given text, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(text):
        (block,) = (block for block in blocks if text in block)
        exec(compile(block, "README.md", "exec"), {})

    return run


TESTED = (
    "units=(256, 256)",
    "find_learning_rate(",
    "order.counter",
    "from_arrays(",
    "load_model(",
    'load("mnist")',
    "num_blocks=8",
    "next_tokens(",
    "GradientHistograms(every",
    "diagnose(model",
    "ResumeTraining(",
    "check_gradients(model",
    "AdversarialTrainer(",
    "CertifiedTrainer(",
    "CoarseToFineSearch(",
)


@pytest.mark.one_backend
def test_every_python_block_is_run_by_a_test(blocks):
    for block in blocks:
        assert sum(text in block for text in TESTED) == 1, block


@pytest.mark.one_backend
def test_order(run_block):
    run_block("order.counter")


@pytest.mark.heavy
@pytest.mark.one_backend
def test_in_your_own_code(run_block):
    run_block("units=(256, 256)")


@pytest.mark.one_backend
def test_three_builders(run_block):
    run_block("num_blocks=8")


@pytest.mark.one_backend
def test_reading_and_writing_text(run_block, capsys):
    run_block("next_tokens(")
    text, *table = capsys.readouterr().out.splitlines()
    assert set(text) <= set("abcdefgh ")
    assert len(table) == 5  # a header, the name of the index, three tokens


@pytest.mark.heavy
def test_see_inside_the_step(run_block, capsys):
    run_block("GradientHistograms(every")
    assert "ratio" in capsys.readouterr().out


@pytest.mark.heavy
def test_diagnose(run_block, capsys, tmp_path):
    run_block("diagnose(model")
    printed = capsys.readouterr().out
    assert printed.count("error: loss_head_mismatch (") == 1
    assert "healthy: " not in printed
    assert "<img" in (tmp_path / "report.html").read_text()


@pytest.mark.heavy
@pytest.mark.one_backend
def test_are_the_gradients_right(run_block, capsys):
    run_block("check_gradients(model")
    assert capsys.readouterr().out.startswith("Gradients: right.")


@pytest.mark.slow
def test_train_against_attacks(run_block, capsys):
    run_block("AdversarialTrainer(")
    assert "Robustness in linf" in capsys.readouterr().out


@pytest.mark.slow
def test_certificates(run_block, capsys, tmp_path):
    run_block("CertifiedTrainer(")
    assert "unknown" in capsys.readouterr().out
    assert (tmp_path / "certified.npz").is_file()


@pytest.mark.slow
def test_search_that_narrows_itself(run_block, capsys, tmp_path):
    run_block("CoarseToFineSearch(")
    assert "learning_rate" in capsys.readouterr().out
    assert (tmp_path / "runs" / "mlp" / "round_1.json").is_file()


@pytest.mark.heavy
def test_learning_rate_and_early_stopping(run_block, capsys):
    run_block("find_learning_rate(")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("<RangeTest of ") for line in lines)
    *_, rates = lines
    assert len(json.loads(rates)) <= 10


@pytest.mark.heavy
def test_crash_proof_training(run_block, capsys, tmp_path):
    run_block("ResumeTraining(")
    first = capsys.readouterr().out.splitlines()[-1]
    log = (tmp_path / "log.csv").read_bytes()
    run_block("ResumeTraining(")
    *_, message, again = capsys.readouterr().out.splitlines()
    assert message == "Training has already ended, after epoch 9."
    assert again == first
    assert (tmp_path / "log.csv").read_bytes() == log


@pytest.mark.one_backend
def test_the_table_of_schedules_is_that_of_the_package(readme):
    (table,) = re.findall(r"\| \| kerascope \|.*?\n\n", readme, flags=re.DOTALL)
    own = [row.split("|")[2].strip() for row in table.strip().splitlines()[2:]]
    *named, warmup = own
    shapes = {
        name
        for name, value in vars(schedules).items()
        if isinstance(value, type) and value is not schedules.Schedule
    }
    assert {name.strip("`") for name in named} == shapes
    assert warmup == "`warmup=` of each"
    for name in shapes:
        assert "warmup" in inspect.signature(getattr(schedules, name)).parameters


@pytest.mark.one_backend
def test_your_own_data(run_block, capsys):
    run_block("from_arrays(")
    assert "into 2 outputs; 360 train, 40 validation, 100 test" in (
        capsys.readouterr().out
    )


@pytest.mark.heavy
@pytest.mark.one_backend
def test_after_training(run_block, root, run_python, capsys):
    run_python(root / "examples" / "train.py", "--epochs", "3")
    run_block("load_model(")
    assert re.fullmatch(r"predicted \d, is \d\n", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.real_data(*REAL)
def test_real_datasets(run_block, capsys):
    run_block('load("mnist")')
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.one_backend
def test_commands_are_those_that_were_promised(readme):
    assert "\npip install -e . && python examples/train.py\n" in readme
    assert '\npip install -e ".[test]" && pytest\n' in readme


@pytest.mark.one_backend
def test_pictures_and_linked_files_exist(readme, root):
    targets = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert targets
    for target in targets:
        assert os.path.exists(root / target), target


@pytest.mark.one_backend
def test_tables_are_those_of_the_raw_results(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    from tables import PAGES, insert_tables

    assert root / "README.md" in PAGES
    for page, tables in PAGES.items():
        old = page.read_text()
        texts = (
            one.splitlines(keepends=True) for one in (old, insert_tables(old, tables))
        )
        assert "".join(unified_diff(*texts, n=0)) == ""
