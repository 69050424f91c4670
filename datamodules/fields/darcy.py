"""Darcy flow: the pressure in a porous square, from its coefficient."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.darcy_solver import darcy_samples
from datamodules.fields.module import FieldDataModule
from datamodules.fields.reading import read_array
from datamodules.fields.statistics import Normalization
from datamodules.module import require_integer
from zoo.checks import require

TRAIN_FILE, TEST_FILE = "piececonst_r421_N1024_smooth1.mat", "piececonst_r421_N1024_smooth2.mat"


class Darcy(FieldDataModule):
    """-div(a grad u) = 1 with u = 0 on the boundary, and coefficients a that are 3 or 12 (Li et al., FNO).

    Generated with the law of the published set by a solver on `resolution` nodes along each axis, of which every
    `subsample`-th is kept: 85 x 85 by default. Solving on 85 x 85 nodes directly would differ by more than a good model
    errs. A sample takes about a quarter of a second on one core. From files, the protocol is 1000 of the first file for
    training, the first 200 of the second for test, and those after them for validation.

    Args:
        resolution: nodes along each axis, boundary included, >= 17.
        subsample: every so many-th node is kept, a divisor of `resolution` - 1.
        normalization: see `FieldDataModule`.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    target_names: ClassVar[list[str]] = ["pressure"]
    files: ClassVar[str] = f"{TRAIN_FILE} and {TEST_FILE}"
    sampler = staticmethod(darcy_samples)

    def __init__(
        self, resolution: int = 421, subsample: int = 5, normalization: Normalization = "point", **options: Any
    ) -> None:
        super().__init__(normalization=normalization, **options)
        require_integer("resolution", resolution, least=17)
        require_integer("subsample", subsample, least=1)
        require((resolution - 1) % subsample == 0, "subsample", subsample, f"a divisor of {resolution - 1}")
        self.resolution, self.subsample = resolution, subsample

    def sampler_arguments(self) -> dict[str, Any]:
        """Return the arguments of the solver."""
        return {"resolution": self.resolution, "subsample": self.subsample}

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of the coefficient."""
        return {keys.INPUT: (4, 1)}

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original files, `coeff` and `sol` (1024, 421, 421) each."""
        train, val, test = (self.sizes[split] for split in ("train", "val", "test"))
        places = {"train": (TRAIN_FILE, 0, train), "test": (TEST_FILE, 0, test), "val": (TEST_FILE, test, test + val)}
        step = slice(None, None, self.subsample)
        splits = {}
        for split, (file, start, stop) in places.items():
            kept = (slice(start, stop), step, step)
            entries = {
                key: read_array(root / file, name, kept)[..., None]
                for key, name in ((keys.INPUT, "coeff"), (keys.TARGET, "sol"))
            }
            found = len(entries[keys.INPUT])
            require(found == stop - start, f"num_{split}", stop - start, f"at most {found}, as {file} allows")
            splits[split] = entries
        return splits
