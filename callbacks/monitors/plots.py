"""Helper functions for the plots that the monitors draw."""

import numpy as np

MAX_PANELS = 12


def check_recorded(monitor, count: int) -> None:
    """Raises an error if nothing has been recorded."""
    if not count:
        raise ValueError(
            f"This {type(monitor).__name__} has recorded nothing. Expected at least "
            "one step of `model.fit(callbacks=[...])` with this callback."
        )


def evenly_spaced(indices) -> list:
    """Returns at most `MAX_PANELS` of the indices, spaced as evenly as possible."""
    indices = list(indices)
    if len(indices) <= MAX_PANELS:
        return indices
    chosen = np.linspace(0, len(indices) - 1, MAX_PANELS).round().astype(int)
    return [indices[i] for i in chosen]


def panels(figure, count: int, columns: int = 4):
    """Adds `count` axes to a figure, and returns the figure and the axes.

    If `figure` is `None`, a new figure is created.
    """
    import matplotlib.pyplot as plt

    columns = min(columns, count)
    rows = -(-count // columns)
    if figure is None:
        size = (3.2 * columns + 0.6, 2.5 * rows + 0.5)
        figure = plt.figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for spare in axes.flat[count:]:
        spare.remove()
    return figure, list(axes.flat[:count])
