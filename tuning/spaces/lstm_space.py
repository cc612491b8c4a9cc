"""Search space for LSTM networks."""

import keras
import keras_tuner

from zoo import lstm

from .space import Space


class LSTMSpace(Space):
    """Search space for LSTM networks and their training hyperparameters.

    The networks classify or generate text, or process sequences of vectors, such as the
    rows of images. The model has these hyperparameters, with defaults in parentheses:

    - `layers`: 1 to 3 (1);
    - `units`: number of units in each layer, log-uniform from 32 to 512 (128);
    - `embedding_size`: size of the token embeddings, log-uniform from 32 to 256 (128),
      only for texts;
    - `bidirectional`: true or false (false), not for language models;
    - `pooling`: "last", "mean" or "max" ("last"), not for language models;
    - `dropout`: dropout rate after each layer, uniform on [0, 0.6] (0).

    The training hyperparameters are `optimizer`, `learning_rate`, `schedule`,
    `weight_decay` (decoupled) and `batch_size`; see `Space`.

    Args:
        data: Dataset from `zoo.datasets`: `load(...)` or `from_arrays(...)`.

    Raises:
        ValueError: If `data` is not a dataset from `zoo.datasets`. `build` also raises
            this error if the inputs of the dataset are not sequences.

    Example:

    >>> import keras_tuner
    >>> from tuning import LSTMSpace
    >>> from zoo import datasets
    >>> x, y = np.random.rand(100, 5, 3), np.arange(100) % 2
    >>> space = LSTMSpace(datasets.from_arrays((x, y)))
    >>> space.build(keras_tuner.HyperParameters()).get_layer("hidden_1").units
    128
    """

    def build_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        data = self.data
        layers = hp.Int("layers", 1, 3, default=1)
        units = hp.Int("units", 32, 512, sampling="log", default=128)
        options = {"units": (units,) * layers}
        if data.vocabulary is None:
            options |= self.data_layers()
        else:
            options["vocabulary_size"] = len(data.vocabulary)
            options["embedding_size"] = hp.Int(
                "embedding_size", 32, 256, sampling="log", default=128
            )
        if data.task == "language_model":
            options["return_sequences"] = True
        else:
            options["bidirectional"] = hp.Boolean("bidirectional")
            options["pooling"] = hp.Choice("pooling", ["last", "mean", "max"])
        dropout = hp.Float("dropout", 0.0, 0.6, default=0.0)
        return lstm(data.input_shape, data.num_outputs, dropout=dropout, **options)
