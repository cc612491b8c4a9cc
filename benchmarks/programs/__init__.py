"""Small training programs that are healthy or have one known fault.

`faulty_programs` and `healthy_programs` list them. `recipe.py` describes a program as
plain data, `faults_*.py` change a healthy recipe, `healthy.py` puts it into contexts
that look unusual, and `program.py` builds what a recipe describes. The scripts in
`whole/` are separate: they are complete programs with one or two mistakes each.
"""

import dataclasses
import zlib
from random import Random

from . import faults_of_data, faults_of_heads, faults_of_models, faults_of_training
from .arrays import is_available
from .faults import FAULTS
from .healthy import CONTEXTS
from .program import Program, Training, build
from .recipe import PAIRS, Recipe, healthy_recipe

GROUPS_PER_FAULT = 6
GROUPS_PER_CONTEXT = 4


def faulty_programs(seeds) -> list[Program]:
    """Returns programs with one fault each, for each kind of program and seed."""
    programs = []
    for fault in FAULTS:
        for family, dataset in _pairs(fault.name, fault.fits, GROUPS_PER_FAULT):
            for seed in seeds:
                base = healthy_recipe(family, dataset, seed)
                twin = dataclasses.replace(base, **fault.twin(base))
                rng = Random(f"{fault.name}/{family}/{dataset}/{seed}")
                recipe = dataclasses.replace(twin, **fault.change(twin, rng))
                programs.append(
                    Program(
                        fault.name,
                        recipe,
                        fault.causes,
                        twin,
                        fault.wrong_head,
                        fault.harm,
                    )
                )
    return programs


def healthy_programs(seeds) -> list[Program]:
    """Returns healthy programs, for each kind of program and seed."""
    return [
        Program(context.name, dataclasses.replace(base, **context.change(base)))
        for context in CONTEXTS
        for family, dataset in _pairs(context.name, context.fits, GROUPS_PER_CONTEXT)
        for base in (healthy_recipe(family, dataset, seed) for seed in seeds)
    ]


def _pairs(name, fits, count):
    """Returns up to `count` families and datasets, with as many families as possible.

    The choice depends only on `name` and on the datasets that are available.
    """
    pairs = [
        (family, dataset)
        for family, dataset in PAIRS
        if is_available(dataset) and fits(healthy_recipe(family, dataset, 0))
    ]
    pairs.sort(key=lambda pair: zlib.crc32(f"{name}/{pair}".encode()))
    seen: dict[str, int] = {}
    ranks = []
    for family, _ in pairs:
        seen[family] = seen.get(family, 0) + 1
        ranks.append(seen[family])
    ranked = sorted(zip(ranks, range(len(pairs)), strict=True))
    return [pairs[index] for _, index in ranked[:count]]


__all__ = [
    "FAULTS",
    "Program",
    "Recipe",
    "Training",
    "build",
    "faults_of_data",
    "faults_of_heads",
    "faults_of_models",
    "faults_of_training",
    "faulty_programs",
    "healthy_programs",
    "healthy_recipe",
]
