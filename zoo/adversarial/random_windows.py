"""The parts of an input that a random search changes at a time: squares, subsets.

All numbers are drawn before the search, uniform in [0, 1), a row for each example, so
a search is a function of its seed and compiles on every backend.
"""

import math

import numpy as np
from keras import ops

SHARE = 0.8  # of the features that the first windows change
HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 steps


def shares(steps: int) -> np.ndarray:
    """Returns the share of the features that every step changes (section 3.1)."""
    scaled = np.arange(1, steps + 1) * 10_000 / steps
    return SHARE / 2 ** np.searchsorted(HALVED_AT, scaled)


class Squares:
    """Squares in images of shape `(rows, columns, channels)`.

    Args:
        shape: Shape of an image.
        steps: Number of steps of the search.

    Attributes:
        start_size: How many numbers `stripes` and `tiles` take for an example.
        step_size: How many numbers `draw` takes for an example.
    """

    def __init__(self, shape: tuple[int, int, int], steps: int):
        self.shape = shape
        rows, columns, channels = shape
        self._tile = max(1, min(rows, columns) // 5)
        tiles = math.ceil(rows / self._tile) * math.ceil(columns / self._tile)
        self.start_size = max(columns, tiles) * channels
        self.step_size = 5 + channels
        # As square as the image lets them be, where it is long and thin.
        area = shares(steps) * rows * columns
        side = np.rint(np.sqrt(area))
        narrow = np.clip(side, 1, min(rows, columns))
        wide = np.clip(np.rint(area / narrow), 1, max(rows, columns))
        sides = (narrow, wide) if rows <= columns else (wide, narrow)
        self._sides = np.stack(sides, axis=1).astype("int32")
        self._bumps, self._kinds = _bumps(self._sides, rows, columns)

    def stripes(self, numbers):
        """Returns signs in vertical stripes, where a search under linf starts."""
        _, columns, channels = self.shape
        signs = _signs(numbers[:, : columns * channels])
        signs = ops.reshape(signs, (-1, 1, columns, channels))
        return ops.broadcast_to(signs, (ops.shape(numbers)[0], *self.shape))

    def tiles(self, numbers):
        """Returns bumps of random signs in tiles, where a search under l2 starts."""
        rows, columns, channels = self.shape
        size = self._tile
        down, across = math.ceil(rows / size), math.ceil(columns / size)
        signs = _signs(numbers[:, : down * across * channels])
        signs = ops.reshape(signs, (-1, down, across, channels))
        signs = ops.repeat(ops.repeat(signs, size, axis=1), size, axis=2)
        bumps = np.tile(bump(size, size), (down, across))[:rows, :columns, None]
        bumps = ops.convert_to_tensor(bumps.astype("float32"))
        return signs[:, :rows, :columns] * bumps

    def draw(self, step, numbers, start):
        """Draws a window, another one, and what to add to the first.

        Args:
            step: Integer tensor of shape `(batch,)`, from 0.
            numbers: Tensor of shape `(batch, step_size)`.
            start: The numbers of the start, which are not used here.

        Returns:
            Two bool tensors that broadcast to `(batch, *shape)`, the windows; a tensor
            of signs, constant in each channel; and one of a bump in the first window,
            with the same signs.
        """
        sides = ops.take(ops.convert_to_tensor(self._sides), step, axis=0)
        corner = _corner(numbers[:, 0:2], sides, self.shape)
        other = _corner(numbers[:, 2:4], sides, self.shape)
        kind = ops.take(ops.convert_to_tensor(self._kinds), step)
        turned = ops.cast(numbers[:, 4] < 0.5, "int32")
        bump = ops.take(ops.convert_to_tensor(self._bumps), 2 * kind + turned, axis=0)
        for axis in (0, 1):
            places = ops.arange(self.shape[axis])[None] - corner[:, axis, None]
            places = ops.expand_dims(ops.maximum(places, 0), 2 - axis)
            bump = ops.take_along_axis(bump, places, axis=axis + 1)
        inside = self._inside(corner, sides)
        signs = _signs(numbers[:, 5:])[:, None, None, :]
        bump = ops.where(inside, bump[..., None], 0.0) * signs
        return inside, self._inside(other, sides), signs, bump

    def _inside(self, corner, sides):
        parts = []
        for axis in (0, 1):
            places = ops.arange(self.shape[axis])[None] - corner[:, axis, None]
            parts.append((places >= 0) & (places < sides[:, axis, None]))
        return (parts[0][:, :, None] & parts[1][:, None, :])[..., None]


class Subsets:
    """Random subsets of features that have no neighbours, of shape `(features, 1, 1)`.

    Each example has a random order of its features. A subset is what lies between two
    places of that order, after each place was multiplied by a random number that has
    no common divisor with the number of features.

    Args:
        size: Number of features.
        steps: Number of steps of the search.

    Attributes:
        start_size: How many numbers `stripes` and `tiles` take for an example.
        step_size: How many numbers `draw` takes for an example.
    """

    def __init__(self, size: int, steps: int):
        self.shape = (size, 1, 1)
        self.start_size = 2 * size
        self.step_size = 5
        counts = np.clip(np.rint(shares(steps) * size), 1, size)
        self._counts = counts.astype("int32")
        most = min(size, 2**31 // max(size, 1))
        factors = np.arange(1, max(2, most))[:1000]
        self._factors = factors[np.gcd(factors, size) == 1].astype("int32")

    def stripes(self, numbers):
        """Returns random signs."""
        size = self.shape[0]
        return ops.reshape(_signs(numbers[:, size : 2 * size]), (-1, *self.shape))

    tiles = stripes

    def draw(self, step, numbers, start):
        """Draws a subset, another one, and signs: as `Squares.draw` does."""
        size = self.shape[0]
        order = ops.argsort(start[:, :size], axis=1)
        count = ops.take(ops.convert_to_tensor(self._counts), step)[:, None]
        first = self._shuffled(order, numbers[:, 0], numbers[:, 1])
        second = self._shuffled(order, numbers[:, 0], numbers[:, 2])
        # Evenly spread over -1 to 1: under l2 features differ in size, too.
        places = self._shuffled(order, numbers[:, 3], numbers[:, 4])
        values = (2 * ops.cast(places, "float32") + 1) / size - 1
        inside, other, values = (
            ops.reshape(part, (-1, *self.shape))
            for part in (first < count, second < count, values)
        )
        signs = ops.where(values < 0, 1.0, -1.0)
        # Steps shrink as subsets do: a step of norm 1 would change all features.
        length = ops.sqrt(ops.sum(ops.square(ops.where(inside, values, 0.0)), axis=1))
        share = ops.sqrt(ops.cast(count, "float32") / size)
        factor = ops.reshape(share, (-1, 1, 1, 1)) / ops.maximum(
            ops.reshape(length, (-1, 1, 1, 1)), 1e-12
        )
        return inside, other, signs, ops.where(inside, values * factor, 0.0)

    def _shuffled(self, order, factor, shift):
        """Returns another place for every feature, given two numbers in [0, 1)."""
        size = self.shape[0]
        factor = ops.take(
            ops.convert_to_tensor(self._factors), _integers(factor, len(self._factors))
        )
        shift = _integers(shift, size)
        return (order * factor[:, None] + shift[:, None]) % size


def bump(rows: int, columns: int) -> np.ndarray:
    """Returns two pyramids of opposite signs and norm 1, one above the other.

    The pattern of the search under l2: Andriushchenko et al. (2020), section 3.3.
    """
    above = rows // 2
    result = np.concatenate(
        [_pyramid(above, columns), -_pyramid(rows - above, columns)]
    )
    return result / np.linalg.norm(result)


def _pyramid(rows: int, columns: int) -> np.ndarray:
    """Returns nested rectangles, the outer of which are lower; of norm 1."""
    if not rows:
        return np.zeros((0, columns))
    vertical = np.abs(np.arange(rows) - rows // 2)
    horizontal = np.abs(np.arange(columns) - columns // 2)
    distance = np.maximum(vertical[:, None], horizontal)
    heights = 1 / np.arange(1, max(rows, columns) // 2 + 2) ** 2
    result = np.cumsum(heights[::-1])[::-1][distance]
    return result / np.linalg.norm(result)


def _bumps(sides: np.ndarray, rows: int, columns: int):
    """Returns the bumps of all sizes, upright and turned, and the size of each step."""
    kinds, indices = np.unique(sides, axis=0, return_inverse=True)
    bumps = np.zeros((len(kinds), 2, rows, columns), "float32")
    for some, (high, wide) in zip(bumps, kinds, strict=True):
        some[0, :high, :wide] = bump(high, wide)
        some[1, :high, :wide] = bump(wide, high).T
    return bumps.reshape(-1, rows, columns), indices.reshape(-1).astype("int32")


def _corner(numbers, sides, shape):
    room = ops.convert_to_tensor(np.int32(shape[:2])) - sides + 1
    return _integers(numbers, room)


def _integers(numbers, limit):
    """Returns integers from 0 to below a limit, given numbers in [0, 1)."""
    limit = ops.cast(limit, "int32")
    integers = ops.cast(numbers * ops.cast(limit, numbers.dtype), "int32")
    return ops.minimum(integers, limit - 1)


def _signs(numbers):
    return ops.where(numbers < 0.5, 1.0, -1.0)
