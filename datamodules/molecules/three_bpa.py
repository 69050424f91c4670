"""3BPA: how a force field of a flexible drug-like molecule, trained at 300 K, extrapolates to higher temperatures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datamodules.molecules.module import PACKED, MoleculeDataModule, published_split, require_root
from datamodules.molecules.statistics import isolated_energies
from datamodules.molecules.structure import Structure

NUM_VAL = 50
TRAIN, MIXED, ISOLATED = "train_300K.xyz", "train_mixedT.xyz", "iso_atoms.xyz"
OFFICIAL = {"300K": "test_300K.xyz", "600K": "test_600K.xyz", "1200K": "test_1200K.xyz", "dihedral": "test_dih.xyz"}
BLOCKS = {"300K": slice(0, 167), "600K": slice(167, 334), "1200K": slice(334, 500)}
"""The temperatures of `train_mixedT.xyz`, inferred from changes in energies and forces."""

SAME_ENERGY = 1e-6
"""eV; configurations of `train_mixedT.xyz` that are in `train_300K.xyz` too agree to 1e-7."""


class ThreeBPA(MoleculeDataModule):
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
        self.official = False

    def _folder(self) -> Path:
        folder = require_root("3BPA", self.root, f"{TRAIN}, {ISOLATED}, and the official test sets or {MIXED}")
        for name in (TRAIN, ISOLATED):
            if not _exists(folder / name):
                raise ValueError(f"root={self.root!r} is not allowed; it lacks {name}")
        return folder

    def read(self) -> tuple[dict[str, list[Structure]], dict[str, list[Structure]]]:
        """See `MoleculeDataModule`."""
        folder = self._folder()
        labels = {"need_energy": True, "need_forces": True}
        train = self.read_file(folder / TRAIN, **labels)
        self.official = all(_exists(folder / name) for name in OFFICIAL.values())
        if self.official:
            parts = {part: self.read_file(folder / name, **labels) for part, name in OFFICIAL.items()}
        elif _exists(folder / MIXED):
            known = sorted(structure.energy for structure in train if structure.energy is not None)
            mixed = self.read_file(folder / MIXED, **labels)
            parts = {part: [entry for entry in mixed[rows] if _is_new(entry, known)] for part, rows in BLOCKS.items()}
        else:
            raise ValueError(f"root={self.root!r} is not allowed; it lacks {', '.join(OFFICIAL.values())}, or {MIXED}")
        return published_split(train, NUM_VAL), parts

    def isolated_atoms(self, train: list[Structure]) -> dict[int, float]:
        """Return E0 as calculated for isolated atoms."""
        return isolated_energies(self.read_file(self._folder() / ISOLATED, need_energy=True))

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the structures."""
        name = "3BPA" if self.official else "3BPA-mini"
        return {**super().metadata(), "name": name, "split": name, "licence": "MIT, davkovacs/BOTNet-datasets"}


def _exists(path: Path) -> bool:
    return any(path.with_name(path.name + suffix).exists() for suffix in PACKED)


def _is_new(structure: Structure, known: list[float]) -> bool:
    return structure.energy is not None and all(abs(structure.energy - energy) > SAME_ENERGY for energy in known)
