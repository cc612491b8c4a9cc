"""Plots the histograms of layer outputs over the epochs."""

import numpy as np

from .plots import evenly_spaced, panels


def plot_activations(info: dict, layers, *, width: float, figure=None):
    """Plots a heat map of the outputs over the epochs for each of the given layers.

    Args:
        info: Result of `ActivationHistograms.activation_info`, with at least one
            recorded forward pass.
        layers: Indices of the layers to draw. If there are more than twelve, only
            twelve evenly spaced ones are drawn.
        width: Width of the column for each pass, in epochs.
        figure: Matplotlib figure or subfigure to draw in. Defaults to `None`, which
            creates a new figure.

    Returns:
        The Matplotlib figure.
    """
    layers = evenly_spaced(layers)
    figure, axes = panels(figure, len(layers))
    for ax, layer in zip(axes, layers, strict=True):
        mesh = _draw(ax, info, layer, width)
        ax.set_title(_title(info, layer), fontsize=9)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("activation", fontsize=9)
    figure.colorbar(mesh, ax=axes, label="fraction of entries", extend="max")
    return figure


def _draw(ax, info: dict, layer: int, width: float):
    """Draws each pass as a separate column, because bins can differ between passes."""
    edges, counts = info["edges"][:, layer], info["counts"][:, layer]
    for epoch, bin_edges, row in zip(info["epoch"], edges, counts, strict=True):
        fraction = row / max(row.sum(), 1)
        mesh = ax.pcolormesh(
            [epoch - width / 2, epoch + width / 2],
            bin_edges,
            np.ma.masked_equal(fraction[:, None], 0),
            vmin=0,
            vmax=0.15,
            cmap="magma_r",
        )
    return mesh


def _title(info: dict, layer: int) -> str:
    """Returns the title of a layer's heat map.

    The title contains the name of the layer, the fraction of dead units if there are
    any, and the fraction of saturated units if the activation has bounds.
    """
    title = str(info["layer"][layer]).removesuffix("_activation")
    dead, saturated = info["dead"][-1, layer], info["saturated"][-1, layer]
    if dead > 0:
        title += f" · {dead:.0%} dead"
    if np.isfinite(saturated):
        title += f" · {saturated:.0%} saturated"
    return title
