"""Anyone's trajectories, from files that are not trusted: nothing in them is executed, every fault has its own message.

Rows are times, columns are coordinates. Formats, by suffix:

    .npy          an array (T,), (T, d), or (n, T, d) for n trajectories of the same length
    .csv          one row per time, with or without a line of names; separated by "," or ";" or tabs; a column called
                  `trajectory` with integers makes several trajectories
    .mat          of MATLAB 5 to 7; of version 7.3 through h5py
    .h5 .hdf5     through h5py: `pip install h5py`

The last three hold named arrays with the shapes of `.npy`; where there are several, one must be chosen. In a folder,
every file with one of these suffixes is a trajectory or several.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.dynamics.matlab import is_hdf5, list_variables, read_variable
from datamodules.dynamics.measures import Array

MAX_BYTES = 8 << 30  # of one file, unpacked
NUMBERS = "fiub"  # kinds of numpy's data types that are real numbers
SHOWN = 5  # rows or names that a message lists

# What numpy, zlib and h5py raise on files that are damaged or were made to do harm.
UNREADABLE = (
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    RuntimeError,
    OSError,
    zlib.error,
    MemoryError,
)


def read_trajectories(path: str | Path, variable: str | None = None, transpose: bool = False) -> dict[str, Array]:
    """Read the trajectories of a file in one of the formats above, or of all such files in a folder.

    Args:
        path: the file or the folder.
        variable: name of the array in a `.mat` or HDF5 file; None takes the only one that there is.
        transpose: whether columns are times and rows are coordinates.

    Returns:
        Trajectories (T, d) float64 by name: the number in the file; of a folder, the file's name and that number.

    Raises:
        ValueError: a file cannot be used; the message names file, row or array, the fault, and what is allowed.
        FileNotFoundError: there is no such file or folder.
        ImportError: the file is HDF5 and h5py is missing.
    """
    path = Path(path)
    if not path.is_dir():
        return _read_file(path, variable, transpose)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in READERS)
    if not files:
        raise ValueError(f"the folder {path} holds no trajectory; allowed: files ending in {', '.join(READERS)}")
    trajectories: dict[str, Array] = {}
    for file in files:
        read = _read_file(file, variable, transpose)
        trajectories |= {file.name if len(read) == 1 else f"{file.name}:{name}": entry for name, entry in read.items()}
    widths = {name: entry.shape[1] for name, entry in trajectories.items()}
    first = next(iter(widths))
    for name, width in widths.items():
        if width != widths[first]:
            raise ValueError(
                f"{path}: {name} has {width} columns but {first} has {widths[first]}; give the same number"
            )
    return trajectories


def read_arrays(path: Path, variable: str | None = None) -> dict[str, Array]:
    """Read the arrays of a file as they are, unchecked but for their number; see `read_trajectories`.

    Returns:
        One array, or those that make up a 3-d array or that a column of a `.csv` file tells apart.

    Raises:
        ValueError: the file cannot be read.
        FileNotFoundError: there is no such file.
        ImportError: the file is HDF5 and h5py is missing.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path} has the suffix {path.suffix!r}; allowed: {', '.join(READERS)}")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        check_bytes(path.stat().st_size)
        return read(path, variable)
    except UNREADABLE as error:
        raise ValueError(f"{path}: {error}") from error


def _read_file(path: Path, variable: str | None, transpose: bool) -> dict[str, Array]:
    trajectories = {}
    for name, entry in read_arrays(path, variable).items():
        try:
            table = as_table(entry)
            trajectories[name] = np.ascontiguousarray(table.T if transpose else table)
            require_finite_rows(f"trajectory {name!r}", trajectories[name])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return trajectories


