"""Colors, legends and names that the pictures share."""

INK, ACCENT, LIGHT, GOOD = "#222222", "#c0392b", "#9aa5b1", "#2e8b57"


LONGEST = 22  # characters of a name


def legend(ax, columns: int = 1, *, above: bool = False) -> None:
    """Adds a small legend without a frame, inside the axes or above them."""
    where = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98)} if above else {}
    ax.legend(frameon=False, fontsize=8, ncols=columns, **where)


def is_named(name: str, where: str) -> bool:
    """Checks whether the location of a finding names a layer or one of its weights."""
    return f"'{name}'" in where or f"'{name}/" in where


def shortened(name: str) -> str:
    """Returns a name that fits into a picture, with the middle left out if needed."""
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[:half]}...{name[-half:]}"


def name_ticks(axis, positions, names, where: str) -> None:
    """Names positions on an axis, and highlights the names in a finding's location."""
    axis.set_ticks(positions, [shortened(name) for name in names], fontsize=8)
    for label, name in zip(axis.get_ticklabels(), names, strict=True):
        if is_named(name, where):
            label.set(color=ACCENT, fontweight="bold")
    if axis.axis_name == "x":
        for label in axis.get_ticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")
