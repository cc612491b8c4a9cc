"""Messages of `EarlyStopping`, in which epochs are counted from 1."""

import math
from collections.abc import Callable

from zoo.utils.arguments import close_match, invalid_argument, is_number


def wrong_monitor(monitor) -> ValueError:
    """Creates an error for a monitor that is not a text, with the call to write."""
    fix, name = "", getattr(monitor, "name", getattr(monitor, "__name__", None))
    if is_number(monitor):
        fix = f"For a number of epochs, write `EarlyStopping(patience={monitor})`."
    elif isinstance(name, str):
        fix = f"Pass its name in the logs, such as `EarlyStopping('val_{name}')`."
    return invalid_argument("monitor", "the name of a metric", monitor, fix)


def not_in_logs(monitor: str, logs: dict) -> ValueError:
    """Creates an error for a metric that the logs do not contain."""
    listed = ", ".join(repr(name) for name in logs)
    no_validation = "'val_" not in listed and monitor.startswith("val_")
    return invalid_argument(
        "monitor",
        f"the name of a metric in the logs: {listed}",
        monitor,
        "Pass `validation_data` to `fit`; with a `validation_freq` of n, pass "
        "`start_from_epoch=n - 1` here."
        if no_validation
        else close_match(monitor, logs),
    )


def nothing_to_restore(stopping) -> ValueError:
    """Creates an error for best weights that were not saved."""
    return ValueError(
        "There are no best weights to restore. Expected `restore_best_weights=True` "
        "or a `filepath`, and an epoch with a "
        f"finite {stopping.monitor}. Received: "
        f"restore_best_weights={stopping.restore_best_weights!r}, "
        f"filepath={stopping.filepath!r}, best_epoch={stopping.best_epoch!r}"
    )


def file_is_better(stopping, value_in_file: float) -> str:
    """Says that the file has better weights than the run that has ended."""
    return (
        f"'{stopping.filepath}' still has the weights of an earlier training run, "
        f"with {stopping.monitor} = {value_in_file:g}; the best value of "
        f"this run is {stopping.best}. Remove the file, or use a separate file "
        "for each run."
    )


def immediate_reason(stopping, value: float) -> str | None:
    """Returns the reason for stopping immediately, or `None` if there is none."""
    shown = f"{stopping.monitor} = {value:g}"
    if stopping.check_finite and not math.isfinite(value):
        return f"{shown} is not finite"
    limit = stopping.divergence_threshold
    if limit is not None and stopping.monitor_op(limit, value):
        return f"{shown} is worse than the divergence threshold {limit:g}"
    goal = stopping.stopping_threshold
    if goal is None or not math.isfinite(value) or stopping.monitor_op(goal, value):
        return None
    return f"{shown} has reached the stopping threshold {goal:g}"


def reason_of_patience(stopping, improves: Callable) -> str:
    """Returns the reason for stopping when patience has run out.

    Args:
        stopping: The `EarlyStopping`.
        improves: Function that returns whether a value improves on another one.
    """
    epochs = "1 epoch" if stopping.wait == 1 else f"{stopping.wait} epochs"
    if stopping.best is None or stopping.best_epoch is None:
        return f"{stopping.monitor} has not been finite for {epochs}"
    on = f"{stopping.best:g} (epoch {stopping.best_epoch + 1})"
    baseline = stopping.baseline
    if baseline is not None and not improves(stopping.best, baseline):
        on = f"the baseline {baseline:g}"
    return f"{stopping.monitor} has not improved on {on} for {epochs}"


def state_of(stopping, *, has_begun: bool, has_restored: bool) -> str:
    """Describes the choice and the state of the callback.

    Args:
        stopping: The `EarlyStopping`.
        has_begun: Whether an epoch of `fit` has ended.
        has_restored: Whether the weights of the best epoch were restored.
    """
    name, monitor = type(stopping).__name__, stopping.monitor
    if not has_begun:
        patience = f"with a patience of {stopping.patience}"
        return f"{name} on {monitor}, {patience}: no epoch has ended yet."
    text = "training was not stopped early"
    if stopping.reason is not None:
        epoch = stopping.stopped_epoch + 1
        text = f"training was stopped after epoch {epoch}, since {stopping.reason}"
    best = f"No epoch has a {monitor} to keep"
    if stopping.best_epoch is not None:
        best = f"The best {monitor} is {stopping.best:g}, of epoch "
        best += f"{stopping.best_epoch + 1}"
        best += ", whose weights were restored" if has_restored else ""
    return f"{name} on {monitor}: {text}. {best}."
