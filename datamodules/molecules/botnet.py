"""What the published sets of single molecules share: a user's folder, the split, energies of isolated atoms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from datamodules.molecules.module import PACKED, MoleculeDataModule, published_split
from datamodules.molecules.statistics import isolated_energies
from datamodules.molecules.structure import Structure


class BOTNetMolecules(MoleculeDataModule):
    """Base of the molecules of github.com/davkovacs/BOTNet-datasets: a user's folder with the published files.

    450 of the 500 training configurations train and 50 validate, split as in the published recipe.

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

    train_file: ClassVar[str] = "train_300K.xyz"
    isolated_file: ClassVar[str]
    tests: ClassVar[dict[str, str]]
    """Files of the parts of the test set, by name."""

    num_val: ClassVar[int] = 50

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

    def has(self, name: str) -> bool:
        """Tell whether the folder holds a file, plain or packed."""
        return any((Path(str(self.root)) / (name + suffix)).exists() for suffix in PACKED)

    def read_published(self, name: str, **options: Any) -> list[Structure]:
        """Read a file of the folder.

        Raises:
            ValueError: there is no such folder, or file in it; the message says which files it should hold.
        """
        wanted = ", ".join([self.train_file, self.isolated_file, *self.tests.values()])
        if self.root is None or not Path(self.root).is_dir():
            raise ValueError(f"root={self.root!r} is not allowed; give the folder with {wanted}")
        if not self.has(name):
            raise ValueError(f"root={self.root!r} is not allowed; it lacks {name} of {wanted}")
        return self.read_file(Path(self.root) / name, **options)

    def read(self) -> tuple[dict[str, list[Structure]], dict[str, list[Structure]]]:
        """See `MoleculeDataModule`."""
        train = self.read_published(self.train_file, need_energy=True, need_forces=True)
        return published_split(train, self.num_val), self.read_tests(train)

    def read_tests(self, train: list[Structure]) -> dict[str, list[Structure]]:
        """Return the parts of the test set by name, given all training configurations."""
        return {
            part: self.read_published(name, need_energy=True, need_forces=True) for part, name in self.tests.items()
        }

    def isolated_atoms(self, train: list[Structure]) -> dict[int, float]:
        """Return E0 as calculated for isolated atoms."""
        return isolated_energies(self.read_published(self.isolated_file, need_energy=True))

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the structures."""
        return {**super().metadata(), "split": "published", "licence": "MIT, davkovacs/BOTNet-datasets"}
