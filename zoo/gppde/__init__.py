"""Gaussian processes with mixtures of spectral densities for PDEs (Fang et al., ICLR 2024, arXiv 2311.04465)."""

from zoo.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "conditions": ["Dirichlet", "Initial", "Neumann", "Observations", "Periodic"],
        "domain": ["Box"],
        "joint_map": ["JointMAP"],
        "kernels": ["SpectralMixture"],
        "operators": [
            "Advection",
            "AllenCahn",
            "Burgers",
            "Heat",
            "Helmholtz",
            "Linear",
            "Poisson",
            "Residual",
            "SteadyBurgers",
            "Unknown",
        ],
        "solver": ["solve"],
    },
)
