"""Healthy programs in contexts that are easily mistaken for faults.

Each context is a function that changes a healthy recipe, such as a fault does.
"""

import dataclasses
from collections.abc import Callable

from .arrays import IMAGES, TABLES
from .faults import ALL_FAMILIES, DENSE
from .recipe import Recipe

NO_LSTM = (*DENSE, "cnn")
CLASSES = ("classes", "binary", "labels")


@dataclasses.dataclass(frozen=True)
class Context:
    """A context of healthy programs.

    Attributes:
        name: Name of the context.
        change: Function that maps a healthy recipe to the attributes that differ.
        fits: Function that returns whether a recipe can be in this context.
    """

    name: str
    change: Callable[[Recipe], dict]
    fits: Callable[[Recipe], bool]


CONTEXTS: list[Context] = []


def context(name, tasks=(), families=ALL_FAMILIES, datasets=(), change=None, **changes):
    """Adds a context, whose changes are a function of the recipe or fixed values."""

    def fits(recipe):
        return (
            (not tasks or recipe.task in tasks)
            and (not datasets or recipe.dataset in datasets)
            and recipe.family in families
        )

    def all_changes(recipe):
        return changes | (change(recipe) if change else {})

    CONTEXTS.append(Context(name, all_changes, fits))


def special(name, *, tasks=(), families=DENSE, datasets=(), **changes):
    """Adds a context that is a function in `special.py` of the same name.

    The models of these functions end in logits.
    """
    changes = {"head": "linear", "builder": "keras"} | changes
    context(name, tasks, families, datasets, special=name, **changes)


def longer(factor):
    return lambda recipe: {"epochs": factor * recipe.epochs}


context("plain")

# Learning rates and optimizers.
context("warmup", schedule="warmup")
context("cosine", schedule="cosine")
context("steps", schedule="steps")
context("exponential_decay", schedule="exponential")
context("schedule_callback", schedule="callback")
context("reduce_on_plateau", schedule="plateau")
context(
    "sgd",
    families=NO_LSTM,
    optimizer="sgd",
    settings=(),
    change=lambda recipe: {"rate": 0.02 if recipe.task == "regression" else 0.1},
)
context(
    "momentum",
    families=NO_LSTM,
    optimizer="sgd",
    settings=(("momentum", 0.9),),
    change=lambda recipe: {"rate": 0.002 if recipe.task == "regression" else 0.02},
)
context("adam", optimizer="adam", rate=2e-3, settings=())
context("adamw", optimizer="adamw", rate=2e-3, settings=(("weight_decay", 0.02),))
context("nadam", optimizer="nadam", rate=2e-3, settings=())
context("rmsprop", optimizer="rmsprop", rate=1e-3, settings=())
context("lion", optimizer="lion", rate=3e-4, settings=(("weight_decay", 0.01),))
context("adagrad", optimizer="adagrad", rate=0.03, settings=())
context("adadelta", optimizer="adadelta", rate=1.0, settings=())
context("clipping", optimizer="adam", rate=2e-3, settings=(("clipnorm", 1.0),))
context("averaged_weights", optimizer="adam", rate=2e-3, settings=(("use_ema", True),))
context(
    "accumulated_gradients",
    optimizer="adam",
    rate=2e-3,
    batch_size=16,
    settings=(("gradient_accumulation_steps", 2),),
)

# Batches and lengths.
context(
    "small_batches", datasets=("digits", "rings", "waves", "friedman"), batch_size=8
)
context(
    "large_batches",
    optimizer="adam",
    rate=5e-3,
    settings=(),
    batch_size=256,
    change=longer(3),
)
context(
    "long_training", families=NO_LSTM, datasets=("digits", "rings"), change=longer(3)
)
context("few_examples", families=DENSE, datasets=("digits", "breast_cancer"), size=200)

