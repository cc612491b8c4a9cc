"""Random windows for the Square attack: squares in images and subsets of features.

All random numbers are drawn uniformly from [0, 1) before the search, as an array with
one row per example. The search itself is therefore deterministic, and can be compiled
on every backend.
"""

import math

import numpy as np
from keras import ops

SHARE = 0.8  # fraction of the features covered by the first windows
# Steps at which the fraction is halved, in a search of 10,000 steps.
HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def shares(steps: int) -> np.ndarray:
    """Returns the fraction of the features that each step changes.

    See section 3.1 of Andriushchenko et al. (2020).
    """
    scaled = np.arange(1, steps + 1) * 10_000 / steps
    return SHARE / 2 ** np.searchsorted(HALVED_AT, scaled)


class Squares:
    """Draws random squares in images of shape `(rows, columns, channels)`.

    Args:
        shape: Shape of an image.
        steps: Number of steps of the search.

    Attributes:
        start_size: Number of random numbers that `stripes` and `tiles` need per
            example.
        step_size: Number of random numbers that `draw` needs per example.
    """

    def __init__(self, shape: tuple[int, int, int], steps: int):
        self.shape = shape
        rows, columns, channels = shape
        self._tile = max(1, min(rows, columns) // 5)
        tiles = math.ceil(rows / self._tile) * math.ceil(columns / self._tile)
        self.start_size = max(columns, tiles) * channels
        self.step_size = 5 + channels
        # If a large square does not fit into a long, thin image, the window is a
        # rectangle of about the same area.
        area = shares(steps) * rows * columns
        side = np.rint(np.sqrt(area))
        narrow = np.clip(side, 1, min(rows, columns))
        wide = np.clip(np.rint(area / narrow), 1, max(rows, columns))
        sides = (narrow, wide) if rows <= columns else (wide, narrow)
        self._sides = np.stack(sides, axis=1).astype("int32")
        self._bumps, self._kinds = _bumps(self._sides, rows, columns)

    def stripes(self, numbers):
        """Returns vertical stripes of random signs.

        Multiplied by epsilon, the stripes are the initial perturbation in an linf
        search.
        """
        _, columns, channels = self.shape
        signs = _signs(numbers[:, : columns * channels])
        signs = ops.reshape(signs, (-1, 1, columns, channels))
        return ops.broadcast_to(signs, (ops.shape(numbers)[0], *self.shape))

    def tiles(self, numbers):
        """Returns a grid of bumps with random signs.

        Rescaled to norm epsilon, the grid is the initial perturbation in an l2 search.
        """
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
        """Draws two windows and the change to apply to the first one.

        Args:
            step: Integer tensor of shape `(batch,)`: index of the step, starting at 0.
            numbers: Tensor of shape `(batch, step_size)`: random numbers for the step.
            start: Random numbers for the starting point. Used only by `Subsets`.

        Returns:
            A tuple of four tensors:

            - two bool masks, one per window, which broadcast to `(batch, *shape)`;
            - random signs, which are constant within each channel;
            - a bump with these signs in the first window, and zeros elsewhere.
        """
        sides = ops.take(ops.convert_to_tensor(self._sides), step, axis=0)
        corner = _corner(numbers[:, 0:2], sides, self.shape)
        other = _corner(numbers[:, 2:4], sides, self.shape)
        kind = ops.take(ops.convert_to_tensor(self._kinds), step)
        turned = ops.cast(numbers[:, 4] < 0.5, "int32")
        bump = ops.take(ops.convert_to_tensor(self._bumps), 2 * kind + turned, axis=0)
        for axis in (0, 1):
            offsets = ops.arange(self.shape[axis])[None] - corner[:, axis, None]
            offsets = ops.expand_dims(ops.maximum(offsets, 0), 2 - axis)
            bump = ops.take_along_axis(bump, offsets, axis=axis + 1)
        inside = self._inside(corner, sides)
        signs = _signs(numbers[:, 5:])[:, None, None, :]
        bump = ops.where(inside, bump[..., None], 0.0) * signs
        return inside, self._inside(other, sides), signs, bump

    def _inside(self, corner, sides):
        in_range = []
        for axis in (0, 1):
            offsets = ops.arange(self.shape[axis])[None] - corner[:, axis, None]
            in_range.append((offsets >= 0) & (offsets < sides[:, axis, None]))
        return (in_range[0][:, :, None] & in_range[1][:, None, :])[..., None]


class Subsets:
    """Draws random subsets of features that have no spatial order.

    The features have the shape `(features, 1, 1)`. Each example has its own random
    order of the features. Every step permutes this order: it multiplies each position
    by a random factor that is coprime to the number of features, and adds a random
    shift, modulo the number of features. The features that come first in the permuted
    order form the subset.

    Args:
        size: Number of features.
        steps: Number of steps of the search.

    Attributes:
        start_size: Number of random numbers that `stripes`, `tiles` and the random
            order need per example.
        step_size: Number of random numbers that `draw` needs per example.
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
        """Returns a random sign for each feature."""
        size = self.shape[0]
        return ops.reshape(_signs(numbers[:, size : 2 * size]), (-1, *self.shape))

    tiles = stripes

    def draw(self, step, numbers, start):
        """Draws two subsets and the change to apply to the first one.

        This method works like `Squares.draw`, except that the signs vary from feature
        to feature.
        """
        size = self.shape[0]
        order = ops.argsort(start[:, :size], axis=1)
        count = ops.take(ops.convert_to_tensor(self._counts), step)[:, None]
        first = self._shuffled(order, numbers[:, 0], numbers[:, 1])
        second = self._shuffled(order, numbers[:, 0], numbers[:, 2])
        # The values are evenly spaced between -1 and 1, because the magnitude of an l2
        # step also varies from feature to feature.
        positions = self._shuffled(order, numbers[:, 3], numbers[:, 4])
        values = (2 * ops.cast(positions, "float32") + 1) / size - 1
        inside, other, values = (
            ops.reshape(tensor, (-1, *self.shape))
            for tensor in (first < count, second < count, values)
        )
        signs = ops.where(values < 0, 1.0, -1.0)
        # A step that changes a fraction s of the features has norm sqrt(s).
        length = ops.sqrt(ops.sum(ops.square(ops.where(inside, values, 0.0)), axis=1))
        share = ops.sqrt(ops.cast(count, "float32") / size)
        factor = ops.reshape(share, (-1, 1, 1, 1)) / ops.maximum(
            ops.reshape(length, (-1, 1, 1, 1)), 1e-12
        )
        return inside, other, signs, ops.where(inside, values * factor, 0.0)

    def _shuffled(self, order, factor, shift):
        """Permutes the feature positions, using two random numbers in [0, 1)."""
        size = self.shape[0]
        factor = ops.take(
            ops.convert_to_tensor(self._factors), _integers(factor, len(self._factors))
        )
        shift = _integers(shift, size)
        return (order * factor[:, None] + shift[:, None]) % size


def bump(rows: int, columns: int) -> np.ndarray:
    """Returns two pyramids of opposite sign, one above the other, scaled to norm 1.

    This is the l2 pattern of Andriushchenko et al. (2020), section 3.3.
    """
    above = rows // 2
    result = np.concatenate(
        [_pyramid(above, columns), -_pyramid(rows - above, columns)]
    )
    return result / np.linalg.norm(result)


def _pyramid(rows: int, columns: int) -> np.ndarray:
    """Returns a pyramid of nested rectangles, with norm 1 and a peak in the middle."""
    if not rows:
        return np.zeros((0, columns))
    vertical = np.abs(np.arange(rows) - rows // 2)
    horizontal = np.abs(np.arange(columns) - columns // 2)
    distance = np.maximum(vertical[:, None], horizontal)
    heights = 1 / np.arange(1, max(rows, columns) // 2 + 2) ** 2
    result = np.cumsum(heights[::-1])[::-1][distance]
    return result / np.linalg.norm(result)


def _bumps(sides: np.ndarray, rows: int, columns: int):
    """Returns bumps for all window sizes, and the index of each step's window size.

    There are two bumps of each size. In the first, one pyramid is above the other; in
    the second, the pyramids are side by side.
    """
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
    """Converts numbers in [0, 1) to integers in [0, limit)."""
    limit = ops.cast(limit, "int32")
    integers = ops.cast(numbers * ops.cast(limit, numbers.dtype), "int32")
    return ops.minimum(integers, limit - 1)


def _signs(numbers):
    return ops.where(numbers < 0.5, 1.0, -1.0)
