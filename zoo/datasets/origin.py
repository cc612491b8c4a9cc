"""Where the examples of a `tf.data` pipeline come from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .order import Order


@dataclass(frozen=True)
class Origin:
    """Describes a `tf.data.Dataset` for code that gets the dataset, but not the `Data`.

    Attributes:
        order: `Order` that reshuffles the examples, or `None`.
        first_examples: Function that returns a few examples as arrays, independent of
            the order. They tell datasets of the same shapes apart.
    """

    order: Order | None
    first_examples: Callable[[], Iterable[np.ndarray]]


def origin_of(dataset) -> Origin | None:
    """Returns the `Origin` of a dataset of `zoo.datasets`.

    For all other datasets, including those that are derived from one, the result is
    `None`.
    """
    return getattr(dataset, "_kerascope_origin", None)
