"""Gaunt tensor products (Luo, Chen and Krishnapriyan, ICLR 2024, arXiv 2401.10216), and force fields made of them.

Example:
    >>> import torch
    >>> from zoo.gaunt import GauntTensorProduct
    >>> product = GauntTensorProduct(lmax_in1=2, lmax_in2=2, lmax_out=4)
    >>> product(torch.randn(8, 9), torch.randn(8, 9)).shape
    torch.Size([8, 25])
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "BracketTensorProduct": "zoo.gaunt.bracket",
    "GauntCalculator": "zoo.gaunt.calculator",
    "GauntConvolution": "zoo.gaunt.convolution",
    "GauntForceField": "zoo.gaunt.network",
    "GauntManyBody": "zoo.gaunt.many_body",
    "GauntModule": "zoo.gaunt.module",
    "GauntSelfMix": "zoo.gaunt.self_mix",
    "GauntTensorProduct": "zoo.gaunt.product",
}

__all__ = [
    "BracketTensorProduct",
    "GauntCalculator",
    "GauntConvolution",
    "GauntForceField",
    "GauntManyBody",
    "GauntModule",
    "GauntSelfMix",
    "GauntTensorProduct",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
