"""Runs the notebooks of the course, and saves their answers.

    python benchmarks/notebooks.py            # all notebooks
    python benchmarks/notebooks.py 04 05      # some of them

Each notebook runs as a script, in an empty folder. `results/course.json` keeps the
claim of the lectures and the measured answer.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from results import machine, save

FOLDER = Path(__file__).parents[1] / "examples" / "course"
ANSWER = re.compile(r"^The lectures: (.*)\nMeasured here: (.*)$", flags=re.MULTILINE)


def run(notebook: Path) -> dict:
    """Runs a notebook, and returns its question and its answer."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(
            [sys.executable, notebook],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    title = re.search(r"^# # \d+\. (.+)$", notebook.read_text(), flags=re.MULTILINE)
    lectures, measured = ANSWER.search(process.stdout).groups()
    return {
        "question": title[1],
        "lectures": lectures,
        "measured": measured,
        "machine": machine(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("numbers", nargs="*", help="such as 04 (default: all)")
    numbers = parser.parse_args().numbers
    for notebook in sorted(FOLDER.glob("[0-9][0-9]_*.py")):
        if not numbers or notebook.name[:2] in numbers:
            entry = run(notebook)
            save("course", notebook.stem, entry)
            print(f"{notebook.stem}: {entry['measured']}", flush=True)


if __name__ == "__main__":
    main()
