"""Facts about the loss of one output."""

import inspect
from dataclasses import dataclass

import keras

from zoo.backend.keras_internals import loss_options, loss_weights
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
    "cosine_similarity",
)
MEAN = "sum_over_batch_size"  # Keras' default reduction


@dataclass(frozen=True)
class LossFacts:
    """The loss of one output.

    Attributes:
        name: Name of the function in `keras.losses`, or `None` if the loss is unknown:
            a function or class of the user, or no loss at all.
        from_logits: Whether a cross-entropy expects logits. `None` if unknown.
        label_smoothing: Label smoothing of a cross-entropy.
        weight: Weight of this loss in the total loss; 0 for an output without a loss.
        code: How the loss is written in code.
        reduction: How the losses of the examples are combined, as Keras names it.
        ignore_class: Class id that the loss ignores, or `None`.
        axis: Axis of the classes of a categorical cross-entropy.
    """

    name: str | None
    from_logits: bool | None = None
    label_smoothing: float = 0.0
    weight: float = 1.0
    code: str = ""
    reduction: str = MEAN
    ignore_class: int | None = None
    axis: int = -1

    @property
    def is_known(self) -> bool:
        """Whether the loss is one of Keras, so that its formula is known."""
        return self.name is not None

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
    given = None if model.loss is None else loss_weights(model)
    weights = _per_output(given, names)
    return tuple(
        _read(loss, float(weight) if is_number(weight) else 1.0)
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
    if loss is None:
        return LossFacts(None, weight=0.0, code="None")
    code = repr(loss) if isinstance(loss, str) else _code(loss)
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        return LossFacts(None, weight=weight, code=code)  # depends on the labels
    try:
        loss = keras.losses.get(loss)
    except ValueError:
        return LossFacts(None, weight=weight, code=code)
    name = _name_of(loss)
    if name is None:
        return LossFacts(None, weight=weight, code=code)
    is_instance = isinstance(loss, keras.losses.Loss)
    options = loss_options(loss) if is_instance else {}
    smoothing = options.get("label_smoothing", 0.0)
    axis = options.get("axis", -1)
    return LossFacts(
        name=name,
        from_logits=_from_logits(loss) if name in CROSS_ENTROPIES else None,
        label_smoothing=float(smoothing) if is_number(smoothing) else 0.0,
        weight=weight,
        code=code,
        reduction=str(loss.reduction or "none").lower() if is_instance else MEAN,
        ignore_class=options.get("ignore_class"),
        axis=axis if isinstance(axis, int) else -1,
    )


def _code(loss) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def _name_of(loss) -> str | None:
    """Returns the name of a loss of Keras, or `None` for any other loss.

    A subclass may compute anything, so its class must be that of Keras.
    """
    function = loss
    if isinstance(loss, keras.losses.Loss):
        if type(loss) is not getattr(keras.losses, type(loss).__name__, None):
            return None
        function = getattr(loss, "fn", None)
    for name in KNOWN:
        if function is getattr(keras.losses, name, None):
            return name
    return None


def _from_logits(loss) -> bool | None:
    if isinstance(loss, keras.losses.Loss):
        given = loss_options(loss).get("from_logits")
        if isinstance(given, bool):
            return given
        loss = getattr(loss, "fn", None)
    try:
        default = inspect.signature(loss).parameters["from_logits"].default
    except (KeyError, TypeError, ValueError):
        return None
    return default if isinstance(default, bool) else None
