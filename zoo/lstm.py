"""LSTM networks for texts and sequences of vectors."""

import math
from collections.abc import Sequence

import keras

from .layers import EmbeddingDropout, ReverseSequence, SequencePooling
from .layers.sequence_pooling import POOLINGS
from .utils import builders
from .utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_shape,
    invalid_argument,
)
from .utils.token_shape import TokenShape


def lstm(
    input_shape: Sequence[int | None],
    num_outputs: int,
    *,
    vocabulary_size: int | None = None,
    units: Sequence[int] = (128,),
    embedding_size: int = 128,
    bidirectional: bool = False,
    pooling: str = "last",
    return_sequences: bool = False,
    tie_embeddings: bool = False,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    embedding_dropout: float = 0.0,
    variational_dropout: bool = False,
    preprocessing: keras.layers.Layer | None = None,
    augmentation: keras.layers.Layer | None = None,
    postprocessing: keras.layers.Layer | None = None,
    name: str = "lstm",
) -> keras.Model:
    """Builds a network of LSTM layers that outputs logits.

    If `vocabulary_size` is given, the inputs are token ids, which the `embedding` layer
    maps to vectors. Otherwise, the inputs are sequences of vectors, of shape
    `(steps, features)`, or images, which are read row by row: an image of shape
    `(28, 28, 1)` becomes 28 steps of 28 values.

    LSTM layer `i` is named `hidden_i` and is followed by a dropout layer,
    `hidden_i_dropout`, unless `dropout` is 0. The LSTM layers follow Hochreiter &
    Schmidhuber, "Long Short-Term Memory" (1997), with the forget gate of Gers et al.,
    "Learning to Forget" (2000); the bias of the forget gate is initialized to 1. A
    bidirectional layer consists of `hidden_i_forward` and `hidden_i_backward`, whose
    outputs are concatenated. The `pooling` layer reduces the outputs of the last LSTM
    layer to one vector per sequence. The final layer, `head`, is linear. Its initial
    outputs are near zero, and it computes in float32 even under a mixed precision
    policy.

    If the inputs are token ids, zeros at the end of a text are padding and never affect
    the outputs for the text. The LSTM layers need no mask, because the padding comes
    after the text, and pooling ignores the padding.

    On a GPU, Keras runs an LSTM layer with cuDNN if the layer uses tanh, sigmoid and a
    bias, has no `recurrent_dropout`, is not unrolled and, on JAX and PyTorch, receives
    no mask. The layers of this model always meet these conditions. Nevertheless, two
    settings prevent the use of cuDNN: `jit_compile=True` on PyTorch, and any precision
    other than float32 on JAX, where the cuDNN call supports only float32. On
    TensorFlow, Keras disables XLA for these layers, because XLA cannot compile cuDNN
    calls.

    Args:
        input_shape: Shape of one example, without the batch dimension: `(time,)` for
            token ids, `(steps, ...)` for vectors. The first size may be `None`:
            sequences of any length. All sequences in a batch have the same length.
        num_outputs: Integer >= 1, number of classes (two for a binary problem),
            targets, or tokens in the vocabulary.
        vocabulary_size: Number of tokens in the vocabulary, `len(data.vocabulary)`.
            Defaults to `None`: the inputs are vectors.
        units: Integers >= 1, number of units in each LSTM layer, per direction if the
            layers are bidirectional. Defaults to `(128,)`.
        embedding_size: Length of the embedding vectors. Defaults to `128`.
        bidirectional: Whether each layer also reads the sequence in reverse. Defaults
            to `False`.
        pooling: "last", "mean" or "max" over the time steps. For a backward layer,
            "last" selects the first step of the sequence, which the layer reads last.
            Defaults to `"last"`.
        return_sequences: Whether to return logits at every step instead of pooling.
            With token ids, the model is a language model, which requires data with
            `data.task == "language_model"`: the logits at each step predict the next
            token. Defaults to `False`.
        tie_embeddings: Whether a language model computes its logits with the transposed
            embedding matrix instead of the `head` layer, and without a bias (Press &
            Wolf, "Using the Output Embedding to Improve Language Models", 2017). If the
            size of the last LSTM layer differs from `embedding_size`, a linear layer,
            `projection`, is added after the LSTM layer. Defaults to `False`.
        dropout: Fraction of the outputs of each LSTM layer to drop, in [0, 1). If the
            outputs of the last layer are pooled, dropout is applied after pooling.
            Defaults to `0.0`.
        input_dropout: Fraction of the inputs of the first LSTM layer to drop, in
            [0, 1). Defaults to `0.0`.
        embedding_dropout: Fraction of the vocabulary to drop, in [0, 1). The tokens to
            drop are drawn separately for each sequence. Defaults to `0.0`.
        variational_dropout: Whether `dropout` and `input_dropout` use the same mask at
            all time steps of a sequence, instead of drawing a new mask at each step.
            This is also called "locked" dropout (Gal & Ghahramani, "A Theoretically
            Grounded Application of Dropout in Recurrent Neural Networks", 2016,
            section 4). Defaults to `False`.
        preprocessing: Layer applied to input vectors, for example
            `data.normalization()`. Any augmentation is applied first. Defaults to
            `None`.
        augmentation: Layer that randomly changes the raw vectors during training and
            leaves them unchanged during inference, such as
            `keras.layers.RandomTranslation` for images. To combine several layers, use
            a `keras.Sequential`. Defaults to `None`.
        postprocessing: Layer applied to the outputs of the model, such as
            `data.denormalization()` for regression. Defaults to `None`.
        name: Name of the model. Defaults to `"lstm"`.

    Returns:
        An uncompiled functional `keras.Model` that maps int32 ids of shape
        `(batch, time)` or floats of shape `(batch, *input_shape)` to float32 logits
        of shape `(batch, num_outputs)`, or `(batch, time, num_outputs)` with
        `return_sequences=True`.

    Raises:
        ValueError: If an argument is invalid or incompatible with another argument.

    Example:

    >>> from zoo import lstm
    >>> rows = lstm((28, 28, 1), 10, units=(64,))
    >>> rows.count_params() == 4 * 64 * (28 + 64 + 1) + 65 * 10
    True
    >>> texts = lstm((256,), 2, vocabulary_size=20_000, bidirectional=True)
    >>> characters = lstm((128,), 65, vocabulary_size=65, return_sequences=True)
    >>> characters.output_shape
    (None, 128, 65)
    """
    if vocabulary_size is not None:
        vocabulary_size = check_integer("vocabulary_size", vocabulary_size, minimum=1)
    input_shape = _check_input_shape(input_shape, vocabulary_size)
    num_outputs = check_integer("num_outputs", num_outputs, minimum=1)
    units = builders.check_units("units", units)
    if not units:
        raise invalid_argument("units", "at least one LSTM layer", units)
    embedding_size = check_integer("embedding_size", embedding_size, minimum=1)
    check_choice("pooling", pooling, POOLINGS)
    flags = {
        "bidirectional": bidirectional,
        "return_sequences": return_sequences,
        "tie_embeddings": tie_embeddings,
        "variational_dropout": variational_dropout,
    }
    for flag_name, flag in flags.items():
        check_choice(flag_name, flag, (False, True))
    rates = {"dropout": dropout, "input_dropout": input_dropout}
    for rate_name, rate in {**rates, "embedding_dropout": embedding_dropout}.items():
        check_fraction(rate_name, rate)
    layers = {"preprocessing": preprocessing, "augmentation": augmentation}
    for layer_name, layer in {**layers, "postprocessing": postprocessing}.items():
        builders.check_layer(layer_name, layer)
    if vocabulary_size is None:
        _check_vector_options(embedding_dropout, tie_embeddings)
    else:
        _check_token_options(layers)
    if return_sequences:
        _check_sequence_options(pooling, bidirectional, vocabulary_size)
    if tie_embeddings:
        _check_tied_options(return_sequences, num_outputs, vocabulary_size)

    embedding = mask = None
    if vocabulary_size is None:
        inputs = keras.Input(input_shape, name="input")
        x = builders.preprocessed(inputs, augmentation, preprocessing)
        if len(x.shape) > 3:
            rows = (x.shape[1] or -1, math.prod(x.shape[2:]))
            x = keras.layers.Reshape(rows, name="rows")(x)
    else:
        inputs = keras.Input(input_shape, dtype="int32", name="input")
        embedding = _embedding(vocabulary_size, embedding_size, tie_embeddings)
        x = embedding(inputs)
        if embedding_dropout:
            x = EmbeddingDropout(
                embedding_dropout, vocabulary_size, name="embedding_dropout"
            )(x, inputs)
        if not return_sequences:
            mask = keras.ops.not_equal(inputs, 0)
    x = _dropout(x, input_dropout, variational_dropout, name="input_dropout")
    for index, size in enumerate(units, start=1):
        hidden = f"hidden_{index}"
        pool = None
        if index == len(units) and not return_sequences:
            pool = SequencePooling(pooling, name="pooling")
        x = _hidden(x, size, bidirectional, pool, mask, name=hidden)
        x = _dropout(x, dropout, variational_dropout, name=f"{hidden}_dropout")
    if tie_embeddings and embedding is not None:
        if units[-1] != embedding_size:
            x = keras.layers.Dense(embedding_size, name="projection")(x)
        outputs = embedding(x, reverse=True)
    else:
        outputs = builders.head(x, num_outputs)
    outputs = builders.postprocessed(outputs, postprocessing)
    return keras.Model(inputs, outputs, name=name)


