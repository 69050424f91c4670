"""Atoms: energies and forces of molecules, and bodies that attract each other."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.molecules.acac import AcAc
    from datamodules.molecules.ext_xyz import ExtXYZ
    from datamodules.molecules.morse import MorseMolecules
    from datamodules.molecules.nbody import NBody
    from datamodules.molecules.three_bpa import ThreeBPA

_HOMES = {
    "AcAc": "acac",
    "ExtXYZ": "ext_xyz",
    "MorseMolecules": "morse",
    "NBody": "nbody",
    "ThreeBPA": "three_bpa",
}
__all__ = ["AcAc", "ExtXYZ", "MorseMolecules", "NBody", "ThreeBPA"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
