"""The packages of kerascope under one name.

>>> import kerascope
>>> kerascope.callbacks.UpdateRatio().every
50
"""

from importlib import import_module, util
from pathlib import Path

__all__ = ["__version__", "callbacks", "tuning", "zoo"]
__version__ = "0.1.0.dev0"


def _import(name: str):
    """Imports a package, unless Python finds something else of that name."""
    spec = util.find_spec(name)
    found = None if spec is None or spec.origin is None else Path(spec.origin)
    if found != Path(__file__).parent / name / "__init__.py":
        raise ImportError(
            f"`import {name}` does not find the package of kerascope. It finds "
            f"{found or 'nothing'}.\nRename that file or folder, or start Python in "
            "another folder."
        )
    return import_module(name)


zoo = _import("zoo")
callbacks = _import("callbacks")
tuning = _import("tuning")
