"""Applies the advice of a finding to a recipe.

The first advice of a finding is a line of Keras code. Each function in `EDITS` handles
one kind of line, and returns the attributes of the recipe to change. To support another
kind of advice, add a function. Advice that no function handles is not applied.
"""

import dataclasses
import re
from collections.abc import Callable

from .compiling import LOSSES, OPTIMIZERS, right_loss
from .recipe import Recipe

NUMBER = r"([\d.]+(?:e[-+]?\d+)?)"
EDITS: list[tuple[str, Callable[[Recipe, re.Match], dict]]] = []


def edit(pattern):
    """Registers a function for advice that matches a pattern."""

    def register(function):
        EDITS.append((pattern, function))
        return function

    return register


def fixed(recipe: Recipe, advice: str) -> Recipe | None:
    """Returns the recipe after one piece of advice, or `None` if it is not known."""
    changes: dict = {}
    for pattern, function in EDITS:
        match = re.search(pattern, advice)
        if match:
            changes |= function(recipe, match)
    result = dataclasses.replace(recipe, **changes)
    return None if result == recipe else result


@edit(rf"(?:learning_rate ?=|optimizers\.\w+\() ?{NUMBER}")
def learning_rate(recipe, match):
    return {"rate": float(match[1]), "schedule": "constant"}


@edit(r"optimizers\.(\w+)\(")
def optimizer(recipe, match):
    name = match[1].lower()
    return {"optimizer": name, "settings": ()} if name in OPTIMIZERS else {}


@edit(r"from_logits ?= ?(True|False)")
def from_logits(recipe, match):
    loss = (recipe.loss or right_loss(recipe)).removesuffix(":logits")
    loss += ":logits" if match[1] == "True" else ""
    return {"loss": loss} if loss in LOSSES else {}


@edit(r"epochs ?= ?(\d+)")
def epochs(recipe, match):
    return {"epochs": min(int(match[1]), 5 * recipe.epochs)}


@edit(r"batch_size ?= ?(\d+)")
def batch_size(recipe, match):
    return {"batch_size": int(match[1])}


@edit(r"shuffle ?= ?True")
def shuffle(recipe, match):
    return {"fit": ()}
