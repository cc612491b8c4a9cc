"""The shape of examples that consist of token ids."""


class TokenShape(tuple):
    """The shape of an example that consists of token ids; behaves like a plain tuple.

    With this type, model builders that require numeric inputs can reject token ids
    before anything is computed. Keras itself would train such a model on token ids
    without a warning.

    Example:

    >>> TokenShape((256,)) == (256,)
    True
    """
