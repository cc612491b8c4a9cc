"""A program: what is wrong with it, and how to build and judge it."""

import dataclasses
import hashlib
import zlib

import keras
import numpy as np

from .arrays import Arrays, load_arrays
from .compiling import callbacks_of, compile_model, right_loss
from .corruptions import CORRUPTIONS
from .models import make_model
from .recipe import Recipe


@dataclasses.dataclass
class Training:
    """What is needed to train a program and to judge the result.

    Attributes:
        model: The compiled model.
        arrays: The data. The test data are not part of `fit`.
        fit: Arguments of `model.fit`.
        predict: Function that maps inputs to what the program predicts.
    """

    model: keras.Model
    arrays: Arrays
    fit: dict
    predict: object = None

    def predictions(self, x) -> np.ndarray:
        if self.predict is not None:
            return np.asarray(self.predict(self.model, x))
        return self.model.predict(x, batch_size=500, verbose=0)


@dataclasses.dataclass(frozen=True)
class Program:
    """A training program that is healthy or has one known fault.

    Attributes:
        kind: Name of the fault, or of the context of a healthy program.
        recipe: The program itself.
        causes: The cause, followed by other causes that describe it as well. Empty for
            a healthy program.
        twin: The same program without the fault, or `None` for a healthy program.
        wrong_head: Whether the fault concerns the last layer, the loss or the encoding
            of the labels, which can be found by reading the model.
        harm: "skill" if the fault makes the model worse, "report" if it makes the
            figures that `fit` reports wrong.
    """

    kind: str
    recipe: Recipe
    causes: tuple[str, ...] = ()
    twin: Recipe | None = None
    wrong_head: bool = False
    harm: str = "skill"

    @property
    def group(self) -> str:
        """The kind of program: all seeds have the same group."""
        return f"{self.kind}/{self.recipe.family}/{self.recipe.dataset}"

    @property
    def key(self) -> str:
        return f"{self.group}/{self.recipe.seed}"

    @property
    def half(self) -> str:
        """The half to choose limits on, or the half to report results on."""
        digest = hashlib.sha256(self.group.encode()).digest()
        return ("chosen", "reported")[digest[0] % 2]

    def build(self) -> Training:
        return build(self.recipe)


def build(recipe: Recipe) -> Training:
    """Builds and compiles a program. The result depends only on the recipe."""
    from .special import SPECIAL  # imports this module

    rng = np.random.default_rng([recipe.seed, zlib.crc32(recipe.dataset.encode())])
    arrays = load_arrays(recipe.dataset, recipe.size, recipe.seed)
    for name in recipe.corruptions:
        CORRUPTIONS[name](arrays, rng)
    keras.utils.set_random_seed(recipe.seed)
    if recipe.special:
        return SPECIAL[recipe.special](recipe, arrays)
    model = make_model(recipe, arrays)
    compile_model(model, recipe, arrays)
    return Training(model, arrays, fit_arguments(recipe, arrays))


def fit_arguments(recipe: Recipe, arrays: Arrays) -> dict:
    """Returns the arguments of `fit`."""
    y, y_val = arrays.y, arrays.y_val
    loss = recipe.loss or right_loss(recipe)
    if y.ndim == 1 and loss.startswith(("categorical", "one_hot")):
        one_hot = np.eye(arrays.num_outputs, dtype="float32")
        y, y_val = one_hot[y], one_hot[y_val]
    return {
        "x": arrays.x,
        "y": y,
        "validation_data": (arrays.x_val, y_val),
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "callbacks": callbacks_of(recipe),
        "verbose": 0,
        **dict(recipe.fit),
    }
