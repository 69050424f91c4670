"""Data sets that papers on Koopman operators use, read from a folder into which the user has put them.

They are not redistributable, so nothing is downloaded. The files of the cylinder and the cavity are as published with
Colbrook, Mezic and Stepanenko, "Adversarial dynamical systems" (arXiv 2407.06312); of the other three only the shape of
the matrix is known, so that the names of files and arrays are free.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from datamodules.dynamics.inputs import READERS, as_table, read_arrays, require_finite_rows
from datamodules.dynamics.measures import Array
from datamodules.dynamics.trajectories import ReadDynamics
from datamodules.module import require_integer
from zoo.checks import require_choice

CAVITY = {13000: "KE1", 16000: "KE2", 19000: "KE3", 30000: "KE4"}


class PublishedDynamics(ReadDynamics):
    """Base of published data sets: one file in a folder, one trajectory.

    Args:
        root: folder with the file.
        file_name: name of the file; None for that of the authors, or for the only file there is.
        variable: name of the array; None for that of the authors, or for the only one.
        **options: see `ReadDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """

    licence = "not stated by the authors; not to be redistributed"
    published_file: ClassVar[str | None] = None
    published_variable: ClassVar[str | None] = None

    def __init__(self, root: str, file_name: str | None = None, variable: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.root = root
        self.file_name = file_name or self.published_file
        self.variable = variable or self.published_variable

    def files(self) -> list[Path]:
        """Return the file."""
        root = Path(self.root)
        if self.file_name is not None:
            return [root / self.file_name]
        if not root.is_dir():
            raise FileNotFoundError(f"root={self.root!r} is no folder")
        files = sorted(file for file in root.iterdir() if file.suffix.lower() in READERS)
        if len(files) != 1:
            listed = ", ".join(file.name for file in files) or "none"
            raise ValueError(
                f"{root} must hold one file ending in {', '.join(READERS)}, or file_name= say which: {listed}"
            )
        return files

    def read(self) -> dict[str, Array]:
        """Return the trajectory (T, d).

        Raises:
            ValueError: the file cannot be used.
            FileNotFoundError: there is no such file.
        """
        file = self.files()[0]
        arrays = list(read_arrays(file, self.variable).values())
        try:
            trajectory = self.arrange(arrays[0] if len(arrays) == 1 else np.stack(arrays))
            require_finite_rows("the data set", trajectory)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return {file.name: trajectory}

    def arrange(self, array: Array) -> Array:
        """Return the array of the file as trajectory (T, d) float64."""
        raise NotImplementedError(f"{type(self).__name__} must define arrange()")


class FieldSeries(PublishedDynamics):
    """Base of fields over time: a matrix (points, times), or (rows, columns, times); points without data are left out.

    Args:
        **options: see `PublishedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """

    def arrange(self, array: Array) -> Array:
        """Return the fields (times, points), without the points that are NaN at all times, such as land."""
        if array.ndim not in (2, 3):
            raise ValueError(f"the array has the shape {array.shape}; give (points, times) or (rows, columns, times)")
        table = as_table(array.reshape(-1, array.shape[-1])).T
        known = ~np.isnan(table).all(0)
        if not known.any():
            raise ValueError("no point has data")
        return np.ascontiguousarray(table[:, known])


class CylinderWake(FieldSeries):
    """Vorticity behind a cylinder on 800 x 200 points, from `Vorticity_data.mat`, `VORT` (points, times).

    The paper uses 120 snapshots, which are 5 periods.

    Args:
        **options: see `PublishedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """

    published_file = "Vorticity_data.mat"
    published_variable = "VORT"


class LidDrivenCavity(PublishedDynamics):
    """Kinetic energy in a lid-driven cavity, 20000 samples, from `cavity_KE.mat`, `KE1` to `KE4`.

    Periodic at the first Reynolds number, then quasi-periodic, mixed, and mostly with continuous spectrum.

    Args:
        reynolds: 13000, 16000, 19000 or 30000.
        **options: see `PublishedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """

    published_file = "cavity_KE.mat"

    def __init__(self, reynolds: Literal[13000, 16000, 19000, 30000] = 13000, **options: Any) -> None:
        super().__init__(**options)
        require_choice("reynolds", reynolds, CAVITY)
        self.reynolds = reynolds
        self.variable = self.variable or CAVITY[reynolds]

    def arrange(self, array: Array) -> Array:
        """Return the energies (times, 1)."""
        return as_table(array.ravel())


class SeaIce(FieldSeries):
    """Monthly concentration of Arctic sea ice since January 1979, a matrix (points, months) or (432, 432, months).

    Args:
        num_points: the first so many rows of the matrix are read, > 0, 97877 in the authors' file, whose further rows
            are delays; None for all.
        **options: see `PublishedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """

    def __init__(self, num_points: int | None = 97877, **options: Any) -> None:
        super().__init__(**options)
        if num_points is not None:
            require_integer("num_points", num_points, least=1)
        self.num_points = num_points

    def arrange(self, array: Array) -> Array:
        """Return the fields (months, points)."""
        return super().arrange(array[: self.num_points] if array.ndim == 2 else array)


class SeaLevel(FieldSeries):
    """Height of the sea surface on a grid of half a degree, a matrix (points, times) or (150, 720, times).

    Args:
        **options: see `PublishedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """


class ECG(PublishedDynamics):
    """An electrocardiogram, from `heart_data.mat`: the signal, or its Hankel matrix.

    Args:
        **options: see `PublishedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the file cannot be used.
        FileNotFoundError: in `setup`, there is no such file.
    """

    published_file = "heart_data.mat"

    def arrange(self, array: Array) -> Array:
        """Return the signal (times, 1).

        Raises:
            ValueError: the array is a matrix that is not constant along its antidiagonals.
        """
        table = as_table(array)
        if 1 in table.shape:
            return table.reshape(-1, 1)
        if not np.array_equal(table[1:, :-1], table[:-1, 1:], equal_nan=True):
            raise ValueError(f"the matrix {table.shape} is no Hankel matrix; give the signal")
        return np.append(table[0], table[1:, -1])[:, None]
