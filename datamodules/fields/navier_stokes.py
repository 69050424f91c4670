"""Navier-Stokes: the vorticity of a forced flow at ten times, from the ten before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.module import FieldDataModule, published_split
from datamodules.fields.navier_stokes_solver import TIME_STEP, navier_stokes_samples
from datamodules.fields.reading import read_array
from datamodules.fields.statistics import fit_statistics
from datamodules.module import require_integer
from zoo.checks import require, require_above

FILE = "NavierStokes_V1e-5_N1200_T20.mat"


class NavierStokes(FieldDataModule):
    """w_t + u . grad w = 1e-5 Laplacian w + f in the periodic unit square, frames at t = 1, 2, ... (Li et al., FNO).

    Generated with the law of the published set on `resolution` points along each axis, of which every `subsample`-th is
    kept: 64 x 64 by default. A sample takes about 3 seconds on one core. From the file, the protocol is the first 1000
    of 1200 for training and the last 200 for test; validation samples are taken from between, which needs `num_train`
    smaller by `num_val`.

    Args:
        num_inputs: frames that are given, > 0.
        num_outputs: frames that are to be predicted, > 0.
        resolution: points along each axis on which the equation is solved, even, >= 16; the published set was made
            with 256.
        subsample: every so many-th point is kept, a divisor of `resolution`; those of the file are kept all.
        time_step: of the solver, > 0.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, the file is missing.
    """

    target_names: ClassVar[list[str]] = ["vorticity"]
    files: ClassVar[str] = FILE
    sampler = staticmethod(navier_stokes_samples)

    def __init__(
        self,
        num_inputs: int = 10,
        num_outputs: int = 10,
        resolution: int = 128,
        subsample: int = 2,
        time_step: float = TIME_STEP,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require_integer("num_inputs", num_inputs, least=1)
        require_integer("num_outputs", num_outputs, least=1)
        require_integer("resolution", resolution, least=16)
        require_integer("subsample", subsample, least=1)
        require(resolution % 2 == 0, "resolution", resolution, "an even integer >= 16")
        require(resolution % subsample == 0, "subsample", subsample, f"a divisor of resolution={resolution}")
        require_above(0, time_step=time_step)
        self.num_inputs, self.num_outputs = num_inputs, num_outputs
        self.resolution, self.subsample, self.time_step = resolution, subsample, time_step

    def sampler_arguments(self) -> dict[str, Any]:
        """Return the arguments of the solver."""
        return {
            "resolution": self.resolution,
            "subsample": self.subsample,
            "num_frames": self.num_inputs + self.num_outputs,
            "time_step": self.time_step,
        }

    def entries_of(self, drawn: dict[str, Array]) -> dict[str, Array]:
        """Return the first frames as input and the rest as target."""
        return self._split_times(drawn["frames"])

    def _split_times(self, frames: Array) -> dict[str, Array]:
        last = self.num_inputs + self.num_outputs
        return {keys.INPUT: frames[..., : self.num_inputs], keys.TARGET: frames[..., self.num_inputs : last]}

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of the frames that are given."""
        return {keys.INPUT: (4, self.num_inputs)}

    def field_statistics(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean and standard deviation of the training frames, the same for all times."""
        if self.normalization == "none":
            return {}
        entries = self.entries("train")
        frames = torch.cat([entries[keys.INPUT], entries[keys.TARGET]], dim=-1).movedim(-1, 1).flatten(0, 1)
        statistics = fit_statistics(frames[..., None], self.normalization)
        return {keys.INPUT: statistics, keys.TARGET: statistics}

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of the vorticity to be predicted, over samples, points and times."""
        target = self.entries("train")[keys.TARGET].double()
        return [target.mean().item()], [target.std().item()]

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original file, `u` (1200, 64, 64, 20)."""
        frames = read_array(root / FILE, "u")
        wanted = self.num_inputs + self.num_outputs
        require(
            frames.ndim == 4 and frames.shape[3] >= wanted, "num_outputs", self.num_outputs, f"fewer: {frames.shape}"
        )
        splits = published_split(len(frames), self.sizes, FILE)
        return {split: self._split_times(frames[part]) for split, part in splits.items()}
