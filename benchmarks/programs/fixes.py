"""Applies the first advice of a finding to a program, by running it.

The advice is a line of Python in which the model is called `model`, and the data `x`
and `y`. These lines have an effect:

- statements that change the model, its optimizer or its loss: they run on the new,
  untrained model;
- assignments to `x`: they run on the inputs of all splits, and to `y`: on the labels of
  training and validation. Regression targets stay as they are, since predictions of
  other targets could not be compared. `x, y = ...`, which selects examples, runs on
  the training data only;
- an expression that creates a layer with the name of a layer of the model, which it
  replaces;
- calls to `model.fit`, whose arguments replace those of the program.

All other advice is not applied: text, lines without an effect on these, and lines with
a comment that says where they belong, such as "# in `call`".
"""

import ast
import re

import keras
import numpy as np

from .program import Program, Training


def with_advice(program: Program, advice: str) -> Training | None:
    """Builds a program and applies one piece of advice to it.

    Returns:
        The changed program, or `None` if the advice could not be applied.
    """
    if re.search(r"# (in|before|after|instead)\b", advice):
        return None
    try:
        tree = ast.parse(advice)
    except SyntaxError:
        return None
    training = program.build()
    if not hasattr(training.fit["x"], "shape"):
        return None
    try:
        changed = _apply(tree, training)
    except Exception:  # advice that does not run has not helped
        return None
    return training if changed else None


def _apply(tree: ast.Module, training: Training) -> bool:
    """Applies advice. Returns whether it has an effect."""
    if not tree.body:
        return False
    first = tree.body[0]
    code = ast.unparse(tree)
    if isinstance(first, ast.Expr) and code.startswith("keras.layers."):
        return _replace_layer(eval(code, _names(training)), training)
    names, calls = _names(training), []
    model = training.model
    fit, model.fit = model.fit, lambda *args, **kwargs: calls.append(kwargs)
    try:
        exec(code, names)
    finally:
        model.fit = fit
    for arguments in calls:
        training.fit |= arguments
    training.model = names["model"]
    has_targets = training.arrays.task == "regression"
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    has_effect = "model" in used
    for statement in tree.body:
        assigned = _assigned(statement)
        if "y" in assigned and has_targets:
            return False
        _change_data(statement, assigned & {"x", "y"}, names, training)
        has_effect |= bool(assigned & {"x", "y"})
    return has_effect


def _names(training: Training) -> dict:
    x, y = training.fit["x"], training.fit.get("y")
    return {"keras": keras, "np": np, "model": training.model, "x": x, "y": y}


def _assigned(statement: ast.stmt) -> set[str]:
    """Returns the names and attributes that a statement assigns."""
    nodes = ast.walk(statement)
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in nodes
        if isinstance(node, ast.Name | ast.Attribute)
        and isinstance(node.ctx, ast.Store)
    }


def _change_data(statement, assigned: set, names: dict, training: Training) -> None:
    """Takes over changed training data, and changes the other splits alike."""
    for name in assigned:
        training.fit[name] = np.asarray(names[name])
    if len(assigned) != 1:
        return
    (name,) = assigned
    code = ast.unparse(statement)

    def changed(values):
        inside = names | {name: values}
        exec(code, inside)
        return np.asarray(inside[name])

    x, y = training.fit["validation_data"]
    if name == "x":
        training.fit["validation_data"] = changed(x), y
        training.arrays.x_test = changed(training.arrays.x_test)
    else:
        training.fit["validation_data"] = x, changed(y)


def _replace_layer(layer: keras.layers.Layer, training: Training) -> bool:
    """Rebuilds the model with a layer in place of the one with the same name."""
    model = training.model
    if layer.name not in [one.name for one in model.layers]:
        return False

    def clone(one):
        if one.name == layer.name:
            return layer
        return type(one).from_config(one.get_config())

    keras.utils.set_random_seed(0)
    training.model = keras.models.clone_model(model, clone_function=clone)
    training.model.compile(
        optimizer=type(model.optimizer).from_config(model.optimizer.get_config()),
        loss=model.loss,
    )
    return True
