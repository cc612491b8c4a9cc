"""Each notebook of the course is complete, runs, and checks its exercise.

A notebook ends with a cell that defines `solution`, and `mistakes`, a list of wrong
answers. Its check, a function whose name starts with `check_`, must tell them apart.
"""

import re
import runpy
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.one_backend

CELL = re.compile(r"^# %%(.*)\n", flags=re.MULTILINE)
CHECK = re.compile(r"^@exercise\ndef (check_\w+)\(", flags=re.MULTILINE)


def notebooks(root):
    return sorted((root / "examples" / "course").glob("[0-9][0-9]_*.py"))


def pytest_generate_tests(metafunc):
    if "notebook" in metafunc.fixturenames:
        paths = notebooks(metafunc.config.rootpath)
        metafunc.parametrize("notebook", paths, ids=lambda path: path.stem)


def cells_of(notebook):
    """Returns pairs of the kind of a cell, "markdown" or "code", and its text."""
    before, *parts = CELL.split(notebook.read_text())
    assert before == ""
    kinds = {" [markdown]": "markdown", "": "code"}
    return [
        (kinds[kind], text.strip())
        for kind, text in zip(parts[::2], parts[1::2], strict=True)
    ]


@pytest.fixture
def course(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples" / "course"))
    monkeypatch.setattr(sys, "path", list(sys.path))  # to which the module adds
    sys.modules.pop("course", None)
    import course

    return course


def test_all_notebooks_are_found(root):
    numbers = [path.name[:2] for path in notebooks(root)]
    assert numbers == [f"{number:02}" for number in range(1, len(numbers) + 1)]


def test_texts_and_code_alternate(notebook):
    kinds, texts = zip(*cells_of(notebook), strict=True)
    assert kinds == ("markdown", "code") * (len(kinds) // 2)
    for kind, text in zip(kinds, texts, strict=True):
        if kind == "markdown":
            assert all(re.match(r"#( |$)", line) for line in text.splitlines())


def test_the_parts_of_a_notebook(notebook):
    (_, title), *_, (_, task), (_, check), (_, reason), (_, solution) = cells_of(
        notebook
    )
    assert re.match(rf"# # {int(notebook.name[:2])}\. .+\?$", title.splitlines()[0])
    assert "$" in title  # the mathematics
    assert task.startswith("# ## Exercise\n")
    assert CHECK.search(check)
    assert re.search(r"^my_\w+ = None\b", check, flags=re.MULTILINE)
    assert reason.startswith("# ## Solution\n")
    assert solution.startswith("# Solution\n")
    text = notebook.read_text()
    assert "answer(" in text
    assert re.search(r"set_random_seed\(|default_rng\(|\"seed\": \d", text)


@pytest.mark.slow
def test_a_notebook_runs(course, notebook, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERASCOPE_QUICK", "1")
    names = runpy.run_path(str(notebook), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("The lectures: ") == printed.count("Measured here: ") == 1
    assert printed.count("Replace `None` with your answer.") == 1
    assert printed.splitlines()[-1] == "Right."
    assert plt.get_fignums() == []
    files = list((tmp_path / "runs" / "course").iterdir())
    assert files
    for path in files:
        assert path.name.startswith(notebook.name[:3])
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"))
        assert pixels.shape[1] >= 500
        assert pixels.std() > 5

    check = names[CHECK.search(notebook.read_text())[1]]
    assert names["mistakes"]
    for mistake in names["mistakes"]:
        check(mistake)
        assert re.match(r"Wrong\. .+", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", "small"), ("0", "large"), (None, "large")]
)
def test_quick(course, monkeypatch, value, expected):
    monkeypatch.delenv("KERASCOPE_QUICK", raising=False)
    if value is not None:
        monkeypatch.setenv("KERASCOPE_QUICK", value)
    assert course.quick("large", "small") == expected


def test_a_script_saves_its_figures(course, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    course.show(plt.figure(), "01_name")
    assert (tmp_path / "runs" / "course" / "01_name.png").is_file()
    assert capsys.readouterr().out == "picture: runs/course/01_name.png\n"


def test_a_notebook_shows_its_figures(course, tmp_path, monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    monkeypatch.setattr(course, "IN_NOTEBOOK", True)
    monkeypatch.chdir(tmp_path)
    figure = plt.figure()
    course.show(figure, "01_name")
    assert shown == [figure]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("in_notebook", [True, False])
def test_an_animation(course, tmp_path, monkeypatch, capsys, in_notebook):
    shown = []
    if in_notebook:
        display = pytest.importorskip("IPython.display")
        monkeypatch.setattr(display, "display", shown.append)
    monkeypatch.setattr(course, "IN_NOTEBOOK", in_notebook)
    monkeypatch.chdir(tmp_path)
    figure, panel = plt.subplots(figsize=(1, 1))
    (line,) = panel.plot([0, 1])
    course.show_animation(figure, lambda y: line.set_ydata([0, y]), [0, 1], "04_name")
    path = Path("runs/course/04_name.gif")
    with Image.open(path) as animation:
        assert animation.n_frames == 2
    assert [image.data for image in shown] == [path.read_bytes()] * in_notebook
    assert capsys.readouterr().out == ("" if in_notebook else f"animation: {path}\n")
    assert figure.number not in plt.get_fignums()


def test_an_exercise_says_right_or_wrong(course, capsys):
    @course.exercise
    def check_sum(answer):
        return np.isclose(answer, 4), "Add both numbers."

    for value in (None, 4.0, 5):
        assert check_sum(value) is None  # a notebook would show it as well
    assert capsys.readouterr().out.splitlines() == [
        "Replace `None` with your answer.",
        "Right.",
        "Wrong. Add both numbers.",
    ]
