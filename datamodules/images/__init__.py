"""Benchmarks on images: classification and localisation."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.images.shapetex import ShapeTex

_HOMES = {"ShapeTex": "shapetex"}
__all__ = ["ShapeTex"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
