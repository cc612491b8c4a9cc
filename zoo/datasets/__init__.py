"""Datasets that are ready for `fit`, from TFDS or from your own arrays.

If TFDS is installed, importing this package registers the datasets that ship with
kerascope, so that `tfds.load("digits")` and `tfds.load("diabetes")` find them.
"""

from .array_dataset import ArrayDataset
from .arrays import Arrays
from .data import Data
from .from_arrays import from_arrays
from .load import load
from .order import Order

try:
    from .diabetes import Diabetes as _Diabetes  # noqa: F401
    from .digits import Digits as _Digits  # noqa: F401
except ModuleNotFoundError as _error:
    if not (_error.name or "").startswith("tensorflow"):
        raise

__all__ = ["ArrayDataset", "Arrays", "Data", "Order", "from_arrays", "load"]