# Layers.
context("batch_norm", families=NO_LSTM, normalization="batch")
context(
    "layer_norm",
    families=("mlp", "res_mlp", "cnn"),
    datasets=IMAGES,
    normalization="layer",
)
context("no_norm", normalization="", dropout=0.0)
context("sparse_relu", families=DENSE, activation="relu", width=384, normalization="")
context("dropout", families=NO_LSTM, dropout=0.5, width=128)
context("weight_decay", families=NO_LSTM, l2=1e-4)
for name in ("selu", "gelu", "elu", "tanh", "leaky_relu", "mish", "softsign"):
    context(name, families=NO_LSTM, activation=name)
context(
    "sigmoid",
    families=("mlp",),
    activation="sigmoid",
    depth=1,
    optimizer="adam",
    rate=5e-3,
    settings=(),
)
context("deep_relu", families=("mlp",), activation="relu", depth=6)
context("deep_residual", families=("res_mlp",), depth=10)
context("orthogonal", families=NO_LSTM, initializer="orthogonal")
context("two_lstm_layers", families=("lstm",), depth=2)
context(
    "linear_model",
    families=("mlp",),
    datasets=("digits", "mnist", "breast_cancer"),
    depth=0,
    builder="keras",
)

# Losses, targets and data.
context("one_hot", tasks=("classes",), head="linear", loss="categorical:logits")
context(
    "label_smoothing",
    tasks=("classes",),
    head="linear",
    loss="categorical_smoothed:logits",
)
context("own_loss", tasks=("classes",), head="linear", loss="categorical_own:logits")
context("own_squared_error", tasks=("regression",), loss="own_mse")
context("focal", tasks=("binary", "labels"), head="linear", loss="binary_focal:logits")
for name in ("mae", "huber", "log_cosh"):
    context(name, tasks=("regression",), loss=name)
context("imbalanced", tasks=("classes",), corruptions=("imbalanced",))
context(
    "noisy_labels",
    tasks=("classes", "binary"),
    corruptions=("wrong_labels",),
    dropout=0.3,
)
context(
    "noisy_targets",
    families=DENSE,
    tasks=("regression",),
    corruptions=("noisy_targets",),
    dropout=0.2,
)

# Models, losses and loops of their own.
special(
    "autoencoder",
    families=("mlp",),
    datasets=IMAGES,
    optimizer="adam",
    rate=2e-3,
    settings=(),
)
special("two_outputs", datasets=IMAGES)
special("pretrained_and_frozen", families=NO_LSTM, tasks=CLASSES)
special("fine_tuned", families=NO_LSTM)
special("custom_train_step", datasets=(*IMAGES, *TABLES))
special("subclassed", families=("mlp",), datasets=(*IMAGES, *TABLES), activation="relu")
special("sequential", families=("mlp",), datasets=(*IMAGES, *TABLES), activation="relu")
special("mixed_precision", datasets=(*IMAGES, *TABLES))
special("batches_from_a_dataset")
special(
    "class_weights", tasks=("classes",), families=NO_LSTM, corruptions=("imbalanced",)
)
special("sample_weights")
special("early_stopping", families=NO_LSTM)
special("validation_split")
special("no_validation")
special(
    "normalization_layer",
    datasets=(*IMAGES, "breast_cancer", "wine", "diamonds"),
    corruptions=("raw_inputs",),
)
special(
    "targets_in_their_units",
    tasks=("regression",),
    corruptions=("raw_targets",),
    optimizer="adam",
    rate=2e-3,
    settings=(),
)
special("maxout", families=("mlp",), datasets=(*IMAGES, *TABLES))
special("stochastic_depth", families=("res_mlp",))
special("bidirectional", families=("lstm",))
special("gru", families=("lstm",))
special(
    "predicted_noise",
    families=("mlp",),
    tasks=("regression",),
    optimizer="adam",
    rate=2e-3,
    settings=(),
)
special("multiclass_hinge", tasks=("classes",))
