"""Places on Earth: a generated Earth whose best possible predictor is known, and maps of the real one."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.earth.synthetic_earth import SyntheticEarth

_HOMES = {"SyntheticEarth": "synthetic_earth"}
__all__ = ["SyntheticEarth"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
