"""The register of faults. Each fault is a function that changes a healthy recipe."""

import dataclasses
from collections.abc import Callable
from random import Random

from .recipe import Recipe

DENSE = ("mlp", "res_mlp")
ALL_FAMILIES = (*DENSE, "lstm", "cnn")


@dataclasses.dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        name: Name of the fault.
        causes: The cause, followed by other causes that describe the fault as well.
        change: Function that maps a healthy recipe and a random generator to the
            attributes of the recipe that the fault changes.
        twin: Function that maps the recipe to the attributes that both the faulty
            program and its healthy twin have, such as the activation.
        fits: Function that returns whether the fault can occur in a recipe.
        wrong_head: See `Program`.
        harm: See `Program`.
    """

    name: str
    causes: tuple[str, ...]
    change: Callable[[Recipe, Random], dict]
    twin: Callable[[Recipe], dict]
    fits: Callable[[Recipe], bool]
    wrong_head: bool
    harm: str


FAULTS: list[Fault] = []


def fault(
    *causes: str,
    tasks=(),
    families=ALL_FAMILIES,
    datasets=(),
    edits_model=False,
    twin=None,
    wrong_head=False,
    harm="skill",
):
    """Registers a function as a fault. Its name is the name of the fault.

    Args:
        *causes: See `Fault`.
        tasks: Tasks in which the fault can occur. Defaults to `()`: all tasks.
        families: Families of models in which it can occur. Defaults to all families.
        datasets: Datasets in which it can occur. Defaults to `()`: all datasets.
        edits_model: Whether the model must be built from layers of Keras, because the
            builders of `zoo` cannot make this mistake. Defaults to `False`.
        twin: See `Fault`. Defaults to `None`: the fault changes the recipe as it is.
        wrong_head: See `Program`. Defaults to `False`.
        harm: See `Program`. Defaults to `"skill"`.
    """

    def fits(recipe):
        return (
            (not tasks or recipe.task in tasks)
            and (not datasets or recipe.dataset in datasets)
            and recipe.family in families
        )

    def of_both(recipe):
        plain = {"builder": "keras"} if edits_model else {}
        return plain | (twin(recipe) if twin else {})

    def register(change):
        FAULTS.append(
            Fault(change.__name__, causes, change, of_both, fits, wrong_head, harm)
        )
        return change

    return register
