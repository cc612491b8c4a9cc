"""Pictures that show what the findings of a report are based on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..facts import Facts
from ..finding import Finding
from ..outcome import outcome_of
from . import pictures_of_model as model
from . import pictures_of_training as training

SIZE = (5.0, 3.0)  # inches, for one picture
TEXTS = {  # title and caption of each picture
    "loss": (
        "Loss",
        "The curves should fall and end close to each other. A model that has learned "
        "something ends below the loss of the best constant prediction.",
    ),
    "ratio": (
        "Update ratio",
        "How far an update moves the weights, relative to their size. At the peak of "
        "the learning rate, the median should be in the green band, which follows the "
        "rate.",
    ),
    "gradients": (
        "Sensitivity by depth",
        "How much the loss depends on the weights of each layer, from the input on the "
        "left to the output. The line should be level: gradients vanish where it falls "
        "steeply towards the input, and explode where it rises.",
    ),
    "outputs": (
        "Outputs and targets",
        "What the model predicts, next to what it should predict. The two should have "
        "about the same distribution.",
    ),
    "inputs": (
        "Scale of the inputs",
        "Size of the values of each input column, largest first. The initial weights "
        "assume values of about 1.",
    ),
    "activations": (
        "Idle units",
        "Dead units are zero for every example. Saturated units are at a bound of "
        "their activation for most examples. Both hardly learn, so the bars should be "
        "short.",
    ),
    "weights": (
        "Scale of the weights",
        "Factor by which each layer scales a random signal. In the green band, the "
        "signal neither fades nor grows from layer to layer.",
    ),
    "graph": (
        "The model",
        "The layers from input to output, with their activation and the shape of their "
        "output.",
    ),
}


@dataclass(frozen=True)
class Picture:
    """A picture that can be drawn.

    Attributes:
        title: Title of the picture.
        caption: Sentences that say how to read it.
        draw: Function that draws on Matplotlib axes. Its second argument is the
            location of the fault, which the picture highlights if it can.
    """

    title: str
    caption: str
    draw: Callable[..., None]


def pictures_of(facts: Facts | None) -> dict[str, Picture]:
    """Returns all pictures for which something is known, by name."""
    if facts is None:
        return {}
    found = {**_of_training(facts), **_of_data(facts), **_of_model(facts)}
    return {name: Picture(*TEXTS[name], draw) for name, draw in found.items()}


def draw_overview(facts: Facts | None, findings: tuple[Finding, ...], figure=None):
    """Draws the pictures of all findings; without any, all pictures."""
    import matplotlib.pyplot as plt

    pictures = pictures_of(facts)
    places = {one.picture: one.where for one in reversed(findings)}
    wanted = [one.picture for one in findings if one.picture in pictures]
    names = list(dict.fromkeys(wanted)) or list(pictures)
    if not names:
        raise ValueError(
            "There is nothing to plot. Expected a report on a training run, or on a "
            "model with data."
        )
    if figure is None:
        size = (SIZE[0], SIZE[1] * len(names))
        figure = plt.figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(names), squeeze=False).flat
    for ax, name in zip(axes, names, strict=True):
        draw_picture(ax, pictures[name], places.get(name, ""))
    return figure


def draw_picture(ax, picture: Picture, where: str = "") -> None:
    """Draws a picture with its title, and highlights a location."""
    picture.draw(ax, where)
    ax.set_title(picture.title, fontsize=11, loc="left")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _of_training(facts: Facts) -> dict[str, partial[None]]:
    run, found = facts.training, {}
    if run is None:
        return {}
    if run.num_epochs:
        trivial = outcome_of(facts).trivial
        found["loss"] = partial(training.draw_loss, run, trivial)
    if len(run.step) and run.kernels:
        found["ratio"] = partial(training.draw_ratio, run)
        found["gradients"] = partial(training.draw_gradients, run)
    return found


def _of_data(facts: Facts) -> dict[str, partial[None]]:
    current, found = facts.end or facts.start, {}
    if facts.data is None:
        return {}
    targets, inputs = facts.data.targets, facts.data.inputs
    if current is not None and current.outputs and targets:
        shown = current.outputs[0], targets[0]
        found["outputs"] = partial(model.draw_outputs, *shown)
    if inputs and inputs[0].column_rms is not None:
        found["inputs"] = partial(model.draw_inputs, inputs[0])
    return found


def _of_model(facts: Facts) -> dict[str, partial[None]]:
    current, graph, found = facts.end or facts.start, facts.model.graph, {}
    layers = [] if current is None else [x for x in current.layers if x.is_activation]
    if any(one.dead > 0 or one.saturated > 0 for one in layers):
        found["activations"] = partial(model.draw_activations, layers)
    nodes = graph.nodes if graph is not None else ()
    kernels = [node for node in nodes if node.has_kernel]
    if kernels:
        found["weights"] = partial(model.draw_weights, kernels)
    if nodes:
        found["graph"] = partial(model.draw_graph, nodes)
    return found
