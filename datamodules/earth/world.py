"""A planet from random fields: land, climates, and where people live, each cell of a HEALPix grid with one value.

Elevation, climate, rain and population are Gaussian fields with power-law angular spectra. The highest 29 % of the area
are land; land has nine covers, by terciles of climate and of rain, and water is the tenth. People live on land alone,
with a density that varies over orders of magnitude.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.spectral.grids import HEALPixGrid
from zoo.spectral.spherical_harmonics import SphericalHarmonicTransform, random_coefficients

SEA_SHARE = 0.71
TERCILES = (1 / 3, 2 / 3)
WATER = 9
NUM_COVERS = 10

BUCKETS = (1.0, 10.0, 100.0, 1e3, 1e4)
"""Upper bounds, inclusive, of the buckets of population per km^2; the last has none."""

# Exponents of (1 + l) in the angular spectra, with the degree of the smoothest at most continents.
ELEVATION, CLIMATE, RAIN, POPULATION = 3.0, 4.0, 3.0, 2.0


class World(NamedTuple):
    """What is known of each cell, (N,).

    Attributes:
        land: bool.
        cover: int64, from 0 to 9, water last.
        population: float64, people per km^2, 0 on water.
        bucket: int64, from 0 to 5.
    """

    land: Tensor
    cover: Tensor
    population: Tensor
    bucket: Tensor


def generate(nside: int, lmax: int, seed: int) -> World:
    """Return a planet.

    Args:
        nside: resolution of the grid.
        lmax: largest degree of its fields.
        seed: same arguments, same planet.
    """
    grid = HEALPixGrid(nside)
    transform = SphericalHarmonicTransform(grid, lmax)
    generator = torch.Generator().manual_seed(seed)

    def field(power: float) -> Tensor:
        """Return a field of mean 0 and variance 1."""
        spectrum = (1 + torch.arange(lmax + 1, dtype=torch.float64)) ** -power
        spectrum[0] = 0
        values = transform.synthesis(random_coefficients(spectrum, generator))
        return (values - values.mean()) / values.std(correction=0)

    elevation = field(ELEVATION)
    land = torch.zeros(grid.n, dtype=torch.bool)
    land[elevation.argsort()[round(SEA_SHARE * grid.n) :]] = True
    sine = torch.sin(torch.deg2rad(grid.centers[:, 0]))
    climate = _tercile(-2 * sine**2 + field(CLIMATE) / 2, land)
    rain = _tercile(field(RAIN), land)
    cover = torch.where(land, 3 * climate + rain, WATER)
    population = torch.where(land, torch.exp(2 * field(POPULATION) + 2.5), 0.0)
    bucket = torch.bucketize(population, torch.tensor(BUCKETS, dtype=torch.float64))
    return World(land, cover, population, bucket)


def _tercile(values: Tensor, land: Tensor) -> Tensor:
    bounds = torch.quantile(values[land], torch.tensor(TERCILES, dtype=torch.float64))
    return torch.bucketize(values, bounds)
