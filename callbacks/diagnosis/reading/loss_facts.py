"""Facts about the loss of one output."""

import inspect
from dataclasses import dataclass

import keras

from zoo.utils.arguments import is_number

CROSS_ENTROPIES = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy",
)
DISTANCES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
)
KNOWN = (
    *CROSS_ENTROPIES,
    *DISTANCES,
    *("hinge", "squared_hinge", "categorical_hinge", "poisson", "kl_divergence"),
)


@dataclass(frozen=True)
class LossFacts:
    """The loss of one output.

    Attributes:
        name: Name of the function in `keras.losses`, or `None` if the loss is unknown.
        from_logits: Whether a cross-entropy expects logits. `None` if unknown.
        label_smoothing: Label smoothing of a cross-entropy.
        weight: Weight of this loss in the total loss.
        code: How the loss is written in code.
    """

    name: str | None
    from_logits: bool | None = None
    label_smoothing: float = 0.0
    weight: float = 1.0
    code: str = ""

    @property
    def is_binary(self) -> bool:
        """Whether the loss is a binary cross-entropy."""
        return self.name in ("binary_crossentropy", "binary_focal_crossentropy")

    @property
    def is_categorical(self) -> bool:
        """Whether the loss is a categorical cross-entropy for one-hot labels."""
        return self.name in (
            "categorical_crossentropy",
            "categorical_focal_crossentropy",
        )

    @property
    def is_sparse(self) -> bool:
        """Whether the loss is a categorical cross-entropy for class indices."""
        return self.name == "sparse_categorical_crossentropy"

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the loss is a cross-entropy."""
        return self.name in CROSS_ENTROPIES

    @property
    def is_distance(self) -> bool:
        """Whether the loss measures a distance between outputs and targets."""
        return self.name in DISTANCES


def read_losses(model: keras.Model, names: list[str]) -> tuple[LossFacts, ...]:
    """Reads the loss of every output.

    Args:
        model: Compiled model.
        names: Names of the outputs.
    """
    losses = _per_output(model.loss, names)
    weights = _per_output(getattr(model, "loss_weights", None), names)
    return tuple(
        _read(loss, weight if is_number(weight) else 1.0)
        for loss, weight in zip(losses, weights, strict=True)
    )


def _per_output(value, names: list[str]) -> list:
    """Returns the entry of each output; `None` where there is none."""
    if isinstance(value, dict):
        return [value.get(name) for name in names]
    if isinstance(value, list | tuple):
        flat = list(value)
        return flat if len(flat) == len(names) else [None] * len(names)
    return [value] * len(names)


def _read(loss, weight: float) -> LossFacts:
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):
            return LossFacts(None)
        code = repr(loss)
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return LossFacts(None)
    else:
        code = getattr(loss, "__name__", type(loss).__name__)
    name = _name_of(loss)
    if name is None:
        return LossFacts(None, weight=weight, code=code)
    options = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    smoothing = options.get("label_smoothing", 0.0)
    return LossFacts(
        name=name,
        from_logits=_from_logits(loss) if name in CROSS_ENTROPIES else None,
        label_smoothing=float(smoothing) if is_number(smoothing) else 0.0,
        weight=float(weight),
        code=code,
    )


def _name_of(loss) -> str | None:
    """Returns the name of a loss of Keras, or `None` for any other loss."""
    function = getattr(loss, "fn", loss)
    for name in KNOWN:
        if function is getattr(keras.losses, name, None):
            return name
    # Some losses of Keras call their function in a method instead of wrapping it.
    kind = type(loss)
    for name in KNOWN:
        public = "".join(part.title() for part in name.split("_"))
        public = public.replace("Kld", "KLD").replace("Klid", "KL")
        if kind is getattr(keras.losses, public, None):
            return name
    return None


def _from_logits(loss) -> bool | None:
    if isinstance(loss, keras.losses.Loss):
        given = getattr(loss, "from_logits", None)
        given = loss.get_config().get("from_logits") if given is None else given
        if isinstance(given, bool):
            return given
        loss = getattr(loss, "fn", None)
    try:
        default = inspect.signature(loss).parameters["from_logits"].default
    except (KeyError, TypeError, ValueError):
        return None
    return default if isinstance(default, bool) else None
