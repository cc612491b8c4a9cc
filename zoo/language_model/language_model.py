"""Generates and scores text with a trained language model."""

import logging
import string
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import pandas as pd

from ..datasets.text import UNKNOWN
from ..utils.arguments import (
    check_choice,
    check_integer,
    check_not_negative,
    invalid_argument,
    is_integer,
)
from .next_token import log_softmax, next_probabilities
from .token_reader import TokenReader

logger = logging.getLogger(__name__)

TOKENS = ("character", "word")
NAMED = 10  # so many unknown tokens of a prompt are named


class LanguageModel:
    """Generates and scores text with a model that predicts the next token.

    The model is usually a trained `zoo.lstm` with `return_sequences=True`. The model
    itself stays unchanged: a second model with shared weights reads the tokens. The
    second model keeps the states of the LSTM layers from token to token, so each token
    is processed only once. The cost is therefore proportional to the number of tokens,
    although every prediction depends on all previous tokens.

    Args:
        model: Functional `keras.Model` that maps int32 token ids of shape
            `(batch, time)` to logits of shape `(batch, time, len(vocabulary))`.
            Information may pass from one token to the next only through LSTM layers
            that read the tokens from left to right.
        vocabulary: List of tokens, such as `data.vocabulary`. The id of a token is its
            index in the list; id 0 is padding, and id 1 stands for unknown tokens.
        tokens: How texts are split into tokens, "character" or "word", as in
            `datasets.load`. Defaults to `"character"`.

    Raises:
        ValueError: If an argument is invalid, or the model does not predict the next
            token at every step.

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
        self._ids = {token: index for index, token in enumerate(self.vocabulary)}
        self._reader = TokenReader(model, len(self.vocabulary))

    def encode(self, text: str) -> np.ndarray:
        """Converts text to an int32 array of token ids, using 1 for unknown tokens."""
        if not isinstance(text, str):
            raise invalid_argument("text", "a string", text)
        return self._ids_of(self._split(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Converts token ids to text; words are separated by spaces."""
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
        """Continues a prompt token by token.

        The logits are divided by the temperature, and each token is sampled from the
        softmax over the `top_k` most probable tokens (Fan et al., "Hierarchical Neural
        Story Generation", 2018, section 5). Padding and the unknown token are never
        sampled.

        Args:
            prompt: Text or token ids to continue. At least one token is required. If
                the vocabulary does not contain a token of the text, a warning that
                names the token is logged.
            length: Integer >= 0, number of tokens to generate. Defaults to `200`.
            temperature: Number >= 0. Values below 1 favor probable tokens; 0 always
                selects the most probable token. Defaults to `1.0`.
            top_k: Integer >= 1, number of most probable tokens from which to sample.
                Defaults to `None`: all tokens.
            seed: Integer >= 0 that seeds the sampling: the same seed gives the same
                text. Defaults to `None`: the text differs from call to call.

        Returns:
            The generated text, without the prompt.

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
        written: list[int] = []
        self._reader.reset()
        logits = self._reader.read_prompt(ids)
        while len(written) < length:
            if written:
                logits = self._reader.read(written[-1:])[-1]
            probabilities = next_probabilities(logits, temperature, top_k)
            written.append(int(rng.choice(len(probabilities), p=probabilities)))
        return self.decode(written)

    def next_tokens(self, prompt: str | Sequence[int], top_k: int = 10) -> pd.DataFrame:
        """Returns the tokens that are most likely to follow a prompt.

        Args:
            prompt: Text or token ids to continue, as in `generate`.
            top_k: Integer >= 1, maximum number of tokens to return. Defaults to `10`.

        Returns:
            A data frame with the columns "token" and "probability", indexed by token
            id, in descending order of probability. The probabilities are computed over
            the whole vocabulary, including padding and the unknown token.

        Raises:
            ValueError: If an argument is invalid.
        """
        ids = self._check_prompt(prompt)
        check_integer("top_k", top_k, minimum=1)
        self._reader.reset()
        probabilities = np.exp(log_softmax(self._reader.read_prompt(ids)))
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        return pd.DataFrame(
            {
                "token": [self.vocabulary[index] for index in best],
                "probability": probabilities[best],
            },
            index=pd.Index(best, name="id"),
        )

    def nats_per_token(self, windows) -> float:
        """Returns the mean cross-entropy per token of a text.

        The text is read as a single stream: the state at the end of each window is
        carried over to the next window. By contrast, `model.evaluate` resets the state
        before each window, so the first tokens of a window are predicted with little
        context.

        Args:
            windows: Dataset of batches `(x, y)` in the order of the text, where `x` and
                `y` are integer ids of shape `(batch, time)`, and `y` is `x` shifted by
                one token. Pass, for example, `data.validation` or `data.test` of a text
                that was loaded for language modeling.

        Returns:
            The mean cross-entropy in nats per token, as a float.

        Raises:
            ValueError: If there are no windows, the windows are not consecutive, or an
                id is outside the vocabulary.
        """
        if not hasattr(windows, "__iter__") and not hasattr(windows, "__getitem__"):
            raise invalid_argument(
                "windows",
                "batches (x, y) of token ids",
                windows,
                "Without a validation split, `data.validation` is `None`.",
            )
        total, count, last = 0.0, 0, None
        self._reader.reset()
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
                log_probabilities = log_softmax(self._reader.read(ids))
                total -= log_probabilities[np.arange(len(targets)), targets].sum()
                count += len(targets)
        if not count:
            raise invalid_argument("windows", "at least one batch", windows)
        return float(total / count)

    def _check_prompt(self, prompt) -> np.ndarray:
        ids = prompt
        if isinstance(prompt, str):
            tokens = self._split(prompt)
            ids = self._ids_of(tokens)
            self._warn_of_unknown(tokens)
        valid = isinstance(ids, Sequence | np.ndarray) and self._are_ids(ids)
        if not valid or not len(ids):
            expected = f"a text or ids from {self._id_range}, at least one token"
            raise invalid_argument("prompt", expected, prompt)
        return np.array(ids, "int32")

    def _split(self, text: str) -> list[str]:
        if self.tokens == "character":
            return list(text)
        # Use bytes: like TensorFlow, the methods of bytes lowercase only ASCII letters
        # and split only at ASCII whitespace.
        words = text.encode().lower().translate(None, string.punctuation.encode())
        return [word.decode() for word in words.split()]

    def _ids_of(self, tokens: list[str]) -> np.ndarray:
        unknown = self._ids[UNKNOWN]
        return np.array([self._ids.get(token, unknown) for token in tokens], "int32")

    def _warn_of_unknown(self, tokens: list[str]) -> None:
        unknown = [token for token in dict.fromkeys(tokens) if token not in self._ids]
        if unknown:
            more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
            logger.warning(
                "The prompt has %ss that are not in the vocabulary: %s%s. The model "
                "reads each of them as %s.",
                self.tokens,
                ", ".join(map(repr, unknown[:NAMED])),
                more,
                UNKNOWN,
            )

    def _are_ids(self, ids: Iterable) -> bool:
        size = len(self.vocabulary)
        return all(is_integer(index) and 0 <= index < size for index in ids)

    @property
    def _id_range(self) -> str:
        return f"0 to {len(self.vocabulary) - 1}"


def _check_vocabulary(vocabulary) -> list[str]:
    valid = isinstance(vocabulary, Sequence) and not isinstance(vocabulary, str)
    if not valid or len(vocabulary) < 3 or vocabulary[1] != UNKNOWN:
        raise invalid_argument(
            "vocabulary",
            f"at least 3 strings, with padding at index 0 and {UNKNOWN!r} at index 1",
            vocabulary,
            "Pass `data.vocabulary`.",
        )
    return list(vocabulary)


def _check_windows(x: np.ndarray, y: np.ndarray, last) -> None:
    """Raises an error unless the windows are consecutive.

    `last` is the last target of the previous batch. If it is not `None`, the first
    window must start with this token.
    """
    if x.ndim == 2 and x.shape == y.shape:
        next_within = np.array_equal(x[:, 1:], y[:, :-1])
        next_window = np.array_equal(x[1:, 0], y[:-1, -1])
        if next_within and next_window and last in (None, x[0, 0]):
            return
    raise ValueError(
        "Invalid value for argument `windows`. Expected batches (x, y) of token ids of "
        "shape (batch, time) in the order of the text, with y shifted by one token. "
        f"Received: x of shape {x.shape} and y of shape {y.shape}"
        "\nPass `data.validation` or `data.test`; `data.train` is shuffled."
    )
