"""Colors, legends and highlights that the pictures share."""

INK, ACCENT, LIGHT, GOOD = "#222222", "#c0392b", "#9aa5b1", "#2e8b57"


def legend(ax, columns: int = 1) -> None:
    """Adds a small legend without a frame."""
    ax.legend(frameon=False, fontsize=8, ncols=columns)


def is_named(name: str, where: str) -> bool:
    """Checks whether the location of a finding names a layer or one of its weights."""
    return f"'{name}'" in where or f"'{name}/" in where


def mark(labels, names, where: str) -> None:
    """Highlights the labels of the layers that the location of a finding names."""
    for label, name in zip(labels, names, strict=True):
        if is_named(name, where):
            label.set(color=ACCENT, fontweight="bold")