def check_bytes(size: int) -> None:
    """Refuse what does not fit in memory.

    Raises:
        ValueError: `size` is more than `MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise ValueError(f"it has {size} bytes; allowed: at most {MAX_BYTES}, give the trajectories in several files")


def as_table(entry: Array) -> Array:
    """Return real numbers (T,) or (T, d) as float64 (T, d).

    Raises:
        ValueError: they are something else, or there are none.
    """
    if entry.dtype.kind == "c":
        raise ValueError("it holds complex numbers; give real and imaginary parts as columns of their own")
    if entry.dtype.kind not in NUMBERS:
        raise ValueError(f"it holds entries of type {entry.dtype}; give real numbers")
    if entry.ndim not in (1, 2):
        raise ValueError(f"an array has the shape {entry.shape}; give (T,), (T, d) or (n, T, d)")
    table = entry.reshape(len(entry), -1) if entry.size else entry
    if not table.size:
        raise ValueError(f"an array has the shape {entry.shape}; give at least one row and one column")
    return table.astype(np.float64)


def require_finite_rows(name: str, table: Array) -> None:
    """Refuse missing values.

    Raises:
        ValueError: rows of `table` (T, d) hold NaN or infinite numbers; the message lists the first of them.
    """
    rows = np.flatnonzero(~np.isfinite(table).all(1))
    if len(rows):
        shown = ", ".join(map(str, rows[:SHOWN])) + (", ..." if len(rows) > SHOWN else "")
        raise ValueError(
            f"{name} has NaN or infinite numbers in {len(rows)} of {len(table)} rows, counted from 0: {shown}; "
            "remove them, and split the trajectory there"
        )


def _numbered(array: Array) -> dict[str, Array]:
    return {str(row): entry for row, entry in enumerate(array)} if array.ndim == 3 else {"0": array}


def _read_npy(path: Path, variable: str | None) -> dict[str, Array]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("it is an archive of arrays; give a single array")
    return _numbered(array)


def _read_csv(path: Path, variable: str | None) -> dict[str, Array]:
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline().strip()
    delimiter = next((mark for mark in ("\t", ";") if mark in first), ",")
    fields = [field.strip().strip('"') for field in first.split(delimiter)]
    header = not all(_is_number(field) for field in fields)
    if header and _is_number("".join(fields[:1])) and len(fields) > 1:
        raise ValueError(f"its first line {first[:80]!r} is neither numbers nor names")
    with path.open(encoding="utf-8-sig") as file:
        lines = file.readlines()[1 if header else 0 :]
    if not any(line.strip() for line in lines):
        raise ValueError("it holds no row of numbers; give at least one")
    table = np.loadtxt(lines, delimiter=delimiter, comments=None, ndmin=2)
    if not header or "trajectory" not in fields:
        return {"0": table}
    column = fields.index("trajectory")
    numbers, values = table[:, column], np.delete(table, column, axis=1)
    if not np.array_equal(numbers, np.round(numbers)):
        raise ValueError("its column 'trajectory' holds other things than integers")
    return {str(int(number)): values[numbers == number] for number in dict.fromkeys(numbers.tolist())}


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_mat(path: Path, variable: str | None) -> dict[str, Array]:
    if is_hdf5(path):  # in which MATLAB's arrays are transposed
        return _read_hdf5(path, variable, transposed=True)
    variables, order = list_variables(path)
    shapes = {name: entry.shape for name, entry in variables.items()}
    name = choose(shapes, variable)
    check_bytes(8 * int(np.prod(shapes[name], dtype=object)))
    return _numbered(read_variable(variables[name], order))


def _read_hdf5(path: Path, variable: str | None, transposed: bool = False) -> dict[str, Array]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} is an HDF5 file; reading it needs h5py: pip install h5py") from error
    with h5py.File(path, "r") as file:
        shapes = {}

        def note(name: str, entry: Any) -> None:
            inside = isinstance(entry, h5py.Dataset) and not entry.external and not entry.is_virtual
            if inside and entry.dtype.kind in NUMBERS:
                shapes[name] = entry.shape

        file.visititems(note)  # follows no links; data that lie in other files are passed over
        name = choose(shapes, variable)
        check_bytes(8 * int(np.prod(shapes[name], dtype=object)))
        array = file[name][()]
    return _numbered(array.T if transposed else array)


def choose(shapes: dict[str, tuple[int, ...]], variable: str | None) -> str:
    """Return the name of the array to read: `variable`, else the only one that is more than a single number.

    Raises:
        ValueError: there is no such array, or there are several; the message lists them.
    """
    listed = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[: 4 * SHOWN]) or "nothing"
    if variable is not None:
        if variable not in shapes:
            raise ValueError(f"variable={variable!r} is not allowed; of real numbers it holds {listed}")
        return variable
    candidates = [name for name, shape in shapes.items() if np.prod(shape) > 1]
    if len(candidates) != 1:
        raise ValueError(f"it must hold one array of real numbers, or variable= say which; it holds {listed}")
    return candidates[0]


READERS: dict[str, Callable[[Path, str | None], dict[str, Array]]] = {
    ".npy": _read_npy,
    ".csv": _read_csv,
    ".mat": _read_mat,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}
