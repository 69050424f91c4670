"""Benchmarks on graphs."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.graphs.counting import SubstructureCounting
    from datamodules.graphs.zinc import ZINC

_HOMES = {"SubstructureCounting": "counting", "ZINC": "zinc"}
__all__ = ["ZINC", "SubstructureCounting"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
