"""Random numbers that depend on nothing but their names."""

import hashlib
import json


def uniform(*key) -> float:
    """Returns the random number in [0, 1) that belongs to a key.

    It is a stateless function: SHA-256 of the key, as 53 bits. Numbers of different
    keys are independent, also where seeds are neighbours, and no number depends on
    what was drawn before it.

    Args:
        *key: Integers and strings, as a seed, a trial and the name of a
            hyperparameter.

    Example:

    >>> from tuning.streams import uniform
    >>> uniform(0, 7, "learning_rate") == uniform(0, 7, "learning_rate")
    True
    >>> draws = [uniform(0, trial, "units") for trial in range(1000)]
    >>> print(f"{np.mean(draws):.1f}")
    0.5
    """
    return (_bits(key) >> 11) * 2.0**-53


def seed(*key) -> int:
    """Returns the seed in [0, 2**31) that belongs to a key, as in `uniform`."""
    return _bits(key) >> 33


def _bits(key: tuple) -> int:
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return int.from_bytes(digest[:8])
