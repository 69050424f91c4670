"""Trajectories that were measured or computed elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from datamodules.dynamics.inputs import READERS, read_trajectories
from datamodules.dynamics.measures import Array
from datamodules.dynamics.module import SPLITS, DynamicsDataModule, split_of
from datamodules.module import Samples
from datamodules.sources import sha256_of
from zoo.checks import require, require_above, require_choice

Split = Literal["auto", "trajectory", "block"]


class ReadDynamics(DynamicsDataModule):
    """Base of trajectories that are read: splits by whole trajectories, or each trajectory by blocks of time.

    All pairs of a split have the same weight. By trajectory, `seed` decides which goes where; by block, the first part
    of each trajectory is for training, the middle for validation and the end for test, and pairs across the borders
    are left out, so that no snapshot is in two splits. Blocks of one trajectory are not independent of each other:
    `metadata` says which of the two it was.

    Subclasses define `read`, `files` and `licence`.

    Args:
        split: "trajectory", "block", or "auto": by trajectory where there are at least 10.
        val_fraction: part of the trajectories, or of the time, for validation, in (0, 1).
        test_fraction: likewise for test; the two together < 1.
        time_step: time between rows, > 0.
        **options: see `DynamicsDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the files cannot be used.
    """

    licence = "of the data"

    def __init__(
        self,
        split: Split = "auto",
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        time_step: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require_choice("split", split, ("auto", "trajectory", "block"))
        require_above(0, val_fraction=val_fraction, test_fraction=test_fraction, time_step=time_step)
        allowed = f"a number < {1 - val_fraction:g}, so that with val_fraction something is left for training"
        require(val_fraction + test_fraction < 1, "test_fraction", test_fraction, allowed)
        self.split = split
        self.fractions = {"train": 1 - val_fraction - test_fraction, "val": val_fraction, "test": test_fraction}
        self.time_step = time_step
        self._width = 0

    def read(self) -> dict[str, Array]:
        """Return the trajectories (T, d) by name, all with the same d."""
        raise NotImplementedError(f"{type(self).__name__} must define read()")

    def files(self) -> list[Path]:
        """Return the files that are read."""
        raise NotImplementedError(f"{type(self).__name__} must define files()")

    @property
    def dt(self) -> float:
        """Time of one lag."""
        return self.lag * self.time_step

    @property
    def coordinates(self) -> list[str]:
        """The names of the columns."""
        if not self._width:
            self._width = next(iter(self.read().values())).shape[1]
        return [f"x{number}" for number in range(self._width)]

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits as pairs.

        Raises:
            ValueError: there are too few trajectories, or one is too short; the message names it.
        """
        trajectories = self.read()
        self._width = next(iter(trajectories.values())).shape[1]
        for name, trajectory in trajectories.items():
            need = self.lag + self.delays
            if len(trajectory) < need:
                raise ValueError(
                    f"trajectory {name!r} has {len(trajectory)} rows; "
                    f"give at least {need} for lag={self.lag} and delays={self.delays}"
                )
        if self.split == "auto":
            self.split = "trajectory" if len(trajectories) >= 10 else "block"
        parts = self._by_trajectory(trajectories) if self.split == "trajectory" else self._by_block(trajectories)
        datasets: dict[str, Samples] = {}
        number = 0
        for split in SPLITS:
            lengths = np.array([len(part) - self.lag - self.delays + 1 for part in parts[split]])
            datasets[split] = split_of(parts[split], lengths / lengths.sum(), self.lag, self.delays, number, split)
            number += len(parts[split])
        return datasets

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the trajectories."""
        digests = "".join(sha256_of(file) for file in self.files())
        return {
            "name": type(self).__name__,
            "source": ", ".join(file.name for file in self.files()),
            "split": "by trajectory" if self.split == "trajectory" else "by block of time, within each trajectory",
            "licence": self.licence,
            "sha256": digests if len(digests) == 64 else hashlib.sha256(digests.encode()).hexdigest(),
            **self.provenance(),
        }

    def _by_trajectory(self, trajectories: dict[str, Array]) -> dict[str, list[Array]]:
        entries = list(trajectories.values())
        number = len(entries)
        if number < 3:
            raise ValueError(f"split='trajectory' needs at least 3 trajectories, and there are {number}; give 'block'")
        sizes = {split: max(1, round(self.fractions[split] * number)) for split in ("val", "test")}
        sizes["val"] = min(sizes["val"], number - 2)
        sizes["test"] = min(sizes["test"], number - 1 - sizes["val"])
        order = np.random.default_rng(self.seed).permutation(number)
        borders = [number - sizes["val"] - sizes["test"], number - sizes["test"]]
        rows = np.split(order, borders)
        return {split: [entries[row] for row in np.sort(part)] for split, part in zip(SPLITS, rows, strict=True)}

    def _by_block(self, trajectories: dict[str, Array]) -> dict[str, list[Array]]:
        parts: dict[str, list[Array]] = {split: [] for split in SPLITS}
        for name, trajectory in trajectories.items():
            first = round(self.fractions["train"] * len(trajectory))
            second = first + round(self.fractions["val"] * len(trajectory))
            for split, block in zip(SPLITS, np.split(trajectory, [first, second]), strict=True):
                if len(block) < self.lag + self.delays:
                    raise ValueError(
                        f"trajectory {name!r} has {len(trajectory)} rows, {len(block)} of them for {split!r}; with "
                        f"lag={self.lag} and delays={self.delays} give at least {self.lag + self.delays}, by a longer "
                        "trajectory, other fractions, or split='trajectory'"
                    )
                parts[split].append(block)
        return parts


class Trajectories(ReadDynamics):
    """Anyone's trajectories, from a `.npy`, `.csv`, `.mat` or HDF5 file or a folder of such files.

    Rows are times; see `datamodules.dynamics.inputs` for the formats. Pairs that belong to no trajectory are
    trajectories of two rows: an array (n, 2, d).

    Args:
        path: the file or the folder.
        variable: name of the array in a `.mat` or HDF5 file; None takes the only one that there is.
        transpose: whether columns are times and rows are coordinates.
        **options: see `ReadDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """

    licence = "the user's own"

    def __init__(self, path: str, variable: str | None = None, transpose: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.path, self.variable, self.transpose = path, variable, transpose

    def read(self) -> dict[str, Array]:
        """Return the trajectories of the file or the folder."""
        return read_trajectories(self.path, self.variable, self.transpose)

    def files(self) -> list[Path]:
        """Return the files that are read, sorted by name."""
        path = Path(self.path)
        if not path.is_dir():
            return [path]
        return sorted(file for file in path.iterdir() if file.suffix.lower() in READERS)
