"""The shape of examples that consist of token ids."""


class TokenShape(tuple):
    """Marks a shape as that of token ids; otherwise it is an ordinary tuple.

    It lets the builders reject token ids for a model of quantities before anything
    is computed. Keras would train such a model without a warning.

    Example:

    >>> TokenShape((256,)) == (256,)
    True
    """
