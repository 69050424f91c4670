"""A user's own score maps, from an .npz file that is not trusted: nothing in it is executed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules import keys
from zoo.spectral.sphere import check_latlon

UNREADABLE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, MemoryError, NotImplementedError)


def read_score_maps(
    path: str | Path, widths: Mapping[str, int], cells: int, classes: Collection[str] = ()
) -> tuple[list[str], dict[str, Tensor]]:
    """Read what predictors say of a user's images.

    Args:
        path: an .npz file with an array for each predictor; `latlon` (M, 2), latitudes and longitudes in degrees, if
            the truth is known; and `id` (M,), names of the images, if they have any.
        widths: of each predictor, the number of columns of its array, such as the classes of a head. Every one may be
            given as log-maps instead, with a column for each cell.
        cells: number of cells of the grid, in the order of HEALPix's rings.
        classes: the predictors whose columns are masses of classes: not negative, with a positive sum.

    Returns:
        Names of the images, and float32 entries; `latlon` is float64.

    Raises:
        ValueError: the file is none, an array is missing, unknown, of another shape, NaN or infinite as
            float32, a mass of a class is negative, or a row says nothing: masses that are all 0, a map of -inf alone.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise ValueError(f"{path} is not an .npz file of plain arrays: {error}") from error
    names = arrays.pop("id", None)
    latlon = arrays.pop(keys.LATLON, None)
    if missing := [name for name in widths if name not in arrays]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; give an array for each of {', '.join(widths)}")
    if unknown := sorted(set(arrays) - set(widths)):
        raise ValueError(f"{path} has unknown arrays {', '.join(unknown)}; allowed: {', '.join(widths)}, latlon, id")
    number = len(arrays[next(iter(widths))]) if arrays[next(iter(widths))].ndim else 0
    entries = {}
    for name, array in arrays.items():
        fine = array.dtype.kind in "fiu" and array.shape in ((number, widths[name]), (number, cells))
        if not fine or not number:
            raise ValueError(
                f"{path}: {name} has shape {array.shape} and type {array.dtype}; give numbers (M, {widths[name]}), or "
                f"log-maps (M, {cells}), with the same M > 0 for all arrays"
            )
        # What is too large for float32 becomes infinite here, and is refused as such.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        # The logarithm of nothing is allowed in maps, and nothing else that is not finite.
        usable = np.isfinite(array) | (np.isneginf(array) if array.shape[1] == cells else False)
        _require_rows(usable.all(1), path, name, "NaN or infinity", "finite float32 numbers, or -inf in maps")
        if array.shape[1] == cells:
            _require_rows(np.isfinite(array).any(1), path, name, "-inf alone", "maps with a finite number")
        elif name in classes:
            fine_rows = (array >= 0).all(1) & (array > 0).any(1)
            _require_rows(fine_rows, path, name, "a negative mass or none", "masses >= 0 of classes, not all 0")
        entries[name] = torch.from_numpy(array)
    if latlon is not None:
        if latlon.dtype.kind not in "fiu" or latlon.shape != (number, 2):
            raise ValueError(f"{path}: latlon has shape {latlon.shape}; give ({number}, 2), in degrees")
        entries[keys.LATLON] = check_latlon(torch.from_numpy(latlon.astype(np.float64)), f"latlon of {path}")
    if names is None:
        return [str(index) for index in range(number)], entries
    if names.shape != (number,):
        raise ValueError(f"{path}: id has shape {names.shape}; give ({number},), a name for each image")
    return [str(name) for name in names], entries


def _require_rows(fine: np.bool_ | NDArray[np.bool_], path: Path, name: str, found: str, allowed: str) -> None:
    if not np.all(fine):
        raise ValueError(f"{path}: row {int(np.argmin(fine))} of {name} holds {found}; give {allowed}")
