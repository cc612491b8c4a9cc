"""Where backend-specific code may be; see CONTRIBUTING.md."""

import re

import pytest

PACKAGES = ("zoo", "callbacks", "tuning")
# Rooms of backend-specific code.
BACKEND_ROOMS = (
    "zoo/backend/",
    "callbacks/train_step/",
)
# TFDS and tf.data are read with TensorFlow on every backend.
DATA_ROOMS = ("zoo/datasets/", "tuning/spaces/space.py")


def lines_with(root, pattern, rooms):
    """Returns the lines outside of some rooms in which a pattern occurs."""
    return [
        f"{path.relative_to(root)}: {line.strip()}"
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        if not str(path.relative_to(root)).startswith(rooms)
        for line in path.read_text().splitlines()
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize(
    ("pattern", "rooms"),
    [
        (r"backend\.backend\(\)", BACKEND_ROOMS),
        (r"^\s*(import|from) (jax|torch)\b", BACKEND_ROOMS),
        (r"^\s*(import|from) tensorflow\b", BACKEND_ROOMS + DATA_ROOMS),
    ],
)
def test_backend_specific_code_is_in_its_rooms(root, pattern, rooms):
    assert lines_with(root, pattern, rooms) == []
    everywhere = lines_with(root, pattern, ("nowhere",))
    assert everywhere  # the pattern finds what it looks for
