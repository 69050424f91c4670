"""Pipe: the velocity along x of the flow through curved pipes, from the mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.module import FieldDataModule
from datamodules.fields.pipe_solver import pipe_samples
from datamodules.fields.reading import read_array
from datamodules.module import require_integer
from zoo.checks import require

FILES = ("Pipe_X.npy", "Pipe_Y.npy", "Pipe_Q.npy")
USED = 1200  # samples of the files, of which the last are for test


class Pipe(FieldDataModule):
    """Steady incompressible flow through pipes of length 10 and width 1, viscosity 0.005 (Li et al., Geo-FNO).

    Generated with Taylor-Hood elements for the published geometry and law, as far as these are stated: the centreline
    is a piecewise cubic through 5 knots with heights in [-2, 2] and slopes in [-1, 1]. 64 x 64 elements have the 129 x
    129 nodes of the published meshes; a sample takes some 3 seconds on one core, more where the flow is hard to find.
    From files, the protocol is the first 1000 samples for training and the last 200 of the first 1200 for test;
    validation samples come after these.

    Args:
        resolution: elements along each axis, >= 8; coarse ones err by much, and for some pipes find no flow.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    target_names: ClassVar[list[str]] = ["velocity_x"]
    files: ClassVar[str] = ", ".join(FILES)
    sampler = staticmethod(pipe_samples)

    def __init__(self, resolution: int = 64, **options: Any) -> None:
        super().__init__(**options)
        require_integer("resolution", resolution, least=8)
        self.resolution = resolution

    def sampler_arguments(self) -> dict[str, Any]:
        """Return the arguments of the solver."""
        return {"resolution": self.resolution}

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of the mesh."""
        return {keys.INPUT: (4, 2)}

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original files, X and Y (N, 129, 129), Q (N, channels, 129, 129)."""
        train, val, test = (self.sizes[split] for split in ("train", "val", "test"))
        kept = (slice(0, USED + val),)
        mesh = np.stack([read_array(root / file, keep=kept) for file in FILES[:2]], axis=-1)
        velocity = read_array(root / FILES[2], keep=(*kept, slice(0, 1)))[:, 0, ..., None]
        require(train + test <= USED, "num_train", train, f"at most {USED - test}")
        require(len(mesh) == USED + val, "num_val", val, f"at most {len(mesh) - USED}, as {FILES[0]} allows")
        parts = {"train": slice(0, train), "test": slice(USED - test, USED), "val": slice(USED, USED + val)}
        return {split: {keys.INPUT: mesh[part], keys.TARGET: velocity[part]} for split, part in parts.items()}
