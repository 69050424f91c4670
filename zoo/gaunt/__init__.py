"""Gaunt tensor products (Luo, Chen and Krishnapriyan, ICLR 2024, arXiv 2401.10216), and force fields made of them.

Example:
    >>> import torch
    >>> from zoo.gaunt import GauntTensorProduct
    >>> product = GauntTensorProduct(lmax_in1=2, lmax_in2=2, lmax_out=4)
    >>> product(torch.randn(8, 9), torch.randn(8, 9)).shape
    torch.Size([8, 25])
"""

from zoo.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "bracket": ["BracketTensorProduct"],
        "calculator": ["GauntCalculator"],
        "convolution": ["GauntConvolution"],
        "many_body": ["GauntManyBody"],
        "module": ["GauntModule"],
        "network": ["GauntForceField"],
        "product": ["GauntTensorProduct"],
        "self_mix": ["GauntSelfMix"],
    },
)
