"""Search space for multilayer perceptrons."""

import keras
import keras_tuner

from zoo import mlp

from .space import Space


class MLPSpace(Space):
    """Search space for multilayer perceptrons and their training hyperparameters.

    The model has these hyperparameters, with defaults in parentheses:

    - `layers`: 1 to 4 hidden layers (2);
    - `units`: number of units in each hidden layer, log-uniform from 32 to 1024 (256);
    - `activation`: "relu", "gelu", "selu" or "tanh" ("relu");
    - `dropout`: dropout rate after each hidden layer, uniform on [0, 0.6] (0).

    The training hyperparameters are `optimizer`, `learning_rate`, `schedule`,
    `weight_decay` (decoupled) and `batch_size`; see `Space`. To search a different
    range, declare it in the `hyperparameters` argument of the search.

    Args:
        data: Dataset from `zoo.datasets`: `load(...)` or `from_arrays(...)`.

    Raises:
        ValueError: If `data` is not a dataset from `zoo.datasets`. `build` also raises
            this error if the inputs of the dataset are token ids.

    Example:

    >>> import keras_tuner
    >>> from tuning import MLPSpace
    >>> from zoo import datasets
    >>> x, y = np.random.rand(100, 3), np.arange(100) % 2
    >>> space = MLPSpace(datasets.from_arrays((x, y)))
    >>> space.build(keras_tuner.HyperParameters()).get_layer("hidden_2").units
    256
    """

    def build_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        data = self.data
        layers = hp.Int("layers", 1, 4, default=2)
        units = hp.Int("units", 32, 1024, sampling="log", default=256)
        return mlp(
            data.input_shape,
            data.num_outputs,
            units=(units,) * layers,
            activation=hp.Choice("activation", ["relu", "gelu", "selu", "tanh"]),
            dropout=hp.Float("dropout", 0.0, 0.6, default=0.0),
            **self.data_layers(),
        )
