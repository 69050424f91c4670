"""Acetylacetone: extrapolation in temperature, along a torsion, and through the transfer of a proton."""

from __future__ import annotations

from typing import Any

from datamodules.molecules.module import MoleculeDataModule, published_split, require_root
from datamodules.molecules.statistics import isolated_energies
from datamodules.molecules.structure import Structure

NUM_VAL = 50
TRAIN, ISOLATED = "train_300K.xyz", "isolated_atoms.xyz"
TESTS = {
    "300K": "test_MD_300K.xyz",
    "600K": "test_MD_600K.xyz",
    "dihedral": "test_dihedral.xyz",
    "H-transfer": "test_H_transfer.xyz",
}
ENERGY_ONLY = ("dihedral", "H-transfer")


class AcAc(MoleculeDataModule):
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
        ValueError: an argument is out of its range; in `setup`, `root` is no folder.
        FileNotFoundError: in `setup`, `root` lacks a file.
    """

    def __init__(
        self,
        root: str | None = None,
        r_max: float = 5.0,
        batch_size: int = 5,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(r_max, batch_size, num_workers, seed, predict_path)
        self.root = root

    def read(self) -> tuple[dict[str, list[Structure]], dict[str, list[Structure]]]:
        """See `MoleculeDataModule`."""
        folder = require_root("AcAc", self.root, f"{TRAIN}, {ISOLATED}, {', '.join(TESTS.values())}")
        parts = {
            part: self.read_file(folder / name, need_energy=True, need_forces=part not in ENERGY_ONLY)
            for part, name in TESTS.items()
        }
        return published_split(self.read_file(folder / TRAIN, need_energy=True, need_forces=True), NUM_VAL), parts

    def isolated_atoms(self, train: list[Structure]) -> dict[int, float]:
        """Return E0 as calculated for isolated atoms."""
        folder = require_root("AcAc", self.root, ISOLATED)
        return isolated_energies(self.read_file(folder / ISOLATED, need_energy=True))

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the structures."""
        return {**super().metadata(), "split": "published", "licence": "MIT, davkovacs/BOTNet-datasets"}
