"""Koopman learning with certificates (Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312).

Example:
    >>> import torch
    >>> from zoo.koopman import EDMD, certify
    >>> trajectory = 0.9 ** torch.arange(30.0, dtype=torch.float64)
    >>> learner = EDMD("monomials", {"degree": 2}).fit(trajectory)
    >>> bool(certify(learner, 0.5 * trajectory).residual.max() < 1e-9)
    True
"""

from zoo.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "autoencoder_module": ["KoopmanAutoencoder"],
        "certificate": ["Certificate"],
        "dictionary_module": ["DeepDictionary"],
        "kernel_module": ["KernelEDMD"],
        "module": ["EDMD"],
        "named_dictionaries": ["build_dictionary"],
        "towers": ["TowerStudy"],
        "verification": ["certify"],
    },
)
