"""What all data on dynamics share: pairs of snapshots as batches, names of coordinates, a user's own trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules import keys
from datamodules.dynamics.inputs import read_trajectories
from datamodules.dynamics.measures import Array
from datamodules.dynamics.pairs import SnapshotPairs, delayed, delayed_names, pairs_of
from datamodules.module import ZooDataModule, require_integer
from datamodules.samples import Batch, Sample, collate

SPLITS = ("train", "val", "test")


class DynamicsDataModule(ZooDataModule):
    """Base of data on dynamics: batches are dicts of tensors with the entries of `datamodules.keys`.

    A sample is a pair of snapshots, one lag apart; learners that need no batches take whole splits from `entries`.
    Subclasses define `coordinates`, `build_datasets` and `metadata`.

    Args:
        lag: time between the snapshots of a pair, in steps, > 0.
        delays: number of consecutive snapshots that make up a state, > 0, the oldest first.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: a file with trajectories, see `read_inputs`; None predicts the test set.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        lag: int = 1,
        delays: int = 1,
        batch_size: int = 1024,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        require_integer("lag", lag, least=1)
        require_integer("delays", delays, least=1)
        self.lag = lag
        self.delays = delays

    @property
    def coordinates(self) -> list[str]:
        """The names of the coordinates of one snapshot."""
        raise NotImplementedError(f"{type(self).__name__} must define coordinates")

    @property
    def target_names(self) -> list[str]:  # type: ignore[override] # known only once a file is read
        """The names of the columns of `state` and `next_state`."""
        return delayed_names(self.coordinates, self.delays)

    @property
    def dt(self) -> float:
        """Time of one lag, in the units of the system; 1 per step for maps."""
        return float(self.lag)

    def entries(self, split: str) -> dict[str, Tensor]:
        """Return a whole split as one batch, without a copy.

        Raises:
            RuntimeError: called before `setup`.
        """
        pairs = self.dataset(split)
        assert isinstance(pairs, SnapshotPairs)  # what subclasses build
        return pairs.entries

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of each coordinate of the training states; 1 where it does not vary."""
        states = self.entries("train")[keys.STATE]
        deviation = states.std(0, correction=0)
        return states.mean(0).tolist(), deviation.where(deviation > 0, 1.0).tolist()

    def prepare_data(self) -> None:
        """Generate what is missing, or look for the files; one process of each machine calls it."""
        if self.predict_path is None:
            self.setup()

    def collate(self, samples: Batch | list[Sample]) -> Batch:
        """Return the batch of some samples."""
        return collate(samples)

    def read_inputs(self, path: str) -> tuple[list[str], SnapshotPairs]:
        """Read a user's trajectories: every row of the file, with delays, is a state to predict from.

        Args:
            path: a file in one of the formats of `datamodules.dynamics.inputs`, with the coordinates of the training
                data as columns; or a folder with such files.

        Returns:
            The names of the states, "trajectory:row" (with delays, of the newest row), and the states, with the
            entries `state`, `trajectory` and `next_state`, NaN at the ends of trajectories.

        Raises:
            ValueError: the file cannot be used; the message names the row or the trajectory and the fault.
            FileNotFoundError: there is no such file.
            ImportError: the file is HDF5 and h5py is missing.
        """
        trajectories = read_trajectories(path)
        names: list[str] = []
        states, successors = [], []
        for name, trajectory in trajectories.items():
            if trajectory.shape[1] != len(self.coordinates):
                raise ValueError(
                    f"{path}: trajectory {name!r} has {trajectory.shape[1]} columns; give {len(self.coordinates)}: "
                    + ", ".join(self.coordinates[:8])
                    + (", ..." if len(self.coordinates) > 8 else "")
                )
            try:
                states.append(delayed(trajectory, self.delays))
            except ValueError as error:
                raise ValueError(f"{path}: trajectory {name!r}: {error}") from error
            unknown = np.full_like(states[-1][: self.lag], np.nan)
            successors.append(np.concatenate([states[-1][self.lag :], unknown]))
            names += [f"{name}:{row}" for row in range(self.delays - 1, len(trajectory))]
        number = np.repeat(np.arange(len(states)), [len(state) for state in states])
        entries = {
            keys.STATE: torch.from_numpy(np.concatenate(states)),
            keys.NEXT_STATE: torch.from_numpy(np.concatenate(successors)),
            keys.TRAJECTORY: torch.from_numpy(number),
        }
        return names, SnapshotPairs(entries)

    def provenance(self) -> dict[str, Any]:
        """Return the part of `metadata` that all data on dynamics have."""
        return {
            "lag": self.lag,
            "delays": self.delays,
            "dt": self.dt,
            "coordinates": self.coordinates,
            "sizes": {split: len(self.datasets[split]) for split in SPLITS if split in self.datasets},
            "seed": self.seed,
        }


def split_of(
    trajectories: list[Array], weights: Array, lag: int, delays: int, first_number: int, split: str
) -> SnapshotPairs:
    """Cut trajectories into the pairs of a split; the weight of a trajectory is shared by its pairs.

    Args:
        trajectories: each (T, d), T >= lag + delays.
        weights: (number of trajectories,), of sum 1.
        lag: see `DynamicsDataModule`.
        delays: see `DynamicsDataModule`.
        first_number: number of the first trajectory.
        split: name of the split, for the message.

    Raises:
        ValueError: there is no trajectory, or one is too short.
    """
    if not trajectories:
        raise ValueError(f"the split {split!r} has no trajectory")
    pairs = [pairs_of(trajectory, lag, delays) for trajectory in trajectories]
    lengths = [len(states) for states, _ in pairs]
    number = first_number + np.repeat(np.arange(len(pairs)), lengths)
    arrays = {
        keys.STATE: np.concatenate([states for states, _ in pairs]),
        keys.NEXT_STATE: np.concatenate([successors for _, successors in pairs]),
        keys.WEIGHT: np.repeat(weights / lengths, lengths),
        keys.TRAJECTORY: number,
    }
    return SnapshotPairs({key: torch.from_numpy(array) for key, array in arrays.items()})
