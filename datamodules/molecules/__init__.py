"""Atoms: energies and forces of molecules, and bodies that attract each other."""

from typing import TYPE_CHECKING

from zoo.lazy import lazy

if TYPE_CHECKING:
    from datamodules.molecules.acac import AcAc as AcAc
    from datamodules.molecules.ext_xyz import ExtXYZ as ExtXYZ
    from datamodules.molecules.morse import MorseMolecules as MorseMolecules
    from datamodules.molecules.nbody import NBody as NBody
    from datamodules.molecules.three_bpa import ThreeBPA as ThreeBPA

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "acac": ["AcAc"],
        "ext_xyz": ["ExtXYZ"],
        "morse": ["MorseMolecules"],
        "nbody": ["NBody"],
        "three_bpa": ["ThreeBPA"],
    },
)
