"""SPE: stable and expressive positional encodings of graphs (Huang et al., ICLR 2024, arXiv 2310.02579)."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "SPE": "zoo.spe.encoding",
    "SPEGINE": "zoo.spe.gine",
    "SPETransformer": "zoo.spe.transformer",
    "SPEModule": "zoo.spe.module",
}

__all__ = ["SPE", "SPEGINE", "SPEModule", "SPETransformer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
