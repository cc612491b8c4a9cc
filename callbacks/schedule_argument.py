"""The check of a schedule that is passed to a callback."""

import keras

from zoo.utils.arguments import close_match, invalid_argument, is_number

from .schedules.schedule import Schedule

EXAMPLES = {  # calls with typical arguments, in epochs
    "Constant": "Constant(warmup=5)",
    "Cosine": "Cosine(90)",
    "Exponential": "Exponential(0.05)",
    "InverseSquareRoot": "InverseSquareRoot(warmup=5)",
    "InverseTime": "InverseTime(0.1)",
    "Linear": "Linear(90)",
    "OneCycle": "OneCycle(90)",
    "StepDecay": "StepDecay(30)",
}


def check_schedule(schedule, call: str, optimizer_call: str) -> Schedule:
    """Returns the schedule; raises an error that shows the call unless it is one.

    Args:
        schedule: Argument of the callback.
        call: Call of the callback as code, with `{}` in place of the schedule.
        optimizer_call: Call of an optimizer as code, with `{}` in place of the value
            that is scheduled.
    """
    if isinstance(schedule, Schedule):
        return schedule
    raise invalid_argument(
        "schedule",
        f"a schedule of callbacks.schedules, such as {EXAMPLES['Cosine']}",
        schedule,
        _fix(schedule, call, optimizer_call),
    )


def _fix(schedule, call: str, optimizer_call: str) -> str:
    if isinstance(schedule, type) and issubclass(schedule, Schedule):
        name = schedule.__name__
        return f"Pass an instance: `{call.format(EXAMPLES.get(name, f'{name}(...)'))}`."
    example = call.format(EXAMPLES["Cosine"])
    if is_number(schedule):
        return (
            "A constant value belongs in the optimizer: "
            f"`model.compile({optimizer_call.format(schedule)}, ...)`. A schedule "
            f"changes it from there: `{example}` for 90 epochs."
        )
    if isinstance(schedule, str):
        return f"{close_match(schedule, EXAMPLES)} Pass an object: `{example}`.".strip()
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return "Keras' own schedules go into the optimizer."
    if callable(schedule):
        return (
            "For a function of the epoch, use keras.callbacks.LearningRateScheduler, "
            "or derive a class from callbacks.schedules.Schedule."
        )
    return ""
