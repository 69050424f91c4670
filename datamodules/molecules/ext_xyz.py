"""Anyone's energies and forces, in extended XYZ files."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from datamodules.molecules.module import MoleculeDataModule, published_split
from datamodules.molecules.statistics import isolated_energies, regressed_energies
from datamodules.molecules.structure import NUMBERS, Structure
from zoo.checks import require

ATOMIC_ENERGIES = ("average", "isolated")


class ExtXYZ(MoleculeDataModule):
    """Energies and forces from extended XYZ files, plain or packed by xz or gzip.

    Args:
        train_path: file with the structures to train on.
        val_path: file with those to validate on; None takes a part of the former, as published recipes do.
        test_path: file with those to test on; None tests on those of validation.
        val_fraction: part of the training file that validates, in (0, 1), where there is no `val_path`.
        energy_key: entry of the comment lines with the energy in eV.
        forces_key: property of the atoms with the forces in eV/Angstrom.
        stress_key: entry of the comment lines with the stress in eV/Angstrom^3, which may be absent.
        atomic_energies: "average" takes E0 from a regression of energies on compositions, "isolated" from the
            structures of one atom in the training file, which then do not train; or E0 in eV
            themselves, as "H=-13.6 O=-2041.8".
        r_max: see `MoleculeDataModule`.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a frame cannot be used, which is named.
        FileNotFoundError: in `setup`, there is no such file.
    """

    def __init__(
        self,
        train_path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        val_fraction: float = 0.1,
        energy_key: str = "energy",
        forces_key: str = "forces",
        stress_key: str = "stress",
        atomic_energies: str = "average",
        r_max: float = 5.0,
        batch_size: int = 5,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(r_max, batch_size, num_workers, seed, predict_path)
        require(0 < val_fraction < 1, "val_fraction", val_fraction, "a number in (0, 1)")
        self._given = None if atomic_energies in ATOMIC_ENERGIES else given_energies(atomic_energies)
        self.paths = {"train": train_path, "val": val_path, "test": test_path}
        self.val_fraction, self.atomic_energies = val_fraction, atomic_energies
        self.energy_key, self.forces_key, self.stress_key = energy_key, forces_key, stress_key
        self._isolated: list[Structure] = []

    def _read(self, path: str) -> list[Structure]:
        names = {"energy_key": self.energy_key, "forces_key": self.forces_key, "stress_key": self.stress_key}
        structures = self.read_file(Path(path), **names, need_energy=True)
        for number, structure in enumerate(structures):
            if structure.forces is None and len(structure.numbers) > 1:
                raise ValueError(f"{path}, frame {number}: it has no {self.forces_key!r}")
        return structures

    def read(self) -> tuple[dict[str, list[Structure]], dict[str, list[Structure]]]:
        """See `MoleculeDataModule`."""
        train = self._read(str(self.paths["train"]))
        if self.atomic_energies == "isolated":
            self._isolated = [structure for structure in train if len(structure.numbers) == 1]
            train = [structure for structure in train if len(structure.numbers) > 1]
        if self.paths["val"] is None:
            num_val = max(1, round(self.val_fraction * len(train)))
            require(len(train) > num_val, "train_path", self.paths["train"], "a file with two structures or more")
            splits = published_split(train, num_val)
        else:
            splits = {"train": train, "val": self._read(self.paths["val"])}
        test = splits["val"] if self.paths["test"] is None else self._read(self.paths["test"])
        return splits, {"test": test}

    def isolated_atoms(self, train: list[Structure]) -> dict[int, float]:
        """Return E0 as the argument `atomic_energies` says."""
        if self._given is not None:
            return self._given
        return isolated_energies(self._isolated) if self.atomic_energies == "isolated" else regressed_energies(train)

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the structures."""
        return {**super().metadata(), "split": "the user's files", "licence": "the user's own"}


def given_energies(text: str) -> dict[int, float]:
    """Return E0 in eV by atomic number of a text as "H=-13.6 O=-2041.8".

    Raises:
        ValueError: the text is not of this form.
    """
    pairs = [entry.partition("=") for entry in text.split()]
    try:
        energies = {NUMBERS[symbol]: float(energy) for symbol, _, energy in pairs}
    except (KeyError, ValueError):
        energies = {}
    allowed = bool(energies) and all(isfinite(energy) for energy in energies.values())
    require(allowed, "atomic_energies", text, f"one of {list(ATOMIC_ENERGIES)}, or energies as 'H=-13.6 O=-2041.8'")
    return energies
