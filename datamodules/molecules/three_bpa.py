"""3BPA: how a force field of a flexible drug-like molecule, trained at 300 K, extrapolates to higher temperatures."""

from __future__ import annotations

from typing import Any, ClassVar

from datamodules.molecules.botnet import BOTNetMolecules
from datamodules.molecules.structure import Structure

MIXED = "train_mixedT.xyz"
BLOCKS = {"300K": slice(0, 167), "600K": slice(167, 334), "1200K": slice(334, 500)}
"""The temperatures of `train_mixedT.xyz`, inferred from changes in energies and forces."""

SAME_ENERGY = 1e-6
"""eV; configurations of `train_mixedT.xyz` that are in `train_300K.xyz` too agree to 1e-7."""


class ThreeBPA(BOTNetMolecules):
    """Energies and forces of 3-(benzyloxy)pyridin-2-amine (27 atoms) by density functional theory.

    `root` holds `train_300K.xyz` and `iso_atoms.xyz`, plain or packed by xz or gzip, and one of

    - the official test sets `test_300K.xyz`, `test_600K.xyz`, `test_1200K.xyz` and `test_dih.xyz`: "3BPA".
    - `train_mixedT.xyz`, whose three blocks are configurations at 300, 600 and 1200 K: "3BPA-mini". The 31 of the first
      block that are training configurations too are left out; 136, 167 and 166 remain. Errors on it come near those on
      the official test sets of the same temperature, but are no substitute for them.

    450 configurations train, 50 validate, split as in the published recipe. Files: Kovacs et al., J. Chem. Theory
    Comput. 17, 7696 (2021), from github.com/davkovacs/BOTNet-datasets (MIT licence).

    Args:
        root: folder with the files.
        r_max: see `MoleculeDataModule`.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, `root` lacks a file.
    """

    isolated_file: ClassVar[str] = "iso_atoms.xyz"
    tests: ClassVar[dict[str, str]] = {
        "300K": "test_300K.xyz",
        "600K": "test_600K.xyz",
        "1200K": "test_1200K.xyz",
        "dihedral": "test_dih.xyz",
    }
    official = False

    def read_tests(self, train: list[Structure]) -> dict[str, list[Structure]]:
        """See `BOTNetMolecules`."""
        self.official = all(self.has(name) for name in self.tests.values())
        if self.official:
            return super().read_tests(train)
        if not self.has(MIXED):
            lacking = f"{', '.join(self.tests.values())}, or {MIXED}"
            raise ValueError(f"root={self.root!r} is not allowed; it lacks {lacking}")
        known = sorted(structure.energy for structure in train if structure.energy is not None)
        mixed = self.read_published(MIXED, need_energy=True, need_forces=True)
        return {part: [entry for entry in mixed[rows] if _is_new(entry, known)] for part, rows in BLOCKS.items()}

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the structures."""
        name = "3BPA" if self.official else "3BPA-mini"
        return {**super().metadata(), "name": name, "split": name}


def _is_new(structure: Structure, known: list[float]) -> bool:
    return structure.energy is not None and all(abs(structure.energy - energy) > SAME_ENERGY for energy in known)
