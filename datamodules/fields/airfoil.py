"""Airfoil: the Mach number around deformed airfoils, from the mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datamodules import keys
from datamodules.fields.arrays import Array
from datamodules.fields.module import FieldDataModule
from datamodules.fields.reading import read_array
from zoo.checks import require

FILES = ("NACA_Cylinder_X.npy", "NACA_Cylinder_Y.npy", "NACA_Cylinder_Q.npy")
MACH = 4  # channel of the target


class Airfoil(FieldDataModule):
    """Steady transonic Euler flow at Mach 0.8 on C-meshes of 221 x 51 nodes (Li et al., Geo-FNO); from files only.

    The protocol is 1000 samples for training and the 200 after them for test; those after these are for validation.

    Args:
        root: folder with the original files, `airfoil/naca` of the authors' drive.
        **options: see `FieldDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, a file cannot be used.
        FileNotFoundError: in `setup`, a file is missing.
    """

    target_names: ClassVar[list[str]] = ["mach"]
    files: ClassVar[str] = ", ".join(FILES)

    def __init__(self, root: str | None = None, **options: Any) -> None:
        super().__init__(root=root, **options)

    def input_shapes(self) -> dict[str, tuple[int, int]]:
        """Return the axes and channels of the mesh."""
        return {keys.INPUT: (4, 2)}

    def read(self, root: Path) -> dict[str, dict[str, Array]]:
        """Return the splits from the original files, X and Y (2490, 221, 51), Q (2490, 5, 221, 51)."""
        train, val, test = (self.sizes[split] for split in ("train", "val", "test"))
        total = train + test + val
        kept = (slice(0, total),)
        mesh = np.stack([read_array(root / file, keep=kept) for file in FILES[:2]], axis=-1)
        mach = read_array(root / FILES[2], keep=(*kept, slice(MACH, MACH + 1)))[:, 0, ..., None]
        require(len(mesh) == total, "num_train", train, f"at most {len(mesh) - val - test}, as {FILES[0]} allows")
        parts = {"train": slice(0, train), "test": slice(train, train + test), "val": slice(train + test, total)}
        return {split: {keys.INPUT: mesh[part], keys.TARGET: mach[part]} for split, part in parts.items()}
