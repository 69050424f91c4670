"""Fields that solve differential equations: from solvers, or from the original files of published benchmarks."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.fields.airfoil import Airfoil as Airfoil
    from datamodules.fields.burgers import Burgers as Burgers
    from datamodules.fields.darcy import Darcy as Darcy
    from datamodules.fields.elasticity import Elasticity as Elasticity
    from datamodules.fields.elasticity import ElasticityGrid as ElasticityGrid
    from datamodules.fields.navier_stokes import NavierStokes as NavierStokes
    from datamodules.fields.pipe import Pipe as Pipe
    from datamodules.fields.plasticity import Plasticity as Plasticity

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "airfoil": ["Airfoil"],
        "burgers": ["Burgers"],
        "darcy": ["Darcy"],
        "elasticity": ["Elasticity", "ElasticityGrid"],
        "navier_stokes": ["NavierStokes"],
        "pipe": ["Pipe"],
        "plasticity": ["Plasticity"],
    },
)
