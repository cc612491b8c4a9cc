"""The code on the README and on the pages of the site runs, and is up to date.

The Python blocks of a page run in order, in one namespace and in an empty folder. If a
block of text follows a Python block, it is the expected output, in which `...` stands
for any text, as in doctests.
"""

import doctest
import importlib
import inspect
import os
import re
from difflib import unified_diff
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from callbacks import schedules
from zoo import datasets

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
BLOCK = re.compile(
    r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE
)
BACKENDS = {  # what depends on the backend; other pages run on TensorFlow only
    "docs/diagnosis.md",
    "docs/see_inside.md",
    "docs/training.md",
}
HEAVY = {
    "docs/coming_from/fastai.md",
    "docs/coming_from/foolbox_art.md",
    "docs/coming_from/keras.md",
    "docs/coming_from/keras_tuner.md",
    "docs/coming_from/lightning.md",
    "docs/data.md",
    "docs/devices.md",
    "docs/diagnosis.md",
    "docs/ensembles.md",
    "docs/index.md",
    "docs/models.md",
    "docs/quickstart.md",
    "docs/see_inside.md",
    "docs/text.md",
    "docs/training.md",
}
SLOW = {"README.md", "docs/robustness.md", "docs/search.md"}
REAL_DATA = ("mnist", "wine_quality/white", "imdb_reviews", "tiny_shakespeare")
# The first words of blocks with a test of their own; `test_several_devices.py` has that
# of blocks for JAX.
APART = ("# needs real data\n", "# JAX")


@pytest.fixture(scope="module", autouse=True)
def _prepared():
    """TFDS prints when it prepares a dataset, which no page expects."""
    datasets.load("digits")


def blocks_of(page):
    """Returns the line, the code and the expected output of each Python block."""
    text = PAGES[page]
    return [
        (text.count("\n", 0, match.start(1)), match[1], match[2])
        for match in BLOCK.finditer(text)
    ]


def run_blocks(page, blocks, capsys):
    namespace = {"__name__": "__main__"}
    checker = doctest.OutputChecker()
    for line, code, expected in blocks:
        # Empty lines before the code: a traceback shows the line of the page.
        exec(compile("\n" * line + code, page, "exec"), namespace)
        printed = capsys.readouterr().out
        if expected is not None:
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert checker.check_output(expected, printed, flags), printed
    plt.close("all")


def marks(page):
    yield from () if page in BACKENDS else (pytest.mark.one_backend,)
    yield from (pytest.mark.heavy,) if page in HEAVY else ()
    yield from (pytest.mark.slow,) if page in SLOW else ()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[*marks(page)])
        for page in PAGES
        if any(not code.startswith(APART) for _, code, _ in blocks_of(page))
    ],
)
def test_code_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in blocks_of(page) if not block[1].startswith(APART)]
    run_blocks(page, blocks, capsys)


@pytest.mark.slow
@pytest.mark.real_data(*REAL_DATA)
def test_code_with_real_data_runs(capsys):
    page = "docs/data.md"
    blocks = [block for block in blocks_of(page) if block[1].startswith(APART[0])]
    assert blocks
    run_blocks(page, blocks, capsys)


@pytest.mark.one_backend
def test_every_python_block_is_found():
    for page, text in PAGES.items():
        fences = len(re.findall(r"^ *(?:```|~~~) *py", text, flags=re.MULTILINE))
        assert fences == len(blocks_of(page)), page
    named = HEAVY | SLOW | BACKENDS
    assert named <= {page for page in PAGES if blocks_of(page)}
    apart = [
        page
        for page in PAGES
        if any(code.startswith(APART) for _, code, _ in blocks_of(page))
    ]
    assert apart == ["docs/data.md", "docs/devices.md"]


@pytest.mark.heavy
def test_a_program_that_ended_returns_its_history_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = "docs/training.md"
    (block,) = (block for block in blocks_of(page) if "ResumeTraining(" in block[1])
    printed = []
    for _ in range(2):
        exec(compile(block[1], page, "exec"), {})
        printed.append(capsys.readouterr().out.splitlines())
    *_, message, again = printed[1]
    assert message == "Training has already ended, after epoch 9."
    assert again == printed[0][-1]


@pytest.mark.one_backend
def test_the_table_of_schedules_is_that_of_the_package():
    page = PAGES["docs/training.md"]
    (table,) = re.findall(r"\| \| kerascope \|.*?\n\n", page, flags=re.DOTALL)
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
def test_the_readme_is_short_and_keeps_its_commands():
    readme = PAGES["README.md"]
    assert len(readme.splitlines()) <= 120
    assert "\npip install -e . && python examples/train.py\n" in readme
    assert '\npip install -e ".[test]" && pytest\n' in readme


@pytest.mark.one_backend
@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_linked_files_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page]):
        assert os.path.exists((ROOT / page).parent / target), target


REFERENCE = re.compile(r"^::: ([\w.]+)", flags=re.MULTILINE)
PUBLIC_MODULES = (
    "zoo",
    "zoo.adversarial",
    "zoo.datasets",
    "zoo.layers",
    "zoo.losses",
    "callbacks",
    "callbacks.diagnosis",
    "callbacks.schedules",
    "tuning",
)


@pytest.mark.one_backend
def test_the_reference_has_every_public_name():
    """Follows each reference to its object, so that none is out of date either."""
    described = []
    for page, text in PAGES.items():
        if not page.startswith("docs/api/"):
            continue
        for path in REFERENCE.findall(text):
            module, _, name = path.rpartition(".")
            described.append(getattr(importlib.import_module(module), name))
    public = [
        value
        for module in map(importlib.import_module, PUBLIC_MODULES)
        for value in (getattr(module, name) for name in module.__all__)
        if not inspect.ismodule(value)
    ]
    missing = [value for value in public if not any(value is one for one in described)]
    assert missing == []


@pytest.mark.one_backend
def test_tables_are_those_of_the_raw_results(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from tables import PAGES, insert_tables

    assert {ROOT / "README.md", ROOT / "docs" / "benchmarks.md"} <= PAGES.keys()
    for page, tables in PAGES.items():
        old = page.read_text()
        texts = (
            one.splitlines(keepends=True) for one in (old, insert_tables(old, tables))
        )
        assert "".join(unified_diff(*texts, n=0)) == ""
