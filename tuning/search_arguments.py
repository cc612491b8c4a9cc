"""Validation of the arguments of a search."""

import os

import keras_tuner

from zoo.utils.arguments import (
    check_choice,
    check_integer,
    check_positive,
    invalid_argument,
)


def check_search_arguments(
    *,
    max_trials: int,
    seed: int | None,
    hyperparameters: keras_tuner.HyperParameters | None,
    executions_per_trial: int,
    folds: int | None,
    prune: bool,
    time_budget: float | None,
    checkpoints: int,
    max_consecutive_failed_trials: int,
    resume_trials: bool,
    max_model_size: int | None,
    directory: str | os.PathLike | None,
    project_name: str | None,
    overwrite: bool,
) -> None:
    """Raises an error if an argument of `RandomSearch` is invalid.

    The hypermodel, the objective and the initial trials are checked elsewhere.

    Raises:
        ValueError: If an argument is invalid or incompatible with another argument.
    """
    check_integer("max_trials", max_trials, minimum=1)
    check_integer("executions_per_trial", executions_per_trial, minimum=1)
    check_integer("checkpoints", checkpoints, minimum=0)
    check_integer(
        "max_consecutive_failed_trials", max_consecutive_failed_trials, minimum=1
    )
    check_choice("prune", prune, (False, True))
    check_choice("overwrite", overwrite, (False, True))
    check_choice("resume_trials", resume_trials, (False, True))
    if hyperparameters is not None and not isinstance(
        hyperparameters, keras_tuner.HyperParameters
    ):
        expected = "a keras_tuner.HyperParameters"
        raise invalid_argument("hyperparameters", expected, hyperparameters)
    for name, path in (("directory", directory), ("project_name", project_name)):
        if path is not None and not isinstance(path, str | os.PathLike):
            raise invalid_argument(name, "a path", path)
    if seed is not None:
        check_integer("seed", seed, minimum=0)
    if time_budget is not None:
        check_positive("time_budget", time_budget)
    if max_model_size is not None:
        check_integer("max_model_size", max_model_size, minimum=1)
    if folds is not None:
        check_integer("folds", folds, minimum=2)
        if executions_per_trial > 1:
            expected = "1 with `folds`, because each fold is an execution"
            raise invalid_argument(
                "executions_per_trial", expected, executions_per_trial
            )
