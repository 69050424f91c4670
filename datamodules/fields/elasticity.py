"""Elasticity: the stress in a unit cell with a void, at scattered points or on a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.elasticity_solver import CODE_POINTS, elasticity_samples
from datamodules.fields.module import FieldDataModule, published_split
from datamodules.fields.reading import read_array
from datamodules.module import require_integer
from datamodules.samples import TensorSamples
from zoo.checks import require

POINT_FILES = tuple(f"Random_UnitCell_{name}_10.npy" for name in ("XY", "rr", "sigma"))
GRID_FILES = tuple(f"Random_UnitCell_{name}_10_interp.npy" for name in ("mask", "sigma"))


class _UnitCell(FieldDataModule):
    """The unit cell, whose samples serve both benchmarks.

    Args:
        rays: of the solver's mesh, 4 more than a multiple of 8.
        rings: of the solver's mesh, >= 3.
        kept_rings: rings whose nodes are the points of the benchmark, >= 2; `kept_rings` - 1 divides `rings` - 1.
        grid_size: points of the grid along each axis, >= 2.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    target_names: ClassVar[list[str]] = ["stress"]
    sampler = staticmethod(elasticity_samples)

    def __init__(
        self, rays: int = 108, rings: int = 33, kept_rings: int = 9, grid_size: int = 41, **options: Any
    ) -> None:
        super().__init__(**options)
        require(type(rays) is int and rays >= 12 and rays % 8 == 4, "rays", rays, "12, 20, 28, ...")
        require_integer("rings", rings, least=3)
        require_integer("kept_rings", kept_rings, least=2)
        divides = (rings - 1) % (kept_rings - 1) == 0
        require(divides, "kept_rings", kept_rings, f"a divisor of {rings - 1}, plus 1")
        require_integer("grid_size", grid_size, least=2)
        self.rays, self.rings, self.kept_rings, self.grid_size = rays, rings, kept_rings, grid_size

    def sampler_arguments(self) -> dict[str, Any]:
        """Return the arguments of the solver."""
        names = ("rays", "rings", "kept_rings", "grid_size")
        return {name: getattr(self, name) for name in names}


class Elasticity(_UnitCell):
    """The stress at 972 points of a unit cell with a void, from the points and 42 radii of the void (Geo-FNO).

    Generated with a hyperelastic solver for the published geometry, material and load; the published set's exact law of
    the voids is not known in all of its constants. The stress is that of von Mises; that the published numbers are the
    same is likely, but not stated. A sample takes about a third of a second on one core. The points are in random
    order. From files, the protocol is the first 1000 of 2000 samples for training and the last 200 for test.

    Args:
        rays: of the solver's mesh, 4 more than a multiple of 8.
        rings: of the solver's mesh, >= 3.
        kept_rings: rings whose nodes are the points, >= 2; `kept_rings` - 1 divides `rings` - 1.
        grid_size: see `ElasticityGrid`, which shares what is generated.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    files: ClassVar[str] = ", ".join(POINT_FILES)

    def entries_of(self, drawn: dict[str, Array]) -> dict[str, Array]:
        """Return points, code and stress."""
        return {
            keys.POSITIONS: drawn["positions"],
            keys.CODE: drawn["code"],
            keys.TARGET: drawn["stress"],
        }

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of points and code."""
        return {keys.POSITIONS: (3, 2), keys.CODE: (2, CODE_POINTS)}

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original files, XY (972, 2, 2000), rr (42, 2000) and sigma (972, 2000)."""
        positions, code, stress = (np.moveaxis(read_array(root / file), -1, 0) for file in POINT_FILES)
        require(len(positions) == len(code) == len(stress), "root", str(root), "files with as many samples each")
        splits = published_split(len(positions), self.sizes, POINT_FILES[0])
        return {
            split: {keys.POSITIONS: positions[part], keys.CODE: code[part], keys.TARGET: stress[part][..., None]}
            for split, part in splits.items()
        }


class ElasticityGrid(_UnitCell):
    """The stress in a unit cell with a void on 41 x 41 points, from a mask that is 1 where there is material (Geo-FNO).

    The same cells as those of `Elasticity`; the stress is interpolated, and 0 in the void, where predictions are set to
    0 before they are judged. In the published files the interpolation leaves small negative stresses.

    Args:
        rays: see `Elasticity`.
        rings: see `Elasticity`.
        kept_rings: see `Elasticity`.
        grid_size: points along each axis, >= 2.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    files: ClassVar[str] = ", ".join(GRID_FILES)

    def entries_of(self, drawn: dict[str, Array]) -> dict[str, Array]:
        """Return the mask, as input too, and the stress."""
        return {keys.INPUT: drawn["grid_mask"], keys.MASK: drawn["grid_mask"], keys.TARGET: drawn["grid_stress"]}

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of the mask."""
        return {keys.INPUT: (4, 1)}

    def read_inputs(self, path: str) -> tuple[list[str], TensorSamples]:
        """Read a user's own masks, see `FieldDataModule`; they are 0 in voids, where predictions are set to 0, too."""
        names, samples = super().read_inputs(path)
        return names, TensorSamples({**samples.entries, keys.MASK: samples.entries[keys.INPUT]})

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original files, mask and sigma (41, 41, 2000)."""
        mask, stress = (np.moveaxis(read_array(root / file), -1, 0)[..., None] for file in GRID_FILES)
        require(mask.shape == stress.shape, "root", str(root), "files of the same shape")
        splits = published_split(len(mask), self.sizes, GRID_FILES[0])
        return {
            split: {keys.INPUT: mask[part], keys.MASK: mask[part], keys.TARGET: stress[part]}
            for split, part in splits.items()
        }
