"""PDEs on boxes with exact solutions, and anyone's from a file."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.pdes.module import HighFrequencyPDE

_HOMES = {"HighFrequencyPDE": "module"}
__all__ = ["HighFrequencyPDE"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
