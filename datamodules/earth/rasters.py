"""A user's own GeoTIFF as an attribute of the cells of a HEALPix grid: `pip install 'eigenzoo[geotiff]'`.

Each pixel gives its area to the cell that its centre lies in; areas shrink towards the poles and so do pixels. Cells in
which no centre lies take the class of the pixel that their own centre lies in. What of a cell lies beyond the borders
of the raster is missing, to a sixty-fourth of the cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.checks import require
from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.healpix import center_ring
from zoo.spectral.sphere import EARTH_RADIUS_KM

Array = NDArray[Any]

ROWS = 64
"""Rows of the raster that are read together."""

FINER = 8
"""How many times finer the grid is whose centres tell what of a cell lies beyond a raster."""

POINTS = 2**20
"""Of its centres that are looked at together."""

ROUNDED = 1e-6
"""Degrees by which a raster of the whole Earth may fall short of it."""

DEGREES = 4326
"""EPSG number of longitudes and latitudes in degrees."""


def attribute_from_geotiff(
    path: str | Path,
    nside: int,
    *,
    classes: Sequence[int] | None = None,
    edges: Sequence[float] | None = None,
    per_area: bool = False,
    missing: int | None = None,
) -> Tensor:
    """Return the share of each class in each cell.

    Args:
        path: a raster in longitudes and latitudes (EPSG:4326), north up; its first band is read, in strips.
        nside: resolution of the grid.
        classes: the values that are classes, in the order of the classes: land covers.
        edges: ascending upper bounds of classes, inclusive, the last of which has none: buckets of a number. Give
            either `classes` or `edges`.
        per_area: values are counts by pixel, such as people, and are divided by its area in km^2 first.
        missing: class of what the raster does not know: pixels without data, values that are no class, and what of the
            cells lies beyond its borders. None refuses them.

    Returns:
        (K, N) float32, columns of sum 1.

    Raises:
        ValueError: an argument is out of its range, the raster has another projection, or something is missing.
        ImportError: rasterio is not installed.
        OSError: the file is no raster.
    """
    try:
        import rasterio
        from rasterio.windows import Window
    except ImportError as error:
        raise ImportError("GeoTIFFs are read by rasterio; pip install 'eigenzoo[geotiff]'") from error
    require((classes is None) != (edges is None), "classes", classes, "classes or edges, not both")
    size = len(classes) if classes is not None else len(edges or ()) + 1
    require(missing is None or 0 <= missing < size, "missing", missing, f"a class from 0 to {size - 1}, or None")
    if edges is not None:
        require(list(edges) == sorted(set(edges)), "edges", edges, "ascending numbers")

    grid = HEALPixGrid(nside)
    weight = torch.zeros(size * grid.n, dtype=torch.float64)
    with rasterio.open(path) as raster:
        transform = raster.transform
        upright = transform.b == transform.d == 0 and transform.a > 0 > transform.e
        geographic = raster.crs is not None and raster.crs.to_epsg() == DEGREES
        require(geographic and upright, "path", str(path), "a raster in EPSG:4326, north up")
        width, height = raster.width, raster.height
        lat_edges = np.clip(transform.f + transform.e * np.arange(height + 1), -90, 90)
        step = math.radians(transform.a)
        areas = EARTH_RADIUS_KM**2 * step * -np.diff(np.sin(np.radians(lat_edges)))
        lat = (lat_edges[:-1] + lat_edges[1:]) / 2
        lon = transform.c + transform.a * (np.arange(width) + 0.5)

        def classified(row: int, rows: int, column: int = 0, columns: int = width) -> Tensor:
            """Return the classes of a window, (rows, columns) int64, -1 where unknown."""
            values = raster.read(1, window=Window(column, row, columns, rows), masked=True)
            number = np.asarray(values.filled(0), dtype=np.float64)
            known = ~np.ma.getmaskarray(values) & np.isfinite(number)
            if per_area:
                number = number / areas[row : row + rows, None]
            return torch.from_numpy(np.where(known, _class_of(number, classes, edges), -1))

        for first in range(0, height, ROWS):
            rows = min(ROWS, height - first)
            index = classified(first, rows)
            if missing is not None:
                index = torch.where(index < 0, missing, index)
            require(bool((index >= 0).all()), "missing", missing, f"a class, as {path} has pixels without one")
            mesh = np.stack(np.meshgrid(lat[first : first + rows], lon, indexing="ij"), axis=-1)
            cell = grid.locate(torch.from_numpy(mesh))
            area = torch.from_numpy(areas[first : first + rows, None]).expand(-1, width)
            weight.index_add_(0, (index * grid.n + cell).flatten(), area.flatten())

        shares = weight.reshape(size, grid.n)
        empty = torch.nonzero(shares.sum(0) == 0)[:, 0]
        for cell, place in zip(empty.tolist(), grid.centers[empty].tolist(), strict=True):
            row = math.floor((place[0] - transform.f) / transform.e)
            column = math.floor(((place[1] - transform.c) % 360) / transform.a)
            inside = 0 <= row < height and column < width
            found = int(classified(row, 1, column, 1)) if inside else -1
            found = found if found >= 0 or missing is None else missing
            require(found >= 0, "missing", missing, f"a class, as {path} does not reach latitude {place[0]:.2f}")
            shares[found, cell] = 1.0
        west, north = transform.c, transform.f
        beyond = _share_beyond(nside, (north + height * transform.e, north), (west, west + width * transform.a))
    shares *= (1 - beyond) / shares.sum(0)
    if bool((beyond > 0).any()):
        require(missing is not None, "missing", missing, f"a class, as {path} does not reach all of every cell")
        shares[missing] += beyond
    return shares.float()


def _share_beyond(nside: int, lat: tuple[float, float], lon: tuple[float, float]) -> Tensor:
    """Return the share of each cell (N,) float64 beyond latitudes and longitudes in degrees, west to east."""
    fine = HEALPixGrid(FINER * nside)
    outside = torch.zeros(12 * nside**2, dtype=torch.float64)
    # Borders of the whole Earth may be rounded.
    around = lon[1] - lon[0] >= 360 - ROUNDED
    if around and lat[0] <= -90 + ROUNDED and lat[1] >= 90 - ROUNDED:
        return outside

    def within(middle: float, half: float, angle: Tensor) -> Tensor:
        """Return 1 inside and 0 outside; 1/2 on borders, as centres lie on the equator and on meridians."""
        room = half - (torch.remainder(angle - middle + 180, 360) - 180).abs()
        return ((room > ROUNDED).to(torch.float64) + (room > -ROUNDED).to(torch.float64)) / 2

    coarse = HEALPixGrid(nside)
    for part in torch.arange(fine.n).split(POINTS):
        place = torch.rad2deg(center_ring(fine.nside, part))
        inside = within((lat[0] + lat[1]) / 2, (lat[1] - lat[0]) / 2, place[:, 0])
        if not around:
            inside *= within((lon[0] + lon[1]) / 2, (lon[1] - lon[0]) / 2, place[:, 1])
        outside.index_add_(0, coarse.locate(place), 1 - inside)
    return outside / FINER**2


def _class_of(number: Array, classes: Sequence[int] | None, edges: Sequence[float] | None) -> Array:
    """Return the class of each number, int64, -1 where it is none of `classes`."""
    if edges is not None:
        return np.searchsorted(np.asarray(edges, dtype=np.float64), number, side="left")
    values = np.asarray(classes, dtype=np.float64)
    order = np.argsort(values)
    position = np.searchsorted(values[order], number).clip(max=len(values) - 1)
    index = order[position]
    return np.where(values[index] == number, index, -1)
