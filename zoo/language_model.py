"""Reading and writing text with a trained language model."""

import string
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import pandas as pd

from .datasets.text import UNKNOWN
from .layers import EmbeddingDropout
from .utils.arguments import (
    check_choice,
    check_integer,
    check_not_negative,
    invalid_argument,
    is_integer,
)

TOKENS = ("character", "word")
CHUNK = 64  # tokens that are read in one call; two lengths of input are compiled
POSITION_WISE = (  # layers that make of each token what they make of it alone
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Embedding,
    keras.layers.InputLayer,
    keras.layers.Rescaling,
    EmbeddingDropout,
)


class LanguageModel:
    """Reads and writes text with a model that predicts the next token.

    The model is a `zoo.lstm` with `return_sequences=True`, trained or loaded from a
    file. It is left as it is: a twin of it, which shares its weights and keeps the
    state of its LSTM layers from call to call, reads every token once. So a text of
    any length costs what its tokens cost, and each is predicted from all before it.

    Args:
        model: Functional `keras.Model`: int32 token ids of shape `(batch, time)` to
            logits of shape `(batch, time, len(vocabulary))`. Layers of LSTM cells,
            read forward, are all that may connect its tokens.
        vocabulary: Tokens whose index is their id, `data.vocabulary`: padding at 0,
            unknown at 1.
        tokens: "character" or "word", how texts become tokens, as in
            `datasets.load`. Defaults to `"character"`.

    Raises:
        ValueError: If an argument is invalid, or the model predicts no next tokens.

    Example:

    >>> from zoo import LanguageModel, lstm
    >>> vocabulary = ["", "[UNK]", *"abc"]
    >>> model = lstm((8,), 5, vocabulary_size=5, units=(4,), return_sequences=True)
    >>> language_model = LanguageModel(model, vocabulary)
    >>> text = language_model.generate("ab", length=10, seed=0)
    >>> len(text), set(text) <= set("abc")
    (10, True)
    >>> language_model.next_tokens("ab", top_k=3).columns.tolist()
    ['token', 'probability']
    """

    def __init__(
        self,
        model: keras.Model,
        vocabulary: Sequence[str],
        *,
        tokens: str = "character",
    ):
        self.vocabulary = _check_vocabulary(vocabulary)
        self.tokens = check_choice("tokens", tokens, TOKENS)
        _check_model(model, len(self.vocabulary))
        self._ids = {token: index for index, token in enumerate(self.vocabulary)}
        self._model = _with_states(model)

    def encode(self, text: str) -> np.ndarray:
        """Returns the token ids of a text, an int32 array; 1 where it is unknown."""
        if not isinstance(text, str):
            raise invalid_argument("text", "a string", text)
        if self.tokens == "word":
            # As bytes, since TensorFlow lowers and splits ASCII characters alone.
            words = text.encode().lower().translate(None, string.punctuation.encode())
            text = [word.decode() for word in words.split()]
        unknown = self._ids[UNKNOWN]
        return np.array([self._ids.get(token, unknown) for token in text], "int32")

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of token ids, with white space between words."""
        ids = list(ids)
        if not self._are_ids(ids):
            raise invalid_argument("ids", f"ids from {self._id_range}", ids)
        separator = "" if self.tokens == "character" else " "
        return separator.join(self.vocabulary[index] for index in ids)

    def generate(
        self,
        prompt: str | Sequence[int],
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> str:
        """Writes on from a prompt, token by token.

        Every token is drawn from the softmax of the logits, divided by the
        temperature, over the `top_k` most probable ones (Fan et al., "Hierarchical
        Neural Story Generation", 2018, section 5). Padding and unknown are never
        drawn.

        Args:
            prompt: What stands before: a text, or token ids; at least one token.
            length: Number of tokens to write. Defaults to `200`.
            temperature: Number >= 0. Below 1 probable tokens become more probable; 0
                always takes the most probable. Defaults to `1.0`.
            top_k: Number of tokens that are drawn from. Defaults to `None`: all.
            seed: Integer for the draws; the same gives the same text. Defaults to
                `None`: a new text every time.

        Returns:
            The text that follows the prompt, without it.

        Raises:
            ValueError: If an argument is invalid.
        """
        ids = self._check_prompt(prompt)
        check_integer("length", length, minimum=0)
        check_not_negative("temperature", temperature)
        if top_k is not None:
            check_integer("top_k", top_k, minimum=1)
        if seed is not None:
            check_integer("seed", seed, minimum=0)
        rng = np.random.default_rng(seed)
        written = []
        self._reset()
        logits = self._read(ids)
        while len(written) < length:
            if written:
                logits = self._read(written[-1:])
            probabilities = next_probabilities(logits, temperature, top_k)
            written.append(int(rng.choice(len(probabilities), p=probabilities)))
        return self.decode(written)

    def next_tokens(self, prompt: str | Sequence[int], top_k: int = 10) -> pd.DataFrame:
        """Returns the most probable tokens after a prompt.

        Args:
            prompt: What stands before: a text, or token ids; at least one token.
            top_k: Largest number of tokens. Defaults to `10`.

        Returns:
            A data frame with columns "token" and "probability", from the most
            probable on, with the token ids as index. The probabilities are those of
            the model, over the whole vocabulary.

        Raises:
            ValueError: If an argument is invalid.
        """
        ids = self._check_prompt(prompt)
        check_integer("top_k", top_k, minimum=1)
        self._reset()
        probabilities = np.exp(_log_softmax(self._read(ids)))
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        return pd.DataFrame(
            {
                "token": [self.vocabulary[index] for index in best],
                "probability": probabilities[best],
            },
            index=pd.Index(best, name="id"),
        )

    def nats_per_token(self, windows) -> float:
        """Returns the mean cross-entropy of a text that is read as one stream.

        `model.evaluate` reads every window from a cold state, so that its first
        tokens have nothing before them. Here the state goes on from each window to
        the next, as if the text was one long window.

        Args:
            windows: Dataset of batches `(x, y)` of int ids of shape `(batch, time)`
                in the order of the text, as `data.validation` and `data.test` of a
                language model; `y` is `x` one token on.

        Returns:
            Nats per token, a float.

        Raises:
            ValueError: If the windows are no text in its order.
        """
        if not hasattr(windows, "__iter__") and not hasattr(windows, "__getitem__"):
            raise invalid_argument(
                "windows",
                "batches (x, y) of token ids",
                windows,
                "Data without a validation split have none in `data.validation`.",
            )
        total, count, last = 0.0, 0, None
        self._reset()
        for x, y in windows:
            x, y = np.asarray(x), np.asarray(y)
            _check_windows(x, y, last)
            last = y[-1, -1]
            if not self._are_ids([*x.flat, last]):
                received = f"ids from {min(x.min(), last)} to {max(x.max(), last)}"
                raise invalid_argument(
                    "windows", f"ids from {self._id_range}", received
                )
            for ids, targets in zip(x, y, strict=True):
                log_probabilities = _log_softmax(self._call(ids))
                total -= log_probabilities[np.arange(len(targets)), targets].sum()
                count += len(targets)
        if not count:
            raise invalid_argument("windows", "at least one batch", windows)
        return float(total / count)

    def _reset(self) -> None:
        sizes = [state.shape[-1] for state in self._model.inputs[1:]]
        self._states = [np.zeros((1, size), "float32") for size in sizes]

    def _read(self, ids: Sequence[int]) -> np.ndarray:
        """Reads ids on from where it stands, and returns the logits after the last."""
        whole = len(ids) // CHUNK * CHUNK
        for start in range(0, whole, CHUNK):
            logits = self._call(ids[start : start + CHUNK])
        for index in ids[whole:]:
            logits = self._call([index])
        return logits[-1]

    def _call(self, ids: Sequence[int]) -> np.ndarray:
        inputs = [np.array([ids], "int32"), *self._states]
        logits, *self._states = self._model.predict_on_batch(inputs)
        return logits[0]

    def _check_prompt(self, prompt) -> np.ndarray:
        ids = self.encode(prompt) if isinstance(prompt, str) else prompt
        valid = isinstance(ids, Sequence | np.ndarray) and self._are_ids(ids)
        if not valid or not len(ids):
            expected = f"a text or ids from {self._id_range}, at least one token"
            raise invalid_argument("prompt", expected, prompt)
        return np.array(ids, "int32")

    def _are_ids(self, ids: Iterable) -> bool:
        size = len(self.vocabulary)
        return all(is_integer(index) and 0 <= index < size for index in ids)

    @property
    def _id_range(self) -> str:
        return f"0 to {len(self.vocabulary) - 1}"


def next_probabilities(
    logits: np.ndarray, temperature: float = 1.0, top_k: int | None = None
) -> np.ndarray:
    """Returns the probabilities that a next token is drawn with.

    Args:
        logits: Float array of shape `(vocabulary,)`, with padding at 0 and unknown at
            1, which get probability 0.
        temperature: Number >= 0. Defaults to `1.0`.
        top_k: Number of tokens that stay; of equal ones the first. Defaults to
            `None`: all.

    Returns:
        float64 array of shape `(vocabulary,)`.

    Example:

    >>> next_probabilities(np.log([5, 5, 1, 2, 1]), top_k=2).round(3).tolist()
    [0.0, 0.0, 0.333, 0.667, 0.0]
    >>> next_probabilities(np.log([5, 5, 1, 2, 1]), temperature=0).tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0]
    """
    logits = np.array(logits, "float64")
    logits[:2] = -np.inf
    if temperature == 0:
        top_k, temperature = 1, 1.0
    order = np.argsort(-logits, kind="stable")
    logits[order[top_k:] if top_k else []] = -np.inf
    return np.exp(_log_softmax((logits - logits.max()) / temperature))


def _with_states(model: keras.Model) -> keras.Model:
    """Returns a model of the same weights that takes and returns LSTM states.

    Its inputs are token ids of shape `(batch, time)` of any time, then the output and
    the cell of every LSTM layer; its outputs the logits, then the new states.
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
        # Not the model itself, of which clone_model would copy the optimizer.
        keras.Model([*model.inputs, *states], model.outputs),
        input_tensors=[keras.Input((None,), dtype="int32"), *states],
        clone_function=reading,
        call_function=call,
    )
    after = [state for name in names for state in new_states[name]]
    return keras.Model(twin.inputs, [*twin.outputs, *after])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def _check_vocabulary(vocabulary) -> list[str]:
    valid = isinstance(vocabulary, Sequence) and not isinstance(vocabulary, str)
    if not valid or len(vocabulary) < 3 or vocabulary[1] != UNKNOWN:
        raise invalid_argument(
            "vocabulary",
            f"at least 3 strings, with padding at 0 and {UNKNOWN!r} at 1",
            vocabulary,
            "Pass `data.vocabulary`.",
        )
    return list(vocabulary)


