"""Draws examples of a dataset: images, texts, rows of a table or curves."""

import textwrap
from collections.abc import Sequence

import numpy as np

COLUMNS = 4
MAX_TEXTS = 6
LINES, WIDTH = 3, 100  # of the text of an example
MAX_FEATURES = 6  # columns of a table


def draw_examples(figure, x, titles: Sequence[str], data) -> None:
    """Draws examples, each with a title.

    Args:
        figure: Matplotlib figure or subfigure to draw in.
        x: Array of inputs, of shape `(examples, ...)`.
        titles: A title for each example.
        data: Object with the attributes `vocabulary` and `feature_names` of `Data`.
    """
    if data.vocabulary is not None:
        texts = [text_of(tokens, data.vocabulary) for tokens in x[:MAX_TEXTS]]
        _draw_texts(figure.subplots(), texts, titles)
    elif x.ndim == 2 and (data.feature_names or x.shape[1] <= MAX_FEATURES):
        _draw_table(figure.subplots(), x, titles, data.feature_names)
    else:
        rows = -(-len(x) // COLUMNS)
        axes = figure.subplots(rows, COLUMNS, squeeze=False)
        for ax, values, title in zip(axes.flat, x, titles, strict=False):
            draw_example(ax, values)
            ax.set_title(title, fontsize=8)
        for ax in axes.flat[len(x) :]:
            ax.remove()


def draw_example(ax, values: np.ndarray) -> None:
    """Draws one example: an image or, for all other inputs, curves."""
    if is_image(values):
        low, high = float(values.min()), float(values.max())
        if values.shape[-1] == 3:  # Matplotlib expects colors in [0, 1]
            values = (values - low) / ((high - low) or 1.0) if high > 1 else values
            ax.imshow(np.clip(values, 0, 1))
        else:
            ax.imshow(values.reshape(values.shape[:2]), cmap="gray")
    else:
        ax.plot(values.reshape(len(values), -1), lw=0.8)
    ax.set(xticks=[], yticks=[])


def is_image(values: np.ndarray) -> bool:
    """Returns whether an example has a height, a width and one or three channels."""
    return values.ndim == 3 and values.shape[-1] in (1, 3)


def text_of(tokens, vocabulary: Sequence[str]) -> str:
    """Returns the text of token ids, without padding."""
    words = [vocabulary[index] for index in np.asarray(tokens) if index > 0]
    is_characters = all(len(token) == 1 for token in vocabulary[2:])
    return ("" if is_characters else " ").join(words)


def _draw_texts(ax, texts: list[str], titles: Sequence[str]) -> None:
    ax.set_axis_off()
    for index, (text, title) in enumerate(zip(texts, titles, strict=False)):
        top = 1 - index / len(texts)
        lines = textwrap.wrap(text, WIDTH, max_lines=LINES, placeholder=" ...")
        ax.text(0, top, title, fontsize=7, weight="bold", va="top")
        # "$" would begin a formula.
        shown = "\n".join(lines).replace("$", r"\$")
        ax.text(0, top, f"\n{shown}", fontsize=7, va="top")


def _draw_table(ax, x, titles: Sequence[str], names) -> None:
    names = names or [f"column {index}" for index in range(x.shape[1])]
    shown = names[:MAX_FEATURES]
    more = [] if len(names) == len(shown) else [f"and {len(names) - len(shown)} more"]
    cells = [
        [title, *(f"{value:.4g}" for value in row[: len(shown)]), *("" for _ in more)]
        for title, row in zip(titles, x, strict=True)
    ]
    ax.set_axis_off()
    labels = [textwrap.shorten(name, 16, placeholder="...") for name in shown]
    table = ax.table(cells, colLabels=["", *labels, *more], loc="center", edges="B")
    table.auto_set_font_size(False)
    table.set_fontsize(7)
    table.auto_set_column_width(range(len(cells[0])))
