"""Plasticity: the deformation of a block under a die, over time, from the die's profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.module import FieldDataModule, published_split
from datamodules.fields.reading import read_array
from datamodules.fields.statistics import Normalization
from zoo.checks import require

FILE = "plas_N987_T20.mat"


class Plasticity(FieldDataModule):
    """Plastic forging on 101 x 31 nodes at 20 times (Li et al., Geo-FNO); from the file only.

    The profile of the die, on 101 points, is the same at all heights and times of the input (101, 31, 20, 1); the
    target (101, 31, 20, 4) are the position and the displacement of each node, in mm. The protocol is the first 900 of
    987 samples for training and the last 80 for test; 7 are left for validation.

    Args:
        root: folder with the original file.
        num_train: see `FieldDataModule`.
        num_val: see `FieldDataModule`.
        num_test: see `FieldDataModule`.
        normalization: see `FieldDataModule`.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, the file is missing.
    """

    target_names: ClassVar[list[str]] = ["x", "y", "displacement_x", "displacement_y"]
    files: ClassVar[str] = FILE

    def __init__(
        self,
        root: str | None = None,
        num_train: int = 900,
        num_val: int = 7,
        num_test: int = 80,
        normalization: Normalization = "point",
        **options: Any,
    ) -> None:
        super().__init__(num_train, num_val, num_test, normalization, root, **options)

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of the profile at all heights and times."""
        return {keys.INPUT: (5, 1)}

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original file, `input` (987, 101) and `output` (987, 101, 31, 20, 4)."""
        profile, output = (read_array(root / FILE, name) for name in ("input", "output"))
        fits = profile.ndim == 2 and output.ndim == 5 and output.shape[:2] == profile.shape
        require(fits, FILE, (profile.shape, output.shape), "(n, p) and (n, p, q, t, 4)")
        splits = published_split(len(profile), self.sizes, FILE)
        return {
            split: {
                keys.INPUT: np.broadcast_to(profile[part, :, None, None, None], (*output[part].shape[:4], 1)),
                keys.TARGET: output[part],
            }
            for split, part in splits.items()
        }
