"""Base class of preprocessing layers with statistics of a table."""

import keras
import numpy as np

from ..utils.arguments import invalid_argument
from .table_data import check_table


class AdaptedLayer(keras.layers.Layer):
    """Transforms tables with non-trainable weights that `adapt` computes.

    Subclasses implement `adapt`, which sets `is_adapted`. They compute in float32 even
    under a mixed precision policy.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})
        self.is_adapted = False

    def add_statistic(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """Adds a weight that `adapt` assigns."""
        return self.add_weight(
            name=name, shape=shape, initializer="zeros", trainable=False, autocast=False
        )

    def prepare(self, columns: int) -> None:
        """Builds the layer, or checks the number of columns if it is built.

        Raises:
            ValueError: If the layer is built for another number of columns.
        """
        if not self.built:
            self.build((None, columns))
        known = self.weights[0].shape[0]
        if known != columns:
            expected = f"a table of {known} columns, as in earlier calls"
            raise invalid_argument("data", expected, f"a table of {columns} columns")

    def check_adapted(self) -> None:
        """Raises an error if `adapt` has not been called."""
        if not self.is_adapted:
            raise ValueError(
                f"Layer '{self.name}' has no statistics yet. Expected `adapt(data)` "
                "before the first call."
            )

    def compute_output_shape(self, input_shape):
        check_table(input_shape)
        return tuple(input_shape)

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.is_adapted = any(np.any(weight) for weight in self.get_weights())

    def get_config(self):
        # Save `is_adapted`, because a clone receives the statistics with its weights,
        # without a call to `adapt`.
        return {**super().get_config(), "is_adapted": self.is_adapted}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        is_adapted = config.pop("is_adapted")
        layer = cls(**config)
        layer.is_adapted = is_adapted
        return layer
