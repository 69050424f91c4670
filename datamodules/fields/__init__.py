"""Fields that solve differential equations: from solvers, or from the original files of published benchmarks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.fields.airfoil import Airfoil
    from datamodules.fields.burgers import Burgers
    from datamodules.fields.darcy import Darcy
    from datamodules.fields.elasticity import Elasticity, ElasticityGrid
    from datamodules.fields.navier_stokes import NavierStokes
    from datamodules.fields.pipe import Pipe
    from datamodules.fields.plasticity import Plasticity

_HOMES = {
    "Airfoil": "airfoil",
    "Burgers": "burgers",
    "Darcy": "darcy",
    "Elasticity": "elasticity",
    "ElasticityGrid": "elasticity",
    "NavierStokes": "navier_stokes",
    "Pipe": "pipe",
    "Plasticity": "plasticity",
}
__all__ = ["Airfoil", "Burgers", "Darcy", "Elasticity", "ElasticityGrid", "NavierStokes", "Pipe", "Plasticity"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
