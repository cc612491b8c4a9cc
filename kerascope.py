"""The packages of kerascope under one name.

>>> import kerascope
>>> kerascope.callbacks.UpdateRatio().every
50
"""

from importlib import import_module, util
from pathlib import Path

__all__ = ["__version__", "callbacks", "tuning", "zoo"]
__version__ = "0.1.0.dev0"


def _check(name: str) -> None:
    """Raises an error if Python finds something else under the name of a package."""
    spec = util.find_spec(name)
    found = None if spec is None or spec.origin is None else Path(spec.origin)
    if found != Path(__file__).parent / name / "__init__.py":
        raise ImportError(
            f"`import {name}` does not find the package of kerascope. It finds "
            f"{found or 'nothing'}.\nRename that file or folder, or start Python in "
            "another folder."
        )


for _name in ("zoo", "callbacks", "tuning"):  # before any of them imports another
    _check(_name)
zoo, callbacks, tuning = map(import_module, ("zoo", "callbacks", "tuning"))