def _embedding(vocabulary_size, size, tied) -> keras.layers.Layer:
    if not tied:
        return keras.layers.Embedding(vocabulary_size, size, name="embedding")
    return keras.layers.ReversibleEmbedding(
        vocabulary_size,
        size,
        reverse_dtype=keras.config.dtype_policy().variable_dtype,
        name="embedding",
    )


def _hidden(x, size, bidirectional, pool, mask, name) -> keras.KerasTensor:
    """Applies an LSTM layer and, if `pool` is given, pools the outputs of the layer.

    For the backward direction, a second LSTM layer reads the reversed sequences. The
    `Bidirectional` layer of Keras is not used, because it would need a mask for padded
    sequences, and a mask prevents the use of cuDNN on JAX and PyTorch.
    """
    if not bidirectional:
        x = keras.layers.LSTM(size, return_sequences=True, name=name)(x)
        return x if pool is None else pool(x, mask=mask)
    ahead = keras.layers.LSTM(size, return_sequences=True, name=f"{name}_forward")(x)
    x = ReverseSequence(name=f"{name}_reversed")(x, mask=mask)
    back = keras.layers.LSTM(size, return_sequences=True, name=f"{name}_backward")(x)
    concatenate = keras.layers.Concatenate(name=name)
    if pool is None:
        back = ReverseSequence(name=f"{name}_restored")(back, mask=mask)
        return concatenate([ahead, back])
    return concatenate([pool(ahead, mask=mask), pool(back, mask=mask)])


