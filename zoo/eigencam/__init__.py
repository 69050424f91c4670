"""Eigen-CAM: class-agnostic maps of what any CNN looks at (Muhammad and Yeasin, IJCNN 2020, arXiv 2008.00299)."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "EigenCAM": "zoo.eigencam.module",
    "EigenMaps": "zoo.eigencam.cam",
    "eigen_cam": "zoo.eigencam.cam",
}

__all__ = ["EigenCAM", "EigenMaps", "eigen_cam"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
