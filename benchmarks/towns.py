"""A generated table with a column of many categories.

Each of 300 towns has three hidden factors and, on average, 20 rows. The target is a
smooth function of these factors and of four numbers, plus noise of standard deviation
0.3.
"""

import numpy as np
import pandas as pd

from zoo import datasets

TOWNS, ROWS = 300, 6000


def load() -> datasets.Data:
    """Returns the table; 60 % of its rows are for training, and 20 % for testing."""
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(TOWNS, 3))
    town = generator.integers(TOWNS, size=ROWS)
    x = generator.normal(size=(ROWS, 4))
    level, curve, slope = factors[town].T
    y = level + np.sin(2 * curve) * x[:, 0] + np.tanh(slope) * x[:, 1]
    y += np.sin(2 * x[:, 2]) + x[:, 2] * x[:, 3] / 2
    y += 0.3 * generator.normal(size=ROWS)
    frame = pd.DataFrame(x, columns=["a", "b", "c", "d"])
    frame["town"] = [f"town {index}" for index in town]
    return datasets.from_arrays(
        (frame, y.astype("float32")), test=0.2, validation=0.25, name="towns"
    )
