"""LSM: latent spectral models, neural operators on grids and point clouds (Wu et al., ICML 2023, arXiv 2301.12664)."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "LSM": "zoo.lsm.grid_network",
    "LSMModule": "zoo.lsm.module",
    "NeuralSpectralBlock": "zoo.lsm.spectral_block",
    "PointLSM": "zoo.lsm.point_network",
}

__all__ = ["LSM", "LSMModule", "NeuralSpectralBlock", "PointLSM"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
