"""Lines of Keras code for advice.

Each line is valid Python, in which the model is called `model`, and the data `x` and
`y`. It keeps what the facts know of the model: names, sizes and metrics.
"""

import math

from ..facts import Facts
from ..reading.graph import Head, Node
from ..reading.loss_facts import LossFacts
from .outputs import Output

# Arguments without a default, in their order, of layers that few others describe.
REQUIRED: dict[str, tuple[str, ...]] = {
    "Dense": ("units",),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), ("units",)),
    "Embedding": ("input_dim", "output_dim"),
    **dict.fromkeys(("Dropout", "AlphaDropout", "GaussianDropout"), ("rate",)),
    **dict.fromkeys([f"SpatialDropout{n}D" for n in (1, 2, 3)], ("rate",)),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "Softmax"), ()),
}
# Metrics whose names alone define them.
METRICS = (
    *("accuracy", "binary_accuracy", "categorical_accuracy", "mae", "mse"),
    *("sparse_categorical_accuracy", "mean_absolute_error", "mean_squared_error"),
)
# Default rates of Keras, which diverge in few models. Other optimizers start at 1e-3.
USUAL_RATES = {"SGD": 0.1, "Adadelta": 1.0}


def compile_with(argument: str, facts: Facts | None = None) -> str:
    """Returns a call to `compile` with changed arguments.

    The call keeps the metrics if there is one output and their names define them.
    Otherwise the argument is missing, and the model has no metrics.

    Args:
        argument: Arguments of `compile` as code, such as `"loss='mse'"`.
        facts: Facts that contain the metrics. Defaults to `None`: no metrics.
    """
    parts = [argument]
    if "optimizer=" not in argument:
        parts.insert(0, "optimizer=model.optimizer")
    if "loss=" not in argument:
        parts.append("loss=model.loss")
    metrics = facts.model.metrics if facts and len(facts.model.losses) == 1 else ()
    if metrics and "metrics=" not in argument and set(metrics) <= set(METRICS):
        parts.append(f"metrics={list(metrics)!r}")
    return f"model.compile({', '.join(parts)})"


def fit_with(facts: Facts, **changes: int) -> str:
    """Returns a call to `fit` with changed arguments, for the arrays or the dataset.

    A comment says what the arguments were, and where the batch size of a dataset is
    changed, because `fit` does not take it.
    """
    training = facts.training
    if training is None:
        return _fit("x, y", changes)
    before = {"epochs": training.num_epochs, "batch_size": training.batch_size}
    notes = [
        f"{name}={before[name]}"
        for name, value in changes.items()
        if before[name] not in (None, value)
    ]
    note = f"  # instead of {', '.join(notes)}" if notes else ""
    if not training.reads_dataset:
        return _fit("x, y", changes) + note
    size = changes.pop("batch_size", None)
    if size is not None:
        note = f"  # with batches of {size} in the dataset{note.replace('  #', ',')}"
    return _fit("dataset", changes) + note


def with_loss(facts: Facts, output: Output, loss: str) -> str:
    """Returns a call to `compile` with another loss, given as code, of one output."""
    if len(facts.model.losses) > 1:
        i, target = output.index, output.target
        if target is not None and target.name.endswith(f"[{i}]"):
            loss = f"[*model.loss[:{i}], {loss}, *model.loss[{i + 1}:]]"
        else:
            loss = f"{{**model.loss, {output.name!r}: {loss}}}"
    return compile_with(f"loss={loss}", facts)


def loss_code(loss: LossFacts, name: str | None = None, **changes) -> str:
    """Returns code of a cross-entropy that keeps the options of another one.

    Args:
        loss: Loss whose options apply.
        name: Name of the function of the new loss. Defaults to that of `loss`.
        **changes: Changed options.
    """
    name = name or loss.name or ""
    is_sparse = name.startswith("sparse")
    options: dict = {"from_logits": bool(loss.from_logits)}
    if not is_sparse:
        options["label_smoothing"] = loss.label_smoothing
    elif loss.ignore_class is not None:
        options["ignore_class"] = loss.ignore_class
    options |= changes
    if "from_logits" not in changes and not any(options.values()):
        return repr(name)
    given = [
        f"{key}={value!r}"
        for key, value in options.items()
        if value or key in changes or key == "ignore_class"
    ]
    kind = "".join(part.title() for part in name.split("_"))
    return f"keras.losses.{kind}({', '.join(given)})"


