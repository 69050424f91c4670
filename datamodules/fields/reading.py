"""Arrays of fields from files that are not trusted: nothing in them is executed, every fault has its own message.

Formats, by suffix: `.npy`, `.npz`, `.mat` (MATLAB 5 to 7; of version 7.3 through h5py, with the axes put in MATLAB's
order), `.h5` and `.hdf5` through h5py (`pip install h5py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.dynamics.inputs import MAX_BYTES, NUMBERS, UNREADABLE
from datamodules.dynamics.matlab import is_hdf5, list_variables, read_variable
from datamodules.fields.arrays import Array

SUFFIXES = (".npy", ".npz", ".mat", ".h5", ".hdf5")


def read_array(path: str | Path, name: str | None = None, keep: Sequence[slice] = ()) -> Array:
    """Read one array of real numbers.

    Args:
        path: the file.
        name: of the array; None for the only one that there is. Files `.npy` have no names.
        keep: slices of the leading axes, with a step if any, that are kept.

    Returns:
        The array, float32.

    Raises:
        ValueError: the file cannot be used; the message names the file, the fault and the arrays that it holds.
        FileNotFoundError: there is no such file.
        ImportError: the file is HDF5 and h5py is missing.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} has the suffix {path.suffix!r}; allowed: {', '.join(SUFFIXES)}")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        return _read(path, name, tuple(keep))
    except UNREADABLE as error:
        raise ValueError(f"{path}: {error}") from error


def list_arrays(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of real numbers in a file, by name; of a `.npy` file, under "".

    Raises:
        ValueError: the file cannot be used.
        FileNotFoundError: there is no such file.
        ImportError: the file is HDF5 and h5py is missing.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} has the suffix {path.suffix!r}; allowed: {', '.join(SUFFIXES)}")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        return _shapes(path)
    except UNREADABLE as error:
        raise ValueError(f"{path}: {error}") from error


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return {"": np.load(path, mmap_mode="r", allow_pickle=False).shape}
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name].shape for name in archive.files if archive[name].dtype.kind in NUMBERS}
    if suffix == ".mat" and not is_hdf5(path):
        return {name: variable.shape for name, variable in list_variables(path)[0].items()}
    with _open_hdf5(path) as file:
        return {name: shape[::-1] if suffix == ".mat" else shape for name, shape in _hdf5_shapes(file).items()}


def _read(path: Path, name: str | None, keep: tuple[slice, ...]) -> Array:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _checked(np.load(path, mmap_mode="r", allow_pickle=False), keep)
    shapes = _shapes(path)
    name = _chosen(shapes, name)
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return _checked(archive[name], keep)
    if suffix == ".mat" and not is_hdf5(path):
        variables, order = list_variables(path)
        return _checked(read_variable(variables[name], order), keep)
    with _open_hdf5(path) as file:
        dataset = file[name]
        if suffix != ".mat":
            return _checked(dataset, keep)
        # MATLAB's first axis is the last of the file: slices are taken there, so that only these are read.
        axes = len(shapes[name])
        full = (*keep, *[slice(None)] * (axes - len(keep)))[::-1]
        return np.ascontiguousarray(_checked(dataset, full).T)


def _checked(array: Any, keep: tuple[slice, ...]) -> Array:
    if array.dtype.kind not in NUMBERS + "b":
        raise ValueError(f"it holds entries of type {array.dtype}; give real numbers")
    if len(keep) > array.ndim:
        raise ValueError(f"an array has the shape {array.shape}; give {len(keep)} axes or more")
    if 4 * np.prod(array.shape, dtype=object) > MAX_BYTES:
        raise ValueError(f"an array has the shape {array.shape}; allowed are {MAX_BYTES} bytes")
    numbers = np.array(array[keep], dtype=np.float32, order="C")  # a copy, which is writable
    if not np.isfinite(numbers).all():
        raise ValueError("it holds NaN or infinite numbers; give finite ones")
    return numbers


def _chosen(shapes: dict[str, tuple[int, ...]], name: str | None) -> str:
    listed = ", ".join(f"{known} {shape}" for known, shape in list(shapes.items())[:20]) or "nothing"
    if name is not None:
        if name not in shapes:
            raise ValueError(f"it has no array {name!r} of real numbers; it holds {listed}")
        return name
    if len(shapes) != 1:
        raise ValueError(f"it must hold one array of real numbers; it holds {listed}")
    return next(iter(shapes))


def _open_hdf5(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} is an HDF5 file; reading it needs h5py: pip install h5py") from error
    return h5py.File(path, "r")


def _hdf5_shapes(file: Any) -> dict[str, tuple[int, ...]]:
    import h5py

    shapes = {}

    def note(name: str, entry: Any) -> None:
        # Data that lie in other files are passed over.
        inside = isinstance(entry, h5py.Dataset) and not entry.external and not entry.is_virtual
        if inside and entry.dtype.kind in NUMBERS:
            shapes[name] = entry.shape

    file.visititems(note)
    return shapes
