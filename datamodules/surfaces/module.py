"""What vector fields on surfaces share: points as samples, the whole cloud for the geometry, a user's own points."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from datamodules import keys
from datamodules.module import Samples, ZooDataModule
from datamodules.samples import Batch, Sample, TensorSamples, collate
from datamodules.surfaces.files import Cloud, read_cloud
from datamodules.surfaces.shapes import Array
from datamodules.surfaces.splits import TASKS, Task, split_points
from zoo.checks import require, require_choice

SPLITS = ("train", "val", "test")


class SurfaceDataModule(ZooDataModule):
    """Base of vector fields on surfaces: batches are dicts, see the section on surfaces of `datamodules.keys`.

    Subclasses define `surface` and `provenance`, and may override `split`.

    Args:
        task: "super_resolution", "inpainting" or "denoising", see `datamodules.surfaces.splits`.
        label_fraction: part of the points with labels, in (0, 1).
        hole: radius of the ball without labels, relative to the surface, in (0, 1).
        noise: standard deviation of what is added to each component of the labels, in units of the field's root mean
            square length, >= 0; in all directions of the surrounding space.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`; of splits and noise.
        predict_path: a file with points to predict at, see `read_inputs`; None predicts the test set.

    Attributes:
        points: (n, D) float64, the whole cloud, after `setup`.
        truth: (n, D) float64, the field there.
        faces: (F, 3) int64, triangles; None for point clouds.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    axes: ClassVar[str] = "xyzw"

    def __init__(
        self,
        task: Task = "super_resolution",
        label_fraction: float = 0.5,
        hole: float = 0.25,
        noise: float = 0.0,
        batch_size: int = 1024,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        require_choice("task", task, TASKS)
        require(0 < label_fraction < 1, "label_fraction", label_fraction, "a number in (0, 1)")
        require(0 < hole < 1, "hole", hole, "a number in (0, 1)")
        require(type(noise) in (int, float) and 0 <= noise < np.inf, "noise", noise, "a number >= 0")
        self.task, self.label_fraction, self.hole, self.noise = task, label_fraction, hole, noise
        self.points: Tensor = torch.empty(0, 0, dtype=torch.float64)
        self.truth: Tensor = torch.empty(0, 0, dtype=torch.float64)
        self.faces: Tensor | None = None

    def surface(self) -> Cloud:
        """Return the points, the field at all of them and, if there are any, triangles."""
        raise NotImplementedError(f"{type(self).__name__} must define surface()")

    def provenance(self) -> dict[str, Any]:
        """Return where surface and field come from, as plain JSON."""
        raise NotImplementedError(f"{type(self).__name__} must define provenance()")

    @property
    def target_names(self) -> list[str]:  # type: ignore[override] # known only once the points are there
        """The names of the components of a vector."""
        return [f"v{self.axes[index]}" if index < 4 else f"v{index}" for index in range(self.points.shape[1])]

    def split(self, cloud: Cloud) -> dict[str, np.ndarray]:
        """Return the points of each split."""
        return split_points(cloud.points, self.task, self.seed, self.label_fraction, self.hole)

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits, whose training labels have noise."""
        cloud = self.surface()
        assert cloud.vectors is not None  # what subclasses return
        self.points, self.truth = torch.from_numpy(cloud.points), torch.from_numpy(cloud.vectors)
        self.faces = None if cloud.faces is None else torch.from_numpy(cloud.faces)
        nodes = self.split(cloud)
        labels = {split: cloud.vectors[chosen] for split, chosen in nodes.items()}
        labels["train"] = labels["train"] + self._noise(cloud.vectors, labels["train"].shape)
        return {split: self._samples(nodes[split], labels[split]) for split in SPLITS}

    def _noise(self, vectors: Array, shape: tuple[int, ...]) -> Array:
        size = self.noise * float(np.sqrt(np.nanmean((vectors**2).sum(axis=1))))
        # A stream of its own: the same splits with and without noise.
        return size * np.random.default_rng([self.seed, 1]).standard_normal(shape)

    def _samples(self, nodes: np.ndarray, vectors: Array) -> TensorSamples:
        chosen = torch.from_numpy(nodes)
        columns = {keys.NODE: chosen, keys.POSITION: self.points[chosen]}
        return TensorSamples({**columns, keys.VECTOR: torch.from_numpy(vectors)})

    def prepare_data(self) -> None:
        """Generate what is missing, or look for the files; one process of each machine calls it."""
        if self.predict_path is None:
            self.setup()

    def collate(self, samples: Batch | list[Sample]) -> Batch:
        """Return the batch of some samples."""
        return collate(samples)

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return zeros and ones: fields are learned in their own units, and have no mean in any frame."""
        return [0.0] * len(self.target_names), [1.0] * len(self.target_names)

    def read_inputs(self, path: str) -> tuple[list[str], TensorSamples]:
        """Read a user's points; `node` is their number in the file, not one of the training cloud.

        Args:
            path: a file in one of the formats of `datamodules.surfaces.files`; vectors in it are ignored.

        Raises:
            ValueError: the file cannot be used.
            FileNotFoundError: there is no such file.
        """
        cloud = read_cloud(path)
        number = len(cloud.points)
        columns = {keys.NODE: torch.arange(number), keys.POSITION: torch.from_numpy(cloud.points)}
        return [str(index) for index in range(number)], TensorSamples(columns)

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the data as plain JSON."""
        return {
            **self.provenance(),
            "task": self.task,
            "label_fraction": self.label_fraction,
            "hole": self.hole,
            "noise": self.noise,
            "points": len(self.points),
            "sizes": {split: len(self.datasets[split]) for split in SPLITS if split in self.datasets},
            "seed": self.seed,
        }
