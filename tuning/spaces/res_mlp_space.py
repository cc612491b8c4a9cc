"""Search space for residual multilayer perceptrons."""

import keras
import keras_tuner

from zoo import res_mlp

from .space import Space


class ResMLPSpace(Space):
    """Search space for residual MLPs and their training hyperparameters.

    The model has these hyperparameters, with defaults in parentheses:

    - `blocks`: number of blocks, 1 to 16 on a log scale (4);
    - `units`: width of the skip connections, log-uniform from 32 to 512 (256);
    - `activation`: "relu", "gelu" or "tanh" ("relu");
    - `normalization`: "batch" or "layer" ("batch");
    - `dropout`: dropout rate inside the blocks, uniform on [0, 0.6] (0);
    - `stochastic_depth`: probability of skipping the last block, uniform on
      [0, 0.6] (0).

    The training hyperparameters are `optimizer`, `learning_rate`, `schedule`,
    `weight_decay` (decoupled) and `batch_size`; see `Space`.

    Args:
        data: Dataset from `zoo.datasets`: `load(...)` or `from_arrays(...)`.

    Raises:
        ValueError: If `data` is not a dataset from `zoo.datasets`. `build` also raises
            this error if the inputs of the dataset are token ids.

    Example:

    >>> import keras_tuner
    >>> from tuning import ResMLPSpace
    >>> from zoo import datasets
    >>> x, y = np.random.rand(100, 3), np.arange(100) % 2
    >>> space = ResMLPSpace(datasets.from_arrays((x, y)))
    >>> space.build(keras_tuner.HyperParameters()).get_layer("block_4").output.shape
    (None, 256)
    """

    def build_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return res_mlp(
            self.data.input_shape,
            self.data.num_outputs,
            num_blocks=hp.Int("blocks", 1, 16, sampling="log", default=4),
            units=hp.Int("units", 32, 512, sampling="log", default=256),
            activation=hp.Choice("activation", ["relu", "gelu", "tanh"]),
            normalization=hp.Choice("normalization", ["batch", "layer"]),
            dropout=hp.Float("dropout", 0.0, 0.6, default=0.0),
            stochastic_depth=hp.Float("stochastic_depth", 0.0, 0.6, default=0.0),
            **self.data_layers(),
        )
