"""Geolocation maps: recall versus area, and learned ensembles of score maps on the sphere (arXiv 2407.13862)."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "CoverageVsArea": "zoo.geolocation.coverage_vs_area",
    "GeoEnsemble": "zoo.geolocation.module",
    "GreatCircleAccuracy": "zoo.geolocation.great_circle",
    "RecallVsArea": "zoo.geolocation.recall_vs_area",
    "recall_vs_area": "zoo.geolocation.recall_vs_area",
}

__all__ = ["CoverageVsArea", "GeoEnsemble", "GreatCircleAccuracy", "RecallVsArea", "recall_vs_area"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
