"""Grids of cells on the sphere: which cell a place lies in, where its centre is, and its exact area in km^2.

A `RingGrid` has its cells on rings of equal latitude, from north to south and eastwards on each, which makes
spherical-harmonic transforms fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.spectral import healpix
from zoo.spectral.sphere import EARTH_AREA_KM2, check_latlon

MOST_MISSING = 1e-6
"""Relative difference of the areas' sum from the Earth's beyond which they are refused."""


@runtime_checkable
class Grid(Protocol):
    """Cells that cover the sphere.

    Attributes:
        n: number of cells.
        areas: (n,) float64, in km^2, whose sum is the Earth's area.
        centers: (n, 2) float64, latitude and longitude in [-180, 180), in degrees.
    """

    n: int
    areas: Tensor

    @property
    def centers(self) -> Tensor:
        """The centres of all cells."""

    def locate(self, latlon: Tensor) -> Tensor:
        """Return the cells (...) int64 of places (..., 2) in degrees."""


@dataclass(frozen=True)
class Rings:
    """The rings of a grid, from north to south, R of them.

    Attributes:
        z: (R,) float64, sine of the latitude.
        counts: (R,) int64, number of cells.
        first: (R,) float64, longitude of the first cell's centre, in radians.
        weights: (R,) float64, quadrature weight of each cell on the unit sphere; all cells' together are 4 pi.
    """

    z: Tensor
    counts: Tensor
    first: Tensor
    weights: Tensor

    @property
    def centers(self) -> Tensor:
        """The centres of all cells, ring after ring: (N, 2), in degrees."""
        ring = torch.repeat_interleave(torch.arange(len(self.counts)), self.counts)
        start = torch.cumsum(self.counts, 0) - self.counts
        column = (torch.arange(int(self.counts.sum())) - start[ring]).to(torch.float64)
        lon = torch.rad2deg(self.first[ring] + 2 * math.pi * column / self.counts[ring])
        return torch.stack([torch.rad2deg(torch.asin(self.z[ring])), _centered(lon)], dim=-1)


class HEALPixGrid:
    """The HEALPix grid: all cells have the same area.

    Args:
        nside: resolution; 12 nside^2 cells.
        nested: number the cells along quadtrees instead of rings; `nside` is a power of 2 then.

    Raises:
        ValueError: `nside` is out of its range.
    """

    def __init__(self, nside: int, nested: bool = False) -> None:
        healpix.check_nside(nside, nested)
        self.nside, self.nested = nside, nested
        self.n = healpix.num_pixels(nside)
        self.areas = torch.full((self.n,), EARTH_AREA_KM2 / self.n, dtype=torch.float64)

    @property
    def centers(self) -> Tensor:
        """The centres of all cells."""
        pixel = torch.arange(self.n)
        if self.nested:
            pixel = healpix.nested_to_ring(self.nside, pixel)
        lat, lon = torch.rad2deg(healpix.center_ring(self.nside, pixel)).unbind(-1)
        return torch.stack([lat, _centered(lon)], dim=-1)

    def locate(self, latlon: Tensor) -> Tensor:
        """Return the cells of places."""
        lat, lon = torch.deg2rad(check_latlon(latlon)).unbind(-1)
        return (healpix.locate_nested if self.nested else healpix.locate_ring)(self.nside, lat, lon)

    @property
    def rings(self) -> Rings:
        """The rings.

        Raises:
            ValueError: the cells are numbered along quadtrees.
        """
        require(not self.nested, "nested", self.nested, "False: transforms go along rings")
        nside = self.nside
        index = torch.arange(1, 4 * nside)
        size = torch.minimum(index, 4 * nside - index).clamp(max=nside)
        start = torch.cumsum(4 * size, 0) - 4 * size
        lat, first = healpix.center_ring(nside, start).unbind(-1)
        z = torch.sin(lat)
        return Rings(z, 4 * size, first, torch.full_like(z, 4 * math.pi / self.n))


class _RowGrid:
    """Rows of equally many cells between given latitudes; the first cell starts at 180 degrees west."""

    def __init__(self, edges: Tensor, middles: Tensor, columns: int) -> None:
        """Take the sines of the rows' borders (R + 1,) from 1 down to -1 and of their middles (R,)."""
        self.rows, self.columns = len(middles), columns
        self.n = self.rows * columns
        self._edges, self._middles = edges, middles
        heights = -edges.diff()
        self.areas = (heights / 2 * (EARTH_AREA_KM2 / columns)).repeat_interleave(columns)
        first = torch.full_like(middles, -math.pi + math.pi / columns)
        counts = torch.full((self.rows,), columns)
        self.rings = Rings(middles, counts, first, heights * (2 * math.pi / columns))

    @property
    def centers(self) -> Tensor:
        """The centres of all cells."""
        return self.rings.centers

    def locate(self, latlon: Tensor) -> Tensor:
        """Return the cells of places; a border belongs to the row in the south and the column in the east of it."""
        lat, lon = check_latlon(latlon).unbind(-1)
        row = self._row(lat).clamp(0, self.rows - 1)
        column = (torch.remainder(lon + 180, 360) * (self.columns / 360)).floor().long().clamp(max=self.columns - 1)
        return row * self.columns + column

    def _row(self, lat: Tensor) -> Tensor:
        # Ascending, as searchsorted wants it.
        return torch.searchsorted(-self._edges, -torch.sin(torch.deg2rad(lat)), right=True) - 1


