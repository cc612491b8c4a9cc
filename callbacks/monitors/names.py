"""Functions that name variables and layers in records."""


def unique_names(names) -> list[str]:
    """Makes names unique by appending a number to each repeated name."""
    found: list[str] = []
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        found.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return found


def layer_of(variable: str) -> str:
    """Removes the suffix "/kernel", if present, from the path of a variable."""
    return variable.removesuffix("/kernel")
