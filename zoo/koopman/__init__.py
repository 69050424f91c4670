"""Koopman learning with certificates (Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312).

Example:
    >>> import torch
    >>> from zoo.koopman import EDMD, certify
    >>> trajectory = 0.9 ** torch.arange(30.0)
    >>> learner = EDMD("monomials", {"degree": 2}).fit(trajectory)
    >>> bool(certify(learner, 0.5 * trajectory).residual.max() < 1e-9)
    True
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "EDMD": "zoo.koopman.module",
    "KernelEDMD": "zoo.koopman.kernel_module",
    "DeepDictionary": "zoo.koopman.dictionary_module",
    "KoopmanAutoencoder": "zoo.koopman.autoencoder_module",
    "Certificate": "zoo.koopman.certificate",
    "TowerStudy": "zoo.koopman.towers",
    "build_dictionary": "zoo.koopman.named_dictionaries",
    "certify": "zoo.koopman.verification",
}

__all__ = [
    "EDMD",
    "Certificate",
    "DeepDictionary",
    "KernelEDMD",
    "KoopmanAutoencoder",
    "TowerStudy",
    "build_dictionary",
    "certify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
