r"""From what a predictor says of an image to a log-map: the logarithm of a density or likelihood on all cells.

Constants do not matter: maps are normalised after they are pooled. What matters is which number is painted. A class
posterior q_k of a head that was trained where class k has the frequency pi_k is q_k ~ P(image | k) pi_k: the likelihood
of a place is q_k / pi_k, and q_k itself counts the training prior once more. A floor keeps every map above zero, as a
product cannot recover from one.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from zoo.checks import require, require_choice, require_probability
from zoo.geolocation.indices import check_indices
from zoo.spectral.spherical_harmonics import (
    RingGrid,
    SphericalHarmonicTransform,
    coefficients_of_points,
    von_mises_fisher_factors,
)

DivideBy = Literal["none", "train_prior", "area"]
DIVIDE_BY: tuple[DivideBy, ...] = ("none", "train_prior", "area")

LEAST = 1e-12
"""Class frequencies and concentrations below are taken for this."""


def point_log_map(natural: Tensor, directions: Tensor) -> Tensor:
    """Return the von Mises-Fisher log-density around predicted points, per steradian.

    Args:
        natural: (B, 3), kappa mu: the predicted direction times its concentration.
        directions: (N, 3), unit vectors of the cells.

    Returns:
        (B, N): kappa mu x + log(kappa / (4 pi sinh kappa)).
    """
    kappa = natural.norm(dim=1, keepdim=True).clamp(min=LEAST)
    normalization = torch.log(kappa / -torch.expm1(-2 * kappa)) - kappa - math.log(2 * math.pi)
    return natural @ directions.T + normalization


def attribute_log_map(
    posterior: Tensor,
    fractions: Tensor,
    prior: Tensor,
    divide_by: DivideBy = "train_prior",
    power: float = 1.0,
    floor: float = 1e-6,
) -> Tensor:
    """Return the log-likelihood of places by an attribute that a map knows, such as the land cover.

    Args:
        posterior: (B, K), what a head says of the class of the place, rows of sum 1.
        fractions: (K, N), share of each class in each cell, columns of sum 1.
        prior: (K,), frequencies of the classes to divide by: in the head's training data, or as shares of area.
        divide_by: "train_prior" for the likelihood; "area" for the density of the posterior, painted evenly on the
            area of its class; "none" for the posterior painted as it is. The first two differ by `prior` alone.
        power: exponent of `prior`.
        floor: share of a map that says nothing, in [0, 1).

    Returns:
        (B, N): log sum_k fractions_kn posterior_k / prior_k^power.

    Raises:
        ValueError: an argument is out of its range.
    """
    require_choice("divide_by", divide_by, DIVIDE_BY)
    require_probability(floor=floor)
    if divide_by == "none":
        values = (1 - floor) * posterior + floor / posterior.size(1)
    else:
        values = (1 - floor) * posterior / prior.clamp(min=LEAST) ** power + floor
    return torch.log(values @ fractions)


def classifier_log_map(posterior: Tensor, labels: Tensor, areas: Tensor, density: bool = True) -> Tensor:
    """Return the log-map of a classifier of regions: S2 cells, countries, any partition.

    Args:
        posterior: (B, K), the mass of each region.
        labels: (N,) int64, the region of each cell.
        areas: (N,), of the cells.
        density: divide masses by the areas of their regions, for the posterior's density; False paints masses on all
            cells of a region alike, which ranks large regions too high.

    Returns:
        (B, N), -inf where a mass is 0.

    Raises:
        ValueError: a cell has no region, or one that is none.
    """
    check_indices("labels", labels, posterior.size(1), len(areas))
    if density:
        size = torch.zeros(posterior.size(1), dtype=areas.dtype, device=areas.device).index_add_(0, labels, areas)
        posterior = posterior / size.to(posterior)
    return torch.log(posterior)[:, labels]


def gallery_log_map(masses: Tensor, cells: Tensor, areas: Tensor, floor: float = 1e-3) -> Tensor:
    """Return the log-density of masses at points, added up by cell, over a floor that is uniform on the Earth.

    Args:
        masses: (B, G), rows of sum 1.
        cells: (G,) int64, the cell of each point, see `Grid.locate`.
        areas: (N,), of the cells, float64.
        floor: share of the uniform density, in (0, 1): most cells hold no point of any gallery.

    Returns:
        (B, N), relative to the uniform density.

    Raises:
        ValueError: a point has no cell, or one that is none, or the floor is out of its range.
    """
    require(0 < floor < 1, "floor", floor, "a number in (0, 1)")
    check_indices("cells", cells, len(areas), masses.size(1))
    share = (areas / areas.sum()).to(masses)
    mass = torch.zeros(len(masses), len(areas), dtype=masses.dtype, device=masses.device).index_add_(1, cells, masses)
    return torch.log((1 - floor) * mass / share + floor)


def smoothed_gallery_log_map(
    masses: Tensor, latlon: Tensor, grid: RingGrid, lmax: int, concentration: float, floor: float = 1e-3
) -> Tensor:
    """Return the log-density of masses at points, each smoothed by a von Mises-Fisher kernel.

    Exact harmonics of the points are filtered and evaluated on the grid; what the band limit makes negative is 0.

    Args:
        masses: (B, G), rows of sum 1.
        latlon: (G, 2), the points in degrees.
        grid: where the map is wanted.
        lmax: band limit; at concentration k, 3 sqrt(k) and more leaves no ripples.
        concentration: of the kernel, > 0.
        floor: see `gallery_log_map`.

    Returns:
        (B, N), relative to the uniform density.
    """
    require(0 < floor < 1, "floor", floor, "a number in (0, 1)")
    coefficients = coefficients_of_points(latlon, masses, lmax)
    coefficients = coefficients * von_mises_fisher_factors(lmax, concentration)[:, None]
    density = SphericalHarmonicTransform(grid, lmax).synthesis(coefficients) * (4 * math.pi)
    return torch.log((1 - floor) * density.clamp(min=0) + floor).to(masses)


def floored(log_map: Tensor, log_base: Tensor, floor: float) -> Tensor:
    """Return the logarithm of (1 - floor) p + floor b: a map without zeros, whatever constant it had.

    Args:
        log_map: (B, N), log masses up to a constant, -inf allowed.
        log_base: (N,), log masses of sum 1.
        floor: in [0, 1).
    """
    require_probability(floor=floor)
    log_mass = torch.log_softmax(log_map, dim=1)
    if floor == 0:
        return log_mass
    return torch.logaddexp(log_mass + math.log1p(-floor), log_base + math.log(floor))
