"""Acetylacetone: extrapolation in temperature, along a torsion, and through the transfer of a proton."""

from __future__ import annotations

from typing import ClassVar

from datamodules.molecules.botnet import BOTNetMolecules
from datamodules.molecules.structure import Structure

ENERGY_ONLY = ("dihedral", "H-transfer")


class AcAc(BOTNetMolecules):
    """Energies and forces of acetylacetone (15 atoms) by density functional theory.

    `root` holds `train_300K.xyz`, `isolated_atoms.xyz`, `test_MD_300K.xyz`, `test_MD_600K.xyz`, `test_dihedral.xyz` and
    `test_H_transfer.xyz`, plain or packed by xz or gzip. 450 of the 500 training configurations train, 50 validate; the
    last two test sets have energies only. Files: Batatia et al., arXiv 2205.06643, from
    github.com/davkovacs/BOTNet-datasets (MIT licence).

    Args:
        root: folder with the files.
        r_max: see `MoleculeDataModule`.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` is no folder, or lacks a file.
    """

    isolated_file: ClassVar[str] = "isolated_atoms.xyz"
    tests: ClassVar[dict[str, str]] = {
        "300K": "test_MD_300K.xyz",
        "600K": "test_MD_600K.xyz",
        "dihedral": "test_dihedral.xyz",
        "H-transfer": "test_H_transfer.xyz",
    }

    def read_tests(self, train: list[Structure]) -> dict[str, list[Structure]]:
        """See `BOTNetMolecules`."""
        return {
            part: self.read_published(name, need_energy=True, need_forces=part not in ENERGY_ONLY)
            for part, name in self.tests.items()
        }
