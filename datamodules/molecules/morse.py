"""`MorseMolecules`: small molecules with the exact energies and forces of a known potential."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules.module import require_integer
from datamodules.molecules.module import MoleculeDataModule
from datamodules.molecules.potential import ATOMIC_ENERGIES, RADII, label
from datamodules.molecules.structure import Array, Structure
from zoo.checks import require_above

CUTOFF = 4.0
"""Angstrom, where the potential ends."""

FORMULAS = ((6, 1, 1, 1, 1), (6, 6, 1, 1, 1, 1, 1, 1), (6, 8, 1, 1, 1, 1), (7, 1, 1, 1), (8, 1, 1), (6, 8, 8))
"""Molecules by the atomic numbers of their atoms."""

SPLITS = ("train", "val", "test")


class MorseMolecules(MoleculeDataModule):
    """Random distortions of small molecules, labelled by the potential of `datamodules.molecules.potential`.

    Atoms are put one by one at the length of a bond from an earlier one and not too near to others, then displaced at
    random. A benchmark that needs no files, with a truth that is known to rounding.

    Args:
        num_train: number of structures for training, > 0.
        num_val: number of structures for validation, > 0.
        num_test: number of structures for test, > 0.
        displacement: standard deviation of the displacements in Angstrom, > 0.
        r_max: see `MoleculeDataModule`.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        num_train: int = 200,
        num_val: int = 50,
        num_test: int = 100,
        displacement: float = 0.1,
        r_max: float = 4.0,
        batch_size: int = 5,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(r_max, batch_size, num_workers, seed, predict_path)
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        for split, size in self.sizes.items():
            require_integer(f"num_{split}", size, least=1)
        require_above(0, displacement=displacement)
        self.displacement = displacement

    def read(self) -> tuple[dict[str, list[Structure]], dict[str, list[Structure]]]:
        """See `MoleculeDataModule`; generated, not read."""
        splits = {}
        for number, (split, size) in enumerate(self.sizes.items()):
            generator = np.random.default_rng([self.seed, number])
            splits[split] = [molecule(FORMULAS[n % len(FORMULAS)], self.displacement, generator) for n in range(size)]
        return splits, {"test": splits.pop("test")}

    def isolated_atoms(self, train: list[Structure]) -> dict[int, float]:
        """Return the E0 of the potential."""
        return ATOMIC_ENERGIES

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the structures."""
        return {
            **super().metadata(),
            "source": "generated",
            "split": "independent samples",
            "licence": "none, synthetic",
            "displacement": self.displacement,
        }


def molecule(formula: tuple[int, ...], displacement: float, generator: np.random.Generator) -> Structure:
    """Return a random molecule of some elements with its labels, in a random order and orientation."""
    numbers = np.array(formula, dtype=np.int64)
    radii = np.array([RADII[number] for number in formula])
    pos = np.zeros((1, 3))
    while len(pos) < len(numbers):
        new = len(pos)
        partner = int(generator.choice(_heaviest(numbers[:new])))
        direction = generator.standard_normal(3)
        bond = radii[partner] + radii[new]
        place = pos[partner] + bond * direction / np.linalg.norm(direction)
        # Not nearer to another atom than to the partner; neighbours of one atom keep 1.2 bond lengths.
        others = np.delete(np.arange(new), partner)
        if (np.linalg.norm(pos[others] - place, axis=1) > 1.2 * bond).all():
            pos = np.concatenate([pos, place[None]])
    pos = pos + displacement * generator.standard_normal(pos.shape)
    order = generator.permutation(len(numbers))
    structure = Structure(numbers[order], pos[order])
    label(structure, CUTOFF)
    return structure


def _heaviest(numbers: Array) -> Array:
    """Return the atoms that others may be bound to: those that are no hydrogen."""
    return np.flatnonzero(numbers > 1)
