"""What benchmarks on molecules share: structures with edges, parts of a test set, statistics, a user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from datamodules.module import Samples, ZooDataModule
from datamodules.molecules.extxyz import read_extxyz
from datamodules.molecules.inputs import read_structures
from datamodules.molecules.statistics import EnergyStatistics, energy_statistics, regressed_energies
from datamodules.molecules.structure import Structure, collate
from datamodules.sources import sha256_of
from zoo.checks import require_above

PACKED = ("", ".xz", ".gz")


class MoleculeDataModule(ZooDataModule):
    """Base of benchmarks of energies and forces.

    Subclasses define `read`, and `isolated_atoms` where energies of isolated atoms are known.

    Args:
        r_max: cutoff in Angstrom up to which there are edges, > 0; at least that of the network.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Attributes:
        group_names: names of the parts of the test set, by the numbers in `keys.GROUP`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    target_names: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(
        self,
        r_max: float = 5.0,
        batch_size: int = 5,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        require_above(0, r_max=r_max)
        self.r_max = float(r_max)
        self.group_names: list[str] = []
        self._statistics: EnergyStatistics | None = None
        self._files: dict[str, str] = {}

    def read(self) -> tuple[dict[str, list[Structure]], dict[str, list[Structure]]]:
        """Return the training and validation structures by "train" and "val", and the parts of the test set by name."""
        raise NotImplementedError(f"{type(self).__name__} must define read()")

    def isolated_atoms(self, train: list[Structure]) -> dict[int, float]:
        """Return E0 by atomic number; by default by regression on the training set."""
        return regressed_energies(train)

    def read_file(self, path: Path, **options: Any) -> list[Structure]:
        """Read an extended XYZ file, plain or packed, and note its digest for `metadata`."""
        path = next((packed for suffix in PACKED if (packed := path.with_name(path.name + suffix)).exists()), path)
        structures = read_extxyz(path, **options)
        self._files[path.name] = sha256_of(path)
        return structures

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits as batches of one with all entries of `keys` that the benchmark has."""
        splits, parts = self.read()
        self.group_names = list(parts)
        datasets: dict[str, Samples] = {
            split: [structure.sample(self.r_max) for structure in structures] for split, structures in splits.items()
        }
        datasets["test"] = [
            structure.sample(self.r_max, group)
            for group, structures in enumerate(parts.values())
            for structure in structures
        ]
        energies = self.isolated_atoms(splits["train"])
        self._statistics = energy_statistics(splits["train"], datasets["train"], energies)
        return datasets

    def collate(self, samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the batch of some structures."""
        return collate(samples)

    def energy_statistics(self) -> EnergyStatistics:
        """Return what a force field takes from the training set.

        Raises:
            RuntimeError: called before `setup`.
        """
        if self._statistics is None:
            raise RuntimeError(f"{type(self).__name__} has no data yet; call prepare_data() and setup() first")
        return self._statistics

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return zeros and ones: force fields take `energy_statistics` instead."""
        return [0.0] * len(self.target_names), [1.0] * len(self.target_names)

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the structures."""
        return {
            "name": type(self).__name__,
            "files": self._files,
            "sizes": {split: len(dataset) for split, dataset in self.datasets.items()},
            "groups": self.group_names,
            "r_max": self.r_max,
            "seed": self.seed,
        }

    def read_inputs(self, path: str) -> tuple[list[str], Samples]:
        """Read a user's structures.

        Args:
            path: an extended XYZ file, or anything that ASE reads.

        Returns:
            The numbers of the frames as names, and the structures with edges, without labels.

        Raises:
            ValueError: the file cannot be used; the message names the frame and the fault.
            FileNotFoundError: there is no such file.
            ImportError: the file is of another format, and ASE is missing.
        """
        structures = read_structures(path)
        for structure in structures:
            structure.energy = None  # labels are no inputs
        return [str(number) for number in range(len(structures))], [
            structure.sample(self.r_max) for structure in structures
        ]


def published_split(structures: list[Structure], num_val: int) -> dict[str, list[Structure]]:
    """Return training and validation structures, as MACE splits them: the last of `default_rng(1)`'s shuffle."""
    order = np.arange(len(structures))
    np.random.default_rng(1).shuffle(order)
    indices = {"train": order[: len(order) - num_val], "val": order[len(order) - num_val :]}
    return {split: [structures[index] for index in rows] for split, rows in indices.items()}
