"""The shape of an example that consists of token ids."""


class TokenShape(tuple):
    """A shape, as any tuple, that says that its entries are token ids.

    The builders tell by it, before anything is computed, that a model of numbers was
    asked for where tokens will come, which Keras would train on without a word.

    Example:

    >>> TokenShape((256,)) == (256,)
    True
    """