def _dropout(x, rate, variational, name) -> keras.KerasTensor:
    if not rate:
        return x
    # NOTE[DIFF] Gal & Ghahramani also apply dropout to the recurrent connections. cuDNN
    # does not support this, so dropout is applied only between layers.
    locked = variational and len(x.shape) == 3
    noise_shape = (None, 1, None) if locked else None
    return keras.layers.Dropout(rate, noise_shape=noise_shape, name=name)(x)


def _check_input_shape(shape, vocabulary_size) -> tuple[int | None, ...]:
    if vocabulary_size is not None:
        shape = check_shape("input_shape", shape, allow_any_length=True)
        if len(shape) != 1:
            raise invalid_argument(
                "input_shape",
                "`(time,)`, the shape of token ids, if `vocabulary_size` is given",
                shape,
                "Leave out `vocabulary_size` for images and other numeric inputs.",
            )
        return shape
    if isinstance(shape, TokenShape):
        raise invalid_argument(
            "vocabulary_size",
            "the number of tokens, because the inputs are token ids",
            vocabulary_size,
            "Pass `vocabulary_size=len(data.vocabulary)`.",
        )
    shape = check_shape("input_shape", shape, allow_any_length=True)
    if len(shape) < 2:
        raise invalid_argument(
            "input_shape",
            "the shape of a sequence of vectors, `(steps, features)`, or of an image",
            shape,
            "A table has no order of time: use `zoo.mlp`. For token ids, pass "
            "`vocabulary_size`.",
        )
    return shape


def _check_vector_options(embedding_dropout, tie_embeddings) -> None:
    fix = "These options need token ids: pass `vocabulary_size`."
    if embedding_dropout:
        raise invalid_argument(
            "embedding_dropout", "0.0 for vectors", embedding_dropout, fix
        )
    if tie_embeddings:
        raise invalid_argument(
            "tie_embeddings", "False for vectors", tie_embeddings, fix
        )


def _check_token_options(layers: dict) -> None:
    for name, layer in layers.items():
        if layer is not None:
            raise invalid_argument(
                name,
                "None for token ids",
                layer,
                "Token ids are not quantities: the embedding maps them to vectors.",
            )


def _check_sequence_options(pooling, bidirectional, vocabulary_size) -> None:
    if pooling != "last":
        raise invalid_argument(
            "pooling",
            "the default, because `return_sequences=True` disables pooling",
            pooling,
        )
    if bidirectional and vocabulary_size is not None:
        raise invalid_argument(
            "bidirectional",
            "False for a language model",
            bidirectional,
            "A backward layer would read the tokens that the model has to predict.",
        )


def _check_tied_options(return_sequences, num_outputs, vocabulary_size) -> None:
    if not return_sequences or num_outputs != vocabulary_size:
        raise invalid_argument(
            "tie_embeddings",
            "False, unless the model is a language model: `return_sequences=True` and "
            f"`num_outputs` ({num_outputs}) the `vocabulary_size` ({vocabulary_size})",
            True,
        )
