"""A training program as plain data, and healthy programs to start from."""

import dataclasses
import random

from .arrays import TASKS

PAIRS = (
    *(("mlp", name) for name in TASKS if name != "waves"),
    *(("res_mlp", name) for name in TASKS if name not in ("waves", "imdb")),
    *(("lstm", name) for name in ("imdb", "waves", "digits", "mnist")),
    *(("cnn", name) for name in ("digits", "mnist", "fashion_mnist", "waves", "imdb")),
)
# Number of training examples and of epochs.
LENGTHS = {
    "digits": (1000, 25),
    "mnist": (3000, 8),
    "fashion_mnist": (3000, 8),
    "waves": (1500, 15),
    "imdb": (4000, 3),
    "breast_cancer": (340, 30),
    "rings": (1500, 25),
    "labels": (2400, 20),
    "wine": (3000, 12),
    "diamonds": (3000, 15),
    "friedman": (2400, 20),
}
OPTIMIZERS = (
    ("adam", 1e-3, ()),
    ("adam", 3e-3, ()),
    ("adamw", 2e-3, ()),
    ("nadam", 1e-3, ()),
    ("rmsprop", 1e-3, ()),
    ("sgd", 0.03, (("momentum", 0.9),)),
    ("sgd", 0.03, (("momentum", 0.9), ("nesterov", True))),
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A training program. Two equal recipes describe the same training run.

    Attributes:
        dataset: Key of `arrays.TASKS`.
        family: "mlp", "res_mlp", "lstm" or "cnn".
        seed: Seed of the weights, the order of the examples and the splits.
        builder: "keras" for layers of Keras, "zoo" for a builder of `zoo`.
        special: Name of a function in `special.py` that builds the model, or "".
        initializer: "auto" (the one that suits the activation), the name of a Keras
            initializer, "normal:0.5" (standard deviation) or "constant:0.1".
        bias: Initial bias of the hidden layers.
        edits: Changes to the model; see `models.py`.
        outputs: Number of units of the last layer, or 0 for the right number.
        head: Activation of the last layer.
        loss: Key of `compiling.LOSSES`, or "" for the loss that suits task and head.
        metric: Key of `compiling.METRICS`, or "" for the metric that suits the task.
        settings: Additional arguments of the optimizer, as pairs.
        schedule: Key of `compiling.SCHEDULES`.
        size: Number of training examples.
        corruptions: Changes to the data; see `corruptions.py`.
        fit: Additional arguments of `fit`, as pairs.
    """

    dataset: str
    family: str
    seed: int
    builder: str = "keras"
    special: str = ""
    width: int = 64
    depth: int = 2
    activation: str = "relu"
    initializer: str = "auto"
    bias: float = 0.0
    normalization: str = ""
    dropout: float = 0.0
    l2: float = 0.0
    edits: tuple = ()
    outputs: int = 0
    head: str = "linear"
    loss: str = ""
    metric: str = ""
    optimizer: str = "adam"
    rate: float = 1e-3
    settings: tuple = ()
    schedule: str = "constant"
    batch_size: int = 32
    size: int = 1000
    epochs: int = 10
    corruptions: tuple = ()
    fit: tuple = ()

    @property
    def task(self) -> str:
        return TASKS[self.dataset]


def healthy_recipe(family: str, dataset: str, seed: int) -> Recipe:
    """Returns a healthy program, whose settings vary with the seed."""
    rng = random.Random(f"{family}/{dataset}/{seed}")
    size, epochs = LENGTHS[dataset]
    optimizer, rate, settings = rng.choice(OPTIMIZERS)
    is_recurrent = family == "lstm"
    if optimizer == "sgd" and is_recurrent:
        optimizer, rate, settings = "adam", 3e-3, ()
    elif optimizer == "sgd" and TASKS[dataset] == "regression":
        rate = 3e-3
    # Normalization within a layer would remove the radius of the rings.
    normalizations = ("", "", "batch") if dataset == "rings" else ("", "batch", "layer")
    if is_recurrent:
        normalizations = ("",)
    builder = rng.choice(("keras", "keras", "zoo")) if family != "cnn" else "keras"
    probabilities = {"classes": "softmax", "binary": "sigmoid", "labels": "sigmoid"}
    head = rng.choice(("linear", probabilities.get(TASKS[dataset], "linear")))
    activations = ("relu", "relu", "gelu", "elu", "tanh", "silu")
    return Recipe(
        dataset=dataset,
        family=family,
        seed=seed,
        builder=builder,
        width=rng.choice((24, 32, 48)) if is_recurrent else rng.choice((32, 64, 96)),
        depth=1 if is_recurrent else rng.choice((2, 3)),
        activation="tanh" if is_recurrent else rng.choice(activations),
        normalization=rng.choice(normalizations),
        dropout=rng.choice((0.0, 0.1, 0.2)),
        head="linear" if builder == "zoo" else head,
        optimizer=optimizer,
        rate=rate,
        settings=settings,
        schedule=rng.choice(("constant", "constant", "cosine")),
        batch_size=rng.choice((16, 32)) if size < 1500 else rng.choice((32, 64)),
        size=size,
        epochs=epochs + 10 * (is_recurrent and dataset in ("digits", "waves")),
    )
