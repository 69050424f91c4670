"""LSM: latent spectral models, neural operators on grids and point clouds (Wu et al., ICML 2023, arXiv 2301.12664)."""

from zoo.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "grid_network": ["LSM"],
        "module": ["LSMModule"],
        "point_network": ["PointLSM"],
        "spectral_block": ["NeuralSpectralBlock"],
    },
)
