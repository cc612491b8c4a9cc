"""Runs a language model on a stream of tokens."""

from collections.abc import Sequence

import keras
import numpy as np

from ..layers import EmbeddingDropout
from ..utils.arguments import invalid_argument

CHUNK = 64  # tokens per call; the remaining tokens of a prompt are read one by one
POSITION_WISE = (  # layers that process each token independently
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Embedding,
    keras.layers.InputLayer,
    keras.layers.Rescaling,
    EmbeddingDropout,
)


class TokenReader:
    """Reads a stream of tokens and predicts the next token at every step.

    Each token is read only once, by a second model that shares the weights of `model`
    and returns the states of the LSTM layers. The reader keeps these states between
    calls. `model` itself stays unchanged.

    Args:
        model: Model that maps token ids to logits, as in `LanguageModel`.
        vocabulary_size: Number of logits that the model must output at every step.

    Raises:
        ValueError: If the model does not predict the next token at every step.
    """

    def __init__(self, model: keras.Model, vocabulary_size: int):
        _check_model(model, vocabulary_size)
        self._model = _with_states(model)
        self.reset()

    def reset(self) -> None:
        """Resets the states of the LSTM layers, so that a new stream can be read."""
        sizes = [state.shape[-1] for state in self._model.inputs[1:]]
        self._states = [np.zeros((1, size), "float32") for size in sizes]

    def read(self, ids: Sequence[int]) -> np.ndarray:
        """Reads tokens in a single call to the model.

        The model is compiled again for every new number of tokens; to avoid this, use
        `read_prompt`.

        Args:
            ids: One or more token ids.

        Returns:
            The logits after each token, of shape `(len(ids), vocabulary_size)`.
        """
        inputs = [np.array([ids], "int32"), *self._states]
        logits, *self._states = self._model.predict_on_batch(inputs)
        return logits[0]

    def read_prompt(self, ids: Sequence[int]) -> np.ndarray:
        """Reads any number of tokens.

        The model is called with only two different input lengths, so Keras compiles it
        at most twice.

        Args:
            ids: One or more token ids.

        Returns:
            The logits after the last token, of shape `(vocabulary_size,)`.
        """
        whole = len(ids) // CHUNK * CHUNK
        for start in range(0, whole, CHUNK):
            logits = self.read(ids[start : start + CHUNK])
        for index in ids[whole:]:
            logits = self.read([index])
        return logits[-1]


def _with_states(model: keras.Model) -> keras.Model:
    """Returns a model with shared weights that takes and returns the LSTM states.

    The inputs of the new model are token ids of shape `(batch, time)`, with any number
    of time steps, followed by the hidden state and the cell state of every LSTM layer.
    The outputs are the logits, followed by the new states.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    states = [keras.Input((layer.units,)) for layer in layers for _ in range(2)]
    new_states = {}

    def reading(layer):
        if not isinstance(layer, keras.layers.LSTM):
            return layer
        return keras.layers.RNN(
            layer.cell,
            return_sequences=True,
            return_state=True,
            dtype=layer.dtype_policy,
            name=layer.name,
        )

    def call(layer, *args, **kwargs):
        if not isinstance(layer, keras.layers.RNN):
            return layer(*args, **kwargs)
        index = names.index(layer.name)
        before = states[2 * index : 2 * index + 2]
        outputs, *new_states[layer.name] = layer(*args, initial_state=before)
        return outputs

    names = [layer.name for layer in layers]
    twin = keras.models.clone_model(
        # Do not pass the model itself: clone_model would copy its optimizer, too.
        keras.Model([*model.inputs, *states], model.outputs),
        input_tensors=[keras.Input((None,), dtype="int32"), *states],
        clone_function=reading,
        call_function=call,
    )
    after = [state for name in names for state in new_states[name]]
    return keras.Model(twin.inputs, [*twin.outputs, *after])


def _check_model(model, vocabulary_size: int) -> None:
    fix = "Build one with `zoo.lstm(..., vocabulary_size=..., return_sequences=True)`."
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise invalid_argument("model", "a functional keras.Model", model, fix)
    shapes = [tuple(tensor.shape) for tensor in (*model.inputs, *model.outputs)]
    sizes = [len(shape) for shape in shapes]
    if sizes != [2, 3] or shapes[1][-1] != vocabulary_size:
        raise invalid_argument(
            "model",
            f"a model that maps token ids to {vocabulary_size} logits at every step, "
            "one for each token of the vocabulary",
            model,
            fix,
        )
    # Do not use `model.layers`, which excludes `keras.ops` operations.
    operations = keras.Model(model.inputs, model.outputs).operations
    across = [step for step in operations if not isinstance(step, POSITION_WISE)]
    if not across or not all(map(_is_forward_lstm, across)):
        raise invalid_argument(
            "model",
            "one with LSTM layers, read forward, as the only connection between tokens",
            across,
            fix,
        )


def _is_forward_lstm(layer) -> bool:
    plain = type(layer) is keras.layers.LSTM and not layer.return_state
    return plain and layer.return_sequences and not layer.go_backwards