class LatLonGrid(_RowGrid):
    """Cells of equal size in latitude and longitude, north up and west first: a raster of the whole Earth.

    Their areas are exact, R^2 dlon (sin lat_2 - sin lat_1), and shrink towards the poles.

    Args:
        rows: number of cells from pole to pole.
        columns: number of cells around the Earth; by default twice as many.

    Raises:
        ValueError: a number is not positive.
    """

    def __init__(self, rows: int, columns: int | None = None) -> None:
        columns = 2 * rows if columns is None else columns
        require_positive(rows=rows, columns=columns)
        lat = torch.deg2rad(90 - torch.arange(2 * rows + 1, dtype=torch.float64) * (90 / rows))
        super().__init__(torch.sin(lat[::2]), torch.sin(lat[1::2]), columns)

    def _row(self, lat: Tensor) -> Tensor:
        return ((90 - lat) * (self.rows / 180)).floor().long()


class GaussLegendreGrid(_RowGrid):
    """Rows at the nodes of Gauss-Legendre quadrature: transforms up to a degree are exact.

    Args:
        lmax: the degree, >= 0; lmax + 1 rows of 2 lmax + 1 cells.

    Raises:
        ValueError: `lmax` is negative.
    """

    def __init__(self, lmax: int) -> None:
        require(type(lmax) is int and lmax >= 0, "lmax", lmax, "an integer >= 0")
        nodes, weights = np.polynomial.legendre.leggauss(lmax + 1)
        edges = torch.from_numpy(np.concatenate([[1.0], 1 - np.cumsum(weights)]))
        edges[-1] = -1.0
        super().__init__(edges, torch.from_numpy(nodes[::-1].copy()), 2 * lmax + 1)


class AreaGrid:
    """Cells of which only the areas are known: strata, regions, anything that is numbered.

    Args:
        areas: (n,), in km^2, > 0, whose sum is the Earth's area but for rounding, which is put right here.

    Raises:
        ValueError: an area is not positive, or they do not sum to the Earth's.
    """

    def __init__(self, areas: Tensor) -> None:
        areas = areas.to(torch.float64)
        self.n = len(areas)
        check_areas(areas)
        self.areas = areas * (EARTH_AREA_KM2 / areas.sum())

    @property
    def centers(self) -> Tensor:
        """Not known.

        Raises:
            ValueError: always.
        """
        raise ValueError("the cells of an AreaGrid have no centres; give a HEALPixGrid or a LatLonGrid")

    def locate(self, latlon: Tensor) -> Tensor:
        """Not known.

        Raises:
            ValueError: always.
        """
        raise ValueError("an AreaGrid does not know where its cells are; give numbers of cells instead of places")


def check_areas(areas: Tensor, name: str = "areas") -> None:
    """Refuse cells that do not cover the sphere once.

    Args:
        areas: (n,) float64, in km^2.
        name: of the argument, for the message.

    Raises:
        ValueError: an area is not positive, or they do not sum to the Earth's.
    """
    require(bool((areas > 0).all()), name, areas, "areas > 0 in km^2")
    total = float(areas.sum())
    close = abs(total / EARTH_AREA_KM2 - 1) <= MOST_MISSING
    require(close, f"{name}.sum()", total, f"areas in km^2 that sum to the Earth's, {EARTH_AREA_KM2:.3f}")


def merge_cells(labels: list[Tensor], areas: Tensor) -> tuple[Tensor, AreaGrid]:
    """Merge the cells that have all labels in common: maps that depend on labels alone have one value on each.

    Args:
        labels: tensors (n,) of integers, for instance the class of a cell in each of several maps.
        areas: (n,), in km^2.

    Returns:
        The merged cell of each cell, (n,) int64, and the grid of merged cells.
    """
    unique, index = torch.unique(torch.stack(labels), dim=1, return_inverse=True)
    merged = torch.zeros(unique.size(1), dtype=torch.float64).index_add_(0, index, areas.to(torch.float64))
    return index, AreaGrid(merged)


def _centered(lon: Tensor) -> Tensor:
    return torch.remainder(lon + 180, 360) - 180
