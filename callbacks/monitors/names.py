"""Names of variables and layers in records."""


def unique_names(names) -> list[str]:
    """Returns the names, after appending a number to each repeated name."""
    found: list[str] = []
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        found.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return found


def layer_of(variable: str) -> str:
    """Returns the path of a variable without the suffix "/kernel"."""
    return variable.removesuffix("/kernel")
