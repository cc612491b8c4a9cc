"""Embeddings of the one-hot columns of a table."""

import itertools
from collections.abc import Mapping

import keras
from keras import ops

from ..utils.arguments import check_integer, invalid_argument, is_integer


@keras.saving.register_keras_serializable(package="kerascope")
class CategoricalEmbeddings(keras.layers.Layer):
    """Embeds categories: replaces the one-hot columns of a table with learned vectors.

    Each category of a column has a vector. A network can move categories with similar
    effects close to each other, and needs fewer weights than with one-hot columns,
    which is useful if a column has many categories with few rows each. An unknown
    category, whose one-hot columns are all 0, becomes the zero vector.

    Usually, the layer is created by `data.categorical_embeddings()` and passed to
    `zoo.mlp` or `zoo.res_mlp`, which keep all other columns. Apply the layer to raw
    one-hot columns, not to normalized ones.

    Source: Guo & Berkhahn, "Entity Embeddings of Categorical Variables" (2016,
    arXiv:1604.06737). The default sizes are a rule of thumb of the library fastai
    (`fastai.tabular.model.emb_sz_rule`).

    Args:
        columns: Dict that maps the name of each column to embed to `(start, stop)`: the
            position of the first of its one-hot columns, and the position after the
            last, as in `data.one_hot_columns`.
        output_dim: Integer >= 1, the size of the vectors of all columns. Defaults to
            `None`: `min(600, round(1.6 * n**0.56))` for a column of `n` categories.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, columns)` with zeros and ones in the
            columns to embed.

    Returns:
        A tensor of shape `(batch, sum(output_dims))`: the vectors of all columns, in
        the order of the table. The attribute `output_dims` lists their sizes.

    Raises:
        ValueError: If an argument is invalid, or the table has too few columns.

    Example:

    >>> from zoo.layers import CategoricalEmbeddings
    >>> rows = np.array([[0.5, 1, 0, 0], [0.1, 0, 0, 1], [0.7, 0, 0, 0]], "float32")
    >>> layer = CategoricalEmbeddings({"town": (1, 4)}, output_dim=2)
    >>> vectors = keras.ops.convert_to_numpy(layer(rows))
    >>> vectors.shape
    (3, 2)
    >>> vectors[2].tolist()  # an unknown town
    [0.0, 0.0]
    >>> keras.ops.convert_to_numpy(layer.other_columns(rows)).tolist()
    [[0.5], [0.10000000149011612], [0.699999988079071]]
    """

    def __init__(
        self,
        columns: Mapping[str, tuple[int, int]],
        output_dim: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.columns = _checked(columns)
        if output_dim is not None:
            output_dim = check_integer("output_dim", output_dim, minimum=1)
        self.output_dim = output_dim
        sizes = [stop - start for start, stop in self.columns.values()]
        self.output_dims = [output_dim or min(600, round(1.6 * n**0.56)) for n in sizes]
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, input_shape):
        width = input_shape[-1]
        self._check_width(width)
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: width})
        # The weights are numbered, because names of columns may contain any character.
        # They start as those of `keras.layers.Embedding`.
        self.embeddings = [
            self.add_weight(
                name=f"embeddings_{index}",
                shape=(stop - start, size),
                initializer=keras.initializers.RandomUniform(),
            )
            for index, ((start, stop), size) in enumerate(
                zip(self.columns.values(), self.output_dims, strict=True)
            )
        ]

    def call(self, inputs):
        # A product has gradients with respect to the inputs, which a lookup lacks, and
        # costs less than that of the first dense layer with one-hot columns.
        vectors = [
            ops.matmul(inputs[:, start:stop], weights)
            for (start, stop), weights in zip(
                self.columns.values(), self.embeddings, strict=True
            )
        ]
        return ops.concatenate(vectors, axis=-1)

    def other_columns(self, inputs):
        """Returns the columns that are not embedded, in order.

        Args:
            inputs: Array or tensor of shape `(batch, columns)`, raw or normalized.

        Returns:
            A tensor of shape `(batch, other columns)`.

        Raises:
            ValueError: If `inputs` is not a table, or has too few columns.
        """
        shape = tuple(inputs.shape)
        if len(shape) != 2:
            expected = "a table, of shape (batch, columns)"
            raise invalid_argument("inputs", expected, shape)
        self._check_width(shape[-1])
        embedded = {i for block in self.columns.values() for i in range(*block)}
        others = [i for i in range(shape[-1]) if i not in embedded]
        return ops.take(inputs, others, axis=-1) if others else inputs[:, :0]

    def _check_width(self, width: int) -> None:
        last = max(stop for _, stop in self.columns.values())
        if width < last:
            expected = f"a table of at least {last} columns"
            raise invalid_argument("inputs", expected, f"{width} columns")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], sum(self.output_dims))

    def get_config(self):
        return {
            **super().get_config(),
            "columns": self.columns,
            "output_dim": self.output_dim,
        }


def _checked(columns) -> dict[str, tuple[int, int]]:
    """Returns the positions as tuples; raises an error unless they are valid."""
    expected = "a dict of names and (start, stop), with integers 0 <= start < stop"
    if not isinstance(columns, Mapping) or not columns:
        fix = "`data.one_hot_columns` is such a dict."
        raise invalid_argument("columns", expected, columns, fix)
    for name, block in columns.items():
        is_pair = isinstance(block, tuple | list) and len(block) == 2
        is_pair = is_pair and all(map(is_integer, block))
        if not is_pair or not 0 <= block[0] < block[1]:
            raise invalid_argument("columns", expected, {name: block})
    blocks = {name: (int(start), int(stop)) for name, (start, stop) in columns.items()}
    in_order = sorted(blocks, key=blocks.__getitem__)
    for name, following in itertools.pairwise(in_order):
        if blocks[name][1] > blocks[following][0]:
            both = {name: blocks[name], following: blocks[following]}
            raise invalid_argument("columns", "positions that do not overlap", both)
    return {name: blocks[name] for name in in_order}
