"""Pictures that show what the findings of a report are based on."""

import numpy as np

from ..data.data_facts import InputFacts, TargetFacts
from ..facts import Facts
from ..outcome import outcome_of
from ..reading.graph import Node
from ..run.pass_facts import PassFacts
from ..run.training_facts import TrainingFacts

INK, ACCENT, LIGHT = "#222222", "#c0392b", "#9aa5b1"
SIZE = (6.0, 3.2)  # inches, for one picture


def pictures_of(facts: Facts | None) -> dict:
    """Returns the functions that can draw something, by the name of the picture.

    Each function takes Matplotlib axes.
    """
    if facts is None:
        return {}
    found = {}
    training, current = facts.training, facts.end or facts.start
    if training is not None and training.num_epochs:
        trivial = outcome_of(facts).trivial
        found["loss"] = lambda ax: draw_loss(ax, training, trivial)
    if training is not None and len(training.step):
        found["ratio"] = lambda ax: draw_ratio(ax, training)
        found["gradients"] = lambda ax: draw_gradients(ax, training)
    if current is not None and any(one.is_activation for one in current.layers):
        found["activations"] = lambda ax: draw_activations(ax, current)
    targets = facts.data.targets if facts.data is not None else ()
    if current is not None and current.outputs and targets:
        found["outputs"] = lambda ax: draw_outputs(ax, current, targets[0])
    inputs = facts.data.inputs if facts.data is not None else ()
    if inputs and inputs[0].is_number:
        found["inputs"] = lambda ax: draw_inputs(ax, inputs[0])
    nodes = facts.model.graph.nodes if facts.model.graph is not None else ()
    kernels = [node for node in nodes if node.has_kernel]
    if kernels:
        found["weights"] = lambda ax: draw_weights(ax, kernels)
    return found


def draw_overview(facts: Facts | None, findings, figure=None):
    """Draws the pictures of all findings, or of everything that was recorded."""
    import matplotlib.pyplot as plt

    drawable = pictures_of(facts)
    wanted = [one.picture for one in findings if one.picture in drawable]
    names = list(dict.fromkeys(wanted)) or list(drawable)
    if not names:
        raise ValueError(
            "There is nothing to plot. Expected a report on a training run, or on a "
            "model with data."
        )
    if figure is None:
        size = (SIZE[0], SIZE[1] * len(names))
        figure = plt.figure(figsize=size, layout="constrained")
    for ax, name in zip(
        figure.subplots(len(names), squeeze=False).flat, names, strict=True
    ):
        drawable[name](ax)
    return figure


def draw_loss(ax, training: TrainingFacts, trivial: float | None) -> None:
    """Draws the losses, next to that of a constant predictor."""
    curves = {"training": "loss", "validation": "val_loss"}
    for (label, name), color in zip(curves.items(), (INK, ACCENT), strict=True):
        values = training.curve(name)
        if len(values):
            epochs = np.arange(1, len(values) + 1)
            ax.plot(epochs, values, "o-", color=color, label=label, ms=3)
            bad = ~np.isfinite(values)
            for epoch in epochs[bad]:
                ax.axvline(epoch, color=color, alpha=0.3)
    if trivial is not None:
        ax.axhline(trivial, color=LIGHT, ls="--", label="constant predictor")
    ax.set(xlabel="epoch", ylabel="loss", title="Loss")
    ax.legend(frameon=False)


def draw_ratio(ax, training: TrainingFacts) -> None:
    """Draws the update ratio, with the learning rate."""
    ratio = training.ratio[:, training.kernels]
    ratio = np.where(ratio > 0, ratio, np.nan)
    ax.plot(training.step, ratio, color=LIGHT, lw=0.7)
    ax.plot(training.step, training.median_ratio, color=INK, label="median")
    ax.axhspan(1e-4, 1e-2, color="#2e8b57", alpha=0.12, label="typical at the peak")
    ax.set(xlabel="step", ylabel="update / weight", title="Update ratio", yscale="log")
    other = ax.twinx()
    other.plot(training.step, training.learning_rate, color=ACCENT, ls=":")
    other.set_ylabel("learning rate", color=ACCENT)
    ax.legend(frameon=False)


def draw_gradients(ax, training: TrainingFacts) -> None:
    """Draws how much the loss depends on each kernel, at the start and at the end."""
    kernels = training.kernels
    values = (training.gradient_norm * training.weight_norm)[:, kernels]
    values = np.where(values > 0, values, np.nan)
    for row, label, color in ((0, "first record", INK), (-1, "last record", ACCENT)):
        ax.plot(range(len(kernels)), values[row], "o-", color=color, label=label)
    names = [training.variables[i].removesuffix("/kernel") for i in kernels]
    ax.set_xticks(range(len(kernels)), names, rotation=30, ha="right", fontsize=7)
    ax.set(ylabel="gradient x weight norm", title="Sensitivity by depth", yscale="log")
    ax.legend(frameon=False)


def draw_activations(ax, current: PassFacts) -> None:
    """Draws the fractions of dead and saturated units of every layer."""
    layers = [one for one in current.layers if one.is_activation][-12:]
    dead = [np.nan_to_num(one.dead) for one in layers]
    saturated = [np.nan_to_num(one.saturated) for one in layers]
    positions = np.arange(len(layers))
    ax.barh(positions - 0.2, dead, 0.4, color=ACCENT, label="dead")
    ax.barh(positions + 0.2, saturated, 0.4, color=LIGHT, label="saturated")
    ax.set_yticks(positions, [one.name for one in layers], fontsize=7)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel="fraction of the units", title="Dead, saturated units")
    ax.legend(frameon=False)


def draw_outputs(ax, current: PassFacts, target: TargetFacts) -> None:
    """Draws the distributions of the outputs and of the targets."""
    outputs = current.outputs[0].ravel()
    targets = target.values.ravel()
    for values, label, color in (
        (targets, "targets", LIGHT),
        (outputs, "outputs", INK),
    ):
        finite = values[np.isfinite(values)]
        if len(finite):
            ax.hist(finite, 40, color=color, alpha=0.7, label=label, density=True)
    ax.set(xlabel="value", yticks=[], title="Outputs and targets")
    ax.legend(frameon=False)


def draw_inputs(ax, facts: InputFacts) -> None:
    """Draws the scale of each column of an input."""
    values = np.sort(facts.column_rms)[::-1]
    ax.bar(range(len(values)), values, color=INK)
    ax.axhline(1, color="#2e8b57", label="expected")
    if values.max() > 100 or (values[values > 0].size and values.max() < 0.1):
        ax.set_yscale("log")
    ax.set(xlabel="column", ylabel="root mean square", title="Scale of the inputs")
    ax.legend(frameon=False)


def draw_weights(ax, nodes: list[Node]) -> None:
    """Draws the gain of every kernel, or of the last ones if there are many."""
    nodes = nodes[-16:]
    ax.bar(range(len(nodes)), [one.kernel.gain for one in nodes], color=INK)
    ax.axhspan(0.5, 2.5, color="#2e8b57", alpha=0.12, label="usual")
    names = [one.name for one in nodes]
    ax.set_xticks(range(len(nodes)), names, rotation=30, ha="right", fontsize=7)
    ax.set(ylabel="rms * sqrt(fan-in)", title="Scale of the weights")
    ax.legend(frameon=False)
