"""Burgers' equation: the values at time 1 from those at time 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.burgers_solver import TIME_STEP, burgers_samples
from datamodules.fields.module import FieldDataModule, published_split
from datamodules.fields.reading import read_array
from datamodules.module import require_integer
from zoo.checks import require, require_above

FILE = "burgers_data_R10.mat"


class Burgers(FieldDataModule):
    """u_t + u u_x = 0.1 u_xx, periodic in [0, 1], from random values at time 0 to those at time 1 (Li et al., FNO).

    Generated on `resolution` points, of which every `subsample`-th is kept; a sample takes about 40 milliseconds on one
    core, and on 256 points with steps of 2e-3, which err by less than 1e-7, a fifth of that. From the file of 8192
    points, the first samples are for training, the last for test.

    Args:
        resolution: points on which the equation is solved, even, >= 16.
        subsample: every so many-th point is kept, a divisor of `resolution`; of the file, of its 8192 points.
        time_step: of the solver, > 0.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, the file is missing.
    """

    target_names: ClassVar[list[str]] = ["u"]
    files: ClassVar[str] = FILE
    sampler = staticmethod(burgers_samples)

    def __init__(
        self, resolution: int = 1024, subsample: int = 1, time_step: float = TIME_STEP, **options: Any
    ) -> None:
        super().__init__(**options)
        require_integer("resolution", resolution, least=16)
        require_integer("subsample", subsample, least=1)
        require(resolution % 2 == 0, "resolution", resolution, "an even integer >= 16")
        require(resolution % subsample == 0, "subsample", subsample, f"a divisor of resolution={resolution}")
        require_above(0, time_step=time_step)
        self.resolution, self.subsample, self.time_step = resolution, subsample, time_step

    def sampler_arguments(self) -> dict[str, Any]:
        """Return the arguments of the solver."""
        return {"resolution": self.resolution, "subsample": self.subsample, "time_step": self.time_step}

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of the initial values."""
        return {keys.INPUT: (3, 1)}

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original file, `a` and `u` (2048, 8192) each."""
        kept = (slice(None), slice(None, None, self.subsample))
        arrays = {
            key: read_array(root / FILE, name, kept)[..., None] for key, name in ((keys.INPUT, "a"), (keys.TARGET, "u"))
        }
        splits = published_split(len(arrays[keys.INPUT]), self.sizes, FILE)
        return {split: {key: array[part] for key, array in arrays.items()} for split, part in splits.items()}
