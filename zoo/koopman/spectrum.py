"""The spectrum as a set of points with an error bound, from residuals on a grid.

Colbrook, Mezić and Stepanenko, 2024, arXiv 2407.06312. With d_j = tau(z_j) at candidates z_j: for each j with d_j < 1
the disc |z - z_j| < kappa d_j is searched, and the first minimiser of d in it is kept; the set of minimisers has the
error bound E = max d. For kappa = 1 and a normal operator, whose spectrum lies within d_j of z_j, this is a theorem;
kappa > 1 thins the set for plots and voids it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.factors import Factors
from zoo.koopman.pseudospectrum import smallest_residuals

# Candidates compared at once with all others.
CHUNK = 1024


@dataclass(frozen=True)
class SpectrumSet:
    """A set of approximate spectrum.

    Attributes:
        points: (k,) complex128, in the order of the candidates.
        distances: tau there, (k,).
        indices: which candidates they are, (k,).
        error: E, the largest of the distances; infinite if no candidate had tau < 1.
        kappa: of the search; the bound is a theorem for 1 only.
    """

    points: Tensor
    distances: Tensor
    indices: Tensor
    error: float
    kappa: float


def select_spectrum(points: Tensor, distances: Tensor, kappa: float = 1.0) -> SpectrumSet:
    """Return the minimisers of tau over discs of radius kappa tau around the candidates.

    Args:
        points: candidates, (P,), for instance a grid or eigenvalues of EDMD; the latter cannot show spectrum
            that EDMD misses.
        distances: tau there, (P,), with max(tau, |1 - |z||) if the system is known to preserve the measure.
        kappa: factor of the radii; the authors' figures use 5 (and 2 for the electrocardiogram and the sea level).

    Raises:
        ValueError: shapes differ or kappa is not positive.
    """
    points = points.reshape(-1).to(torch.complex128)
    distances = distances.reshape(-1).to(torch.float64)
    require(kappa > 0, "kappa", kappa, "a number > 0")
    require(
        points.shape == distances.shape, "distances", tuple(distances.shape), f"one for each of {len(points)} points"
    )
    chosen = [torch.empty(0, dtype=torch.int64, device=points.device)]
    for part in (distances < 1).nonzero().flatten().split(CHUNK):
        near = (points - points[part, None]).abs() < kappa * distances[part, None]
        near[torch.arange(len(part), device=points.device), part] = True  # its own disc may have radius 0
        found = torch.where(near, distances, torch.inf)
        smallest = found.amin(dim=1, keepdim=True)
        chosen.append((found == smallest).int().argmax(dim=1))  # the first of equal minima
    indices = torch.cat(chosen).unique()
    kept = distances[indices]
    return SpectrumSet(points[indices], kept, indices, float(kept.max()) if len(kept) else float("inf"), kappa)


def spectrum(factors: Factors, points: Tensor, kappa: float = 1.0, measure_preserving: bool = False) -> SpectrumSet:
    """Return the approximate spectrum among candidate points from the orthonormal form of a dictionary.

    Args:
        factors: of a dictionary on data.
        points: candidates (P,), or a grid (n_imag, n_real), which is searched as the authors do, imaginary parts first:
            `indices` count along the columns then.
        kappa: see `select_spectrum`.
        measure_preserving: the system is known to preserve the measure.
    """
    points = points.mT.reshape(-1) if points.ndim == 2 else points
    return select_spectrum(points, smallest_residuals(factors, points, measure_preserving), kappa)
