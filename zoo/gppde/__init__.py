"""Gaussian processes with mixtures of spectral densities for PDEs (Fang et al., ICLR 2024, arXiv 2311.04465)."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Advection": "operators",
    "AllenCahn": "operators",
    "Box": "domain",
    "Burgers": "operators",
    "Dirichlet": "conditions",
    "Heat": "operators",
    "Helmholtz": "operators",
    "Initial": "conditions",
    "JointMAP": "joint_map",
    "Linear": "operators",
    "Neumann": "conditions",
    "Observations": "conditions",
    "Periodic": "conditions",
    "Poisson": "operators",
    "Residual": "operators",
    "SpectralMixture": "kernels",
    "SteadyBurgers": "operators",
    "Unknown": "operators",
    "solve": "solver",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
