"""A user's own score maps, from an .npz file that is not trusted: nothing in it is executed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.spectral.sphere import check_latlon

UNREADABLE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, MemoryError, NotImplementedError)


def read_score_maps(path: str | Path, widths: Mapping[str, int], cells: int) -> tuple[list[str], dict[str, Tensor]]:
    """Read what predictors say of a user's images.

    Args:
        path: an .npz file with an array for each predictor; `latlon` (M, 2), latitudes and longitudes in degrees, if
            the truth is known; and `id` (M,), names of the images, if they have any.
        widths: of each predictor, the number of columns of its array, such as the classes of a head. Every one may be
            given as log-maps instead, with a column for each cell.
        cells: number of cells of the grid, in the order of HEALPix's rings.

    Returns:
        Names of the images, and float32 entries; `latlon` is float64.

    Raises:
        ValueError: the file is none, an array is missing, unknown, of another shape, NaN or infinite.
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
    latlon = arrays.pop("latlon", None)
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
        # The logarithm of nothing is allowed in maps, and nothing else that is not finite.
        usable = np.isfinite(array) | (np.isneginf(array) if array.shape[1] == cells else False)
        if not usable.all():
            row = int(np.argmin(usable.all(1)))
            raise ValueError(f"{path}: row {row} of {name} holds NaN or infinity; give finite numbers, or -inf in maps")
        entries[name] = torch.from_numpy(array.astype(np.float32))
    if latlon is not None:
        if latlon.dtype.kind not in "fiu" or latlon.shape != (number, 2):
            raise ValueError(f"{path}: latlon has shape {latlon.shape}; give ({number}, 2), in degrees")
        entries["latlon"] = check_latlon(torch.from_numpy(latlon.astype(np.float64)), f"latlon of {path}")
    if names is None:
        return [str(index) for index in range(number)], entries
    if names.shape != (number,):
        raise ValueError(f"{path}: id has shape {names.shape}; give ({number},), a name for each image")
    return [str(name) for name in names], entries