def _check_model(model, vocabulary_size: int) -> None:
    fix = "Build one with `zoo.lstm(..., vocabulary_size=..., return_sequences=True)`."
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise invalid_argument("model", "a functional keras.Model", model, fix)
    shapes = [tuple(tensor.shape) for tensor in (*model.inputs, *model.outputs)]
    sizes = [len(shape) for shape in shapes]
    if sizes != [2, 3] or shapes[1][-1] != vocabulary_size:
        raise invalid_argument(
            "model",
            f"one of token ids to {vocabulary_size} logits at every step, one for each "
            "token of the vocabulary",
            model,
            fix,
        )
    # Not its layers, which leave out what is computed with `keras.ops`.
    operations = keras.Model(model.inputs, model.outputs).operations
    across = [step for step in operations if not isinstance(step, POSITION_WISE)]
    if not across or not all(map(_is_forward_lstm, across)):
        raise invalid_argument(
            "model",
            "one with LSTM layers, read forward, and nothing else across tokens",
            across,
            fix,
        )


def _is_forward_lstm(layer) -> bool:
    plain = type(layer) is keras.layers.LSTM and not layer.return_state
    return plain and layer.return_sequences and not layer.go_backwards


def _check_windows(x: np.ndarray, y: np.ndarray, last) -> None:
    """Raises unless the windows follow each other, and what came last before them."""
    if x.ndim == 2 and x.shape == y.shape:
        next_within = np.array_equal(x[:, 1:], y[:, :-1])
        next_window = np.array_equal(x[1:, 0], y[:-1, -1])
        if next_within and next_window and last in (None, x[0, 0]):
            return
    raise ValueError(
        "Invalid value for argument `windows`. Expected batches (x, y) of token ids of "
        "shape (batch, time) in the order of the text, with y one token after x. "
        f"Received: x of shape {x.shape} and y of shape {y.shape}"
        "\nPass `data.validation` or `data.test`; `data.train` is shuffled."
    )