def layer(head: Head, units: int | None, activation: str | None) -> str:
    """Returns the output layer with other units or another activation.

    An activation in a layer of its own is changed there. Dense outputs follow a
    recurrent layer, whose activation is part of its recurrence.
    """
    units = head.units if units is None else units
    end = "" if activation is None else f", activation={activation!r}"
    node, last = head.node, head.last
    if node is None:
        return f"keras.layers.Dense({units}{end})"
    if node.role == "recurrent":
        return f"keras.layers.Dense({units}{end})  # after layer {node.name!r}"
    if last is None or last is node:
        return layer_code(node, units=units, activation=activation)
    if units == head.units:
        return (
            f"keras.layers.Activation({activation or 'linear'!r}, name={last.name!r})"
        )
    return layer_code(node, units=units)


def probability_layer(output: Output) -> str:
    """Returns the output layer with the activation that a cross-entropy expects."""
    is_binary = output.loss.is_binary
    return layer(output.head, None, "sigmoid" if is_binary else "softmax")


def layer_code(node: Node, **changes) -> str:
    """Returns one layer with changed arguments, and with its real kind and name.

    Layers with many arguments, such as convolutions, keep those that are not changed.

    Args:
        node: Node of the layer.
        **changes: Changed arguments. `units` also means the filters of a convolution.
    """
    name = node.name.rpartition("/")[2]
    required = REQUIRED.get(node.kind)
    if node.role == "activation" and "activation" in changes:
        activation = changes["activation"] or "linear"
        return f"keras.layers.Activation({activation!r}, name={name!r})"
    if required is None:
        return _changed(node, name, changes)
    parts = [str(_argument(node, name, one, changes)) for one in required]
    parts.append(f"name={name!r}")
    for one, value in _optional(node, changes).items():
        if one not in required:
            parts.append(f"{one}={value!r}")
    return f"keras.layers.{node.kind}({', '.join(parts)})"


def _changed(node: Node, name: str, changes: dict) -> str:
    """Returns code that changes arguments of a layer, and keeps the others."""
    filters = node.options.get("filters")
    if "units" in changes and "units" not in node.options:
        changes["filters"] = changes.pop("units")
    if changes.get("filters") == filters:
        changes.pop("filters", None)
    layer = f"model.get_layer({name!r})"
    if set(changes) == {"activation"}:
        activation = changes["activation"] or "linear"
        return f"{layer}.activation = keras.activations.{activation}"
    config = ", ".join(f"{one!r}: {value!r}" for one, value in changes.items())
    return f"keras.layers.{node.kind}.from_config({{**{layer}.get_config(), {config}}})"


def set_rate(facts: Facts, rate: float) -> str:
    """Returns a line that changes the learning rate and keeps everything else.

    A higher rate stays within the usual one of the optimizer, unless the current rate
    is above it. The line cannot change a schedule, so it compiles the model then.
    """
    optimizer = facts.model.optimizer
    rate = _usual(optimizer.name, optimizer.learning_rate, rate)
    if optimizer.is_scheduled or optimizer.name is None:
        return with_rate(facts, rate)
    return f"model.optimizer.learning_rate = {rate:.1g}"


def with_rate(facts: Facts, rate: float) -> str:
    """Returns a call to `compile` with a new optimizer, with its default settings."""
    optimizer = facts.model.optimizer
    rate = _usual(optimizer.name, optimizer.learning_rate, rate)
    return compile_with(f"optimizer={optimizer.code(rate)}", facts)


def _fit(data: str, changes: dict) -> str:
    arguments = [data, *(f"{name}={value}" for name, value in changes.items())]
    return f"model.fit({', '.join(arguments)})"


def _usual(name: str | None, current: float | None, rate: float) -> float:
    usual = USUAL_RATES.get(name or "", 1e-3)
    if not (math.isfinite(rate) and rate > 0):
        return usual
    is_higher = current is None or rate > current
    return (
        min(rate, max(usual, 10 * current if current and current >= usual else 0))
        if (is_higher)
        else rate
    )


def _argument(node: Node, name: str, argument: str, changes: dict):
    """Returns a required argument: changed, known, or read from the user's layer."""
    known = {"output_dim": node.shape[-1] if node.shape else None, **node.options}
    if argument == "units" and not known.get("units") and node.shape:
        known["units"] = node.shape[-1]
    value = changes.get(argument, known.get(argument))
    return f"model.get_layer({name!r}).{argument}" if value is None else value


def _optional(node: Node, changes: dict) -> dict:
    """Returns the arguments that differ from their defaults."""
    options = dict(changes)
    is_recurrent = node.role == "recurrent"
    default = "tanh" if is_recurrent else "linear"
    if node.role in ("kernel", "recurrent"):
        activation = options.pop("activation", node.activation) or "linear"
        if activation != default:
            options["activation"] = activation
    if is_recurrent:
        options.setdefault("return_sequences", node.options.get("return_sequences"))
        if not options["return_sequences"]:
            del options["return_sequences"]
    return options
