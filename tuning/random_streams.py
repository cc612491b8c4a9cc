"""Random numbers that depend only on a key, not on any state."""

import hashlib
import json


def uniform(*key) -> float:
    """Returns a random number in [0, 1) that is determined by a key.

    The number consists of 53 bits of the SHA-256 hash of the key. It does not depend on
    earlier draws. Different keys give independent numbers, even for adjacent seeds.

    Args:
        *key: Integers and strings, such as a seed, a trial number and the name of a
            hyperparameter.

    Example:

    >>> from tuning.random_streams import uniform
    >>> uniform(0, 7, "learning_rate") == uniform(0, 7, "learning_rate")
    True
    >>> draws = [uniform(0, trial, "units") for trial in range(1000)]
    >>> print(f"{np.mean(draws):.1f}")
    0.5
    """
    return (_bits(key) >> 11) * 2.0**-53


def seed(*key) -> int:
    """Returns a seed in [0, 2**31) that is determined by a key, as in `uniform`."""
    return _bits(key) >> 33


def _bits(key: tuple) -> int:
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return int.from_bytes(digest[:8])
