"""Phrases with which the monitors describe what they recorded."""

from collections.abc import Mapping, Sequence


def number_of(number: int, singular: str, plural: str | None = None) -> str:
    """Returns a number with its noun, such as "1 update" or "1,000 updates"."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def recorded_at(positions: Sequence[int], unit: str) -> str:
    """Returns where records lie, such as "steps 0 to 950" or "step 0"."""
    first, last = positions[0], positions[-1]
    return f"{unit} {first}" if first == last else f"{unit}s {first} to {last}"


def listed(names: Sequence[str], limit: int = 4) -> str:
    """Returns at most `limit` names, and the number of the others."""
    text = ", ".join(names[:limit])
    more = len(names) - limit
    return f"{text} and {more} more" if more > 0 else text


def extremes(values: Mapping[str, float], digits: str) -> str:
    """Returns a verb with the smallest and the largest of named values.

    Args:
        values: Dict from at least one name to a number.
        digits: Format of the numbers.
    """
    least, most = (best(values, key=values.__getitem__) for best in (min, max))
    smallest, largest = f"{values[least]:{digits}}", f"{values[most]:{digits}}"
    if len(values) == 1:
        return f"is {smallest} ({least})"
    if values[least] == values[most]:
        return f"is {smallest} in all of them"
    return f"ranges from {smallest} ({least}) to {largest} ({most})"
