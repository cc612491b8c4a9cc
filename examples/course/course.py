"""Shared code of the notebooks of the course: size, pictures, answers and exercises.

The notebooks can import this module because it is in the same folder. They run as
scripts, and in Jupyter or VS Code.
"""

import functools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter

IN_NOTEBOOK = "ipykernel" in sys.modules
FOLDER = Path("runs") / "course"  # of the pictures of a script, in the current folder
sys.path.append(str(Path(__file__).parents[1]))  # the folder of `common`

from common import GradientNorms, save_picture  # noqa: E402

from zoo.utils.files import writable_folder  # noqa: E402

__all__ = ["GradientNorms", "answer", "exercise", "quick", "show", "show_animation"]

# TensorFlow takes functions with the same code, such as those of several models, for a
# single one that is compiled again and again.
logging.getLogger("tensorflow").addFilter(
    lambda record: "triggered tf.function retracing" not in record.getMessage()
)


def quick(full, reduced):
    """Returns `full`, or `reduced` if the environment variable KERASCOPE_QUICK is 1.

    A reduced notebook takes seconds. Its results are not meaningful.
    """
    return reduced if os.environ.get("KERASCOPE_QUICK") == "1" else full


def show(figure: plt.Figure, name: str) -> None:
    """Shows a figure in a notebook; a script saves it to `runs/course/NAME.png`.

    Args:
        figure: Matplotlib figure, which is closed.
        name: Name of the file without ".png", which begins with the number of the
            notebook.
    """
    if IN_NOTEBOOK:
        from IPython.display import display

        display(figure)
        plt.close(figure)
    else:
        path = writable_folder(FOLDER) / f"{name}.png"
        save_picture(figure, path)
        print(f"picture: {path}")


def show_animation(figure: plt.Figure, draw: Callable, frames, name: str) -> None:
    """Saves an animation to `runs/course/NAME.gif`; a notebook also shows it.

    Args:
        figure: Matplotlib figure, which is closed.
        draw: Function that draws an element of `frames` into the figure.
        frames: Arguments of `draw`, one per frame.
        name: Name of the file without ".gif", which begins with the number of the
            notebook.
    """
    path = writable_folder(FOLDER) / f"{name}.gif"
    FuncAnimation(figure, draw, frames).save(path, writer=PillowWriter(fps=6))
    plt.close(figure)
    if IN_NOTEBOOK:
        from IPython.display import Image, display

        display(Image(filename=path))
    else:
        print(f"animation: {path}")


def answer(lectures: str, measured: str) -> None:
    """Prints what was measured below the claim of the lectures."""
    print(f"The lectures: {lectures}\nMeasured here: {measured}")


def exercise(check: Callable) -> Callable:
    """Makes the check of an exercise print whether an answer is right.

    Args:
        check: Function of an answer that returns whether it is right, and a hint for
            those whose answer is wrong.

    Returns:
        A function of an answer that prints the result. For the answer `None`, it asks
        for an answer.
    """

    @functools.wraps(check)
    def check_and_print(value):
        if value is None:
            print("Replace `None` with your answer.")
            return
        is_right, hint = check(value)
        print("Right." if is_right else f"Wrong. {hint}")

    return check_and_print
