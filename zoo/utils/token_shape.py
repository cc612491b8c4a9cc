"""The shape of examples that consist of token ids."""


class TokenShape(tuple):
    """The shape of an example that consists of token ids; behaves like a plain tuple.

    The type lets builders of models for numeric inputs reject token ids before anything
    is computed. Keras would train such a model without a warning.

    Example:

    >>> TokenShape((256,)) == (256,)
    True
    """
