"""Velocities of brain waves on a montage of electrodes, few of which are labelled: generated subjects of two groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules import keys
from datamodules.module import Samples, ZooDataModule, require_integer
from datamodules.samples import Batch, Sample, TensorSamples, collate
from datamodules.surfaces.brain_waves import RATE, head, record
from datamodules.surfaces.files import read_cloud
from zoo.checks import require
from zoo.spectral.connection import connection_laplacian


class SyntheticEEG(ZooDataModule):
    """Generated subjects with travelling waves on the head: whole fields as samples, all times of a subject together.

    In group 1 sources are in the back of the head with probability 0.8, in group 0 with 0.5. Subjects, not times, are
    split, and each split has both groups. The true fields are known at all electrodes; `labelled` says which of them a
    method may look at.

    Args:
        subjects: number of subjects, >= 6 and even: half in each group.
        seconds: length of a recording, > 0, at 250 Hz.
        channels: number of electrodes, of the generated montage.
        labelled_channels: number of labelled ones, evenly spaced in their order.
        montage: a `.csv` file with columns x, y, z in cm instead of the generated montage; None for that.
        batch_size: number of times in a batch, see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.

    Attributes:
        points: (n, 3) float64, the electrodes, after `setup`.
        labelled: (n,) bool, after `setup`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    target_names = ["vx", "vy", "vz"]  # noqa: RUF012 # of the base class

    def __init__(
        self,
        subjects: int = 12,
        seconds: float = 2.0,
        channels: int = 256,
        labelled_channels: int = 64,
        montage: str | None = None,
        batch_size: int = 512,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed)
        require_integer("subjects", subjects, least=6)
        require(subjects % 2 == 0, "subjects", subjects, "an even number")
        require_integer("channels", channels, least=20)
        require_integer("labelled_channels", labelled_channels, least=2)
        frames = round(seconds * RATE) if type(seconds) in (int, float) and 0 < seconds < 1e4 else 0
        require(frames >= 1, "seconds", seconds, f"a number from {1 / RATE:g} to 10000")
        self.subjects, self.frames, self.channels = subjects, frames, channels
        self.labelled_channels, self.montage = labelled_channels, montage
        self.points: Tensor = torch.empty(0, 3, dtype=torch.float64)
        self.labelled: Tensor = torch.empty(0, dtype=torch.bool)

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits, each with the same share of both groups."""
        points = head(self.channels) if self.montage is None else read_cloud(self.montage).points
        fits = self.labelled_channels <= len(points)
        require(fits, "labelled_channels", self.labelled_channels, f"at most {len(points)}, the electrodes")
        self.points = torch.from_numpy(points)
        self.labelled = torch.zeros(len(points), dtype=torch.bool)
        # Every fourth of 256 channels, first and last among them, as published.
        self.labelled[np.linspace(0, len(points) - 1, self.labelled_channels).round().astype(np.int64)] = True
        geometry = connection_laplacian(points, 2, dim=2)
        pairs = np.random.default_rng(self.seed).permutation(self.subjects // 2)
        held_out = max(1, len(pairs) // 5)
        chosen = {"val": pairs[:held_out], "test": pairs[held_out : 2 * held_out], "train": pairs[2 * held_out :]}
        datasets: dict[str, Samples] = {}
        for split in ("train", "val", "test"):
            # Subjects 2 p and 2 p + 1 make a pair, one of each group.
            numbers = np.sort(np.concatenate([2 * chosen[split], 2 * chosen[split] + 1]))
            fields = [record(geometry, self.frames, int(number) % 2, self._seed(number)).vectors for number in numbers]
            subject = torch.from_numpy(np.repeat(numbers, self.frames))
            datasets[split] = TensorSamples(
                {
                    keys.VECTOR_FIELD: torch.from_numpy(np.concatenate(fields)),
                    keys.SUBJECT: subject,
                    keys.SUBJECT_GROUP: subject % 2,
                    keys.TIME_STEP: torch.arange(self.frames).repeat(len(numbers)),
                }
            )
        return datasets

    def _seed(self, number: int) -> int:
        return int(np.random.SeedSequence([self.seed, int(number)]).generate_state(1)[0])

    def collate(self, samples: Batch | list[Sample]) -> Batch:
        """Return the batch of some samples."""
        return collate(samples)

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return zeros and ones: fields are learned in their own units, and have no mean in any frame."""
        return [0.0] * 3, [1.0] * 3

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the data as plain JSON."""
        return {
            "surface": "generated head" if self.montage is None else "montage of the user",
            "field": "velocities of generated travelling waves, in cm / s",
            "subjects": self.subjects,
            "frames": self.frames,
            "rate": RATE,
            "channels": len(self.points),
            "labelled_channels": self.labelled_channels,
            "sizes": {split: len(dataset) for split, dataset in self.datasets.items()},
            "seed": self.seed,
        }
