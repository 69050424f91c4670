"""A pseudospectrum with proof: cells of the complex plane inside {tau < epsilon}, outside, or undecided.

Two bounds hold on a whole cell, from finitely many points:

    outside  tau(z)^2 - |z|^2 = min_v (v* L~ v - 2 Re conj(z) v* A~ v) is a minimum of affine functions, hence concave:
             between points z_i, tau(z)^2 >= min_i tau(z_i)^2 - sum_i w_i |z_i - z|^2. A cell with half-diagonal rho is
             outside if tau^2 > epsilon^2 + rho^2 at its four corners.
    inside   any v of norm one bounds tau(z)^2 <= |z - a|^2 + l - |a|^2, which is largest at a corner, with a = v* A~ v
             and l = ||A~ v||^2 + ||D^1/2 v||^2.

Both are second order where tau's Lipschitz constant 1, |tau(z) - tau(z')| <= |z - z'|, gives the first only. They need
no eigenvalue: tau > s iff H(z) - s^2 is positive definite, which a Cholesky decomposition decides; where it is not, a
few steps of inverse iteration make a good v, whose bound says from which s on it is worth asking again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.koopman.factors import Factors
from zoo.koopman.hermitian_forms import HermitianForms

INVERSE_ITERATIONS = 3


@dataclass(frozen=True)
class CertifiedRegion:
    """Cells of a window, each inside the set {tau < epsilon}, outside of it, or undecided.

    Attributes:
        labels: (n, n) int8 by imaginary part, then real part, both ascending: 1 inside, -1 outside, 0 undecided.
        real: edges of the cells along the real axis, (n + 1,).
        imag: edges along the imaginary axis, (n + 1,).
        epsilon: of the set.
        decompositions: how many Cholesky decompositions it took; a full grid takes n^2 eigenvalue problems.
    """

    labels: Tensor
    real: Tensor
    imag: Tensor
    epsilon: float
    decompositions: int


def certified_region(
    factors: Factors,
    epsilon: float,
    real: tuple[float, float],
    imag: tuple[float, float],
    depth: int = 6,
    measure_preserving: bool = False,
) -> CertifiedRegion:
    """Decide {tau < epsilon} on a window by a quadtree, looking only where it is needed.

    The labels are theorems about the matrices and not interpolation; cells of the finest level that the boundary
    crosses, or nearly so, stay undecided.

    Args:
        factors: of a dictionary on data.
        epsilon: of the set.
        real: window along the real axis.
        imag: window along the imaginary axis; symmetric ones cost half for real dictionaries.
        depth: binary logarithm of the number of cells a side.
        measure_preserving: the system is known to preserve the measure: decide max(tau, |1 - |z||) < epsilon.

    Raises:
        ValueError: epsilon is not positive, a window is empty, or depth is not an integer >= 1.
    """
    require(epsilon > 0, "epsilon", epsilon, "a number > 0")
    require_positive(depth=depth)
    for name, (low, high) in (("real", real), ("imag", imag)):
        require(low < high, name, (low, high), "an interval (low, high) with low < high")
    forms, device = HermitianForms(factors), factors.basis.device
    finest = 2**depth
    edges = torch.arange(finest + 1, dtype=torch.float64, device=device) / finest
    x, y = real[0] + (real[1] - real[0]) * edges, imag[0] + (imag[1] - imag[0]) * edges
    lattice = torch.complex(x.expand(finest + 1, -1), y[:, None].expand(-1, finest + 1))
    # What is known at points of the lattice: that tau exceeds all levels to come, or a bound from above; and trial
    # functions, at points and best ones of cells, handed down to the parts of a cell.
    exceeding = torch.zeros(finest + 1, finest + 1, dtype=torch.bool, device=device)
    upper = torch.full_like(lattice.real, torch.inf)
    at_points = torch.zeros_like(lattice), torch.full_like(lattice.real, torch.inf)
    in_cells = at_points[0][:1, :1].clone(), at_points[1][:1, :1].clone()
    labels = torch.zeros(1, 1, dtype=torch.int8, device=device)
    mirrored = factors.is_real and imag[0] == -imag[1]
    decompositions = 0
    for level in range(depth + 1):
        if level:
            labels = _split(labels)
            in_cells = _split(in_cells[0]), _split(in_cells[1])
        cells, stride = 2**level, finest // 2**level
        rows = cells // 2 if mirrored and level else cells  # the upper half is the mirror image of the lower one
        undecided = (labels[:rows] == 0).nonzero(as_tuple=True)
        if not len(undecided[0]):
            continue
        down, across = (index * stride for index in undecided)
        corner = (
            torch.stack([down, down, down + stride, down + stride]),
            torch.stack([across, across + stride, across, across + stride]),
        )
        corners = lattice[corner]  # (4, cells)
        radius = 0.5 * abs(complex(lattice[stride, stride] - lattice[0, 0]))
        reach = math.hypot(epsilon, radius)
        inherited = tuple(function[undecided] for function in in_cells)
        flat = corner[0] * (finest + 1) + corner[1]
        upper.view(-1).scatter_reduce_(0, flat.view(-1), _bound(inherited, corners).sqrt().view(-1), "amin")

        asked = torch.zeros_like(exceeding)
        asked[corner] = True
        asked &= ~exceeding & (upper > reach)
        if asked.any():
            exceeding[asked] = forms.exceed(lattice[asked], reach)
            tried = asked & ~exceeding & at_points[1].isinf()
            decompositions += int(asked.sum()) + int(tried.sum())
            if tried.any():
                at_points[0][tried], at_points[1][tried] = forms.trial(lattice[tried], INVERSE_ITERATIONS)
                found = _bound((at_points[0][tried], at_points[1][tried]), lattice[tried]).sqrt()
                upper[tried] = torch.minimum(upper[tried], found)
        over = exceeding[corner]
        known = [torch.cat([part[corner], other[None]]) for part, other in zip(at_points, inherited, strict=True)]
        limit = epsilon**2 - forms.margins(corners[0])
        # The largest bound over a cell, of each of the functions known there, (5, cells).
        largest = _bound((known[0][:, None], known[1][:, None]), corners).amax(dim=1)
        hopeful = ~over.any(dim=0) & (largest.amin(dim=0) >= limit)
        if hopeful.any():
            own = [torch.zeros_like(part[:1]) for part in known]
            own[1] += torch.inf
            own[0][0, hopeful], own[1][0, hopeful] = forms.trial(corners[:, hopeful].mean(dim=0), INVERSE_ITERATIONS)
            decompositions += int(hopeful.sum())
            known = [torch.cat(parts) for parts in zip(known, own, strict=True)]
            largest = torch.cat([largest, _bound((own[0][:, None], own[1][:, None]), corners).amax(dim=1)])
        best = largest.min(dim=0)
        for cell, part in zip(in_cells, known, strict=True):
            cell[undecided] = part.gather(0, best.indices[None])[0]
        outside, inside = over.all(dim=0), ~over.any(dim=0) & (best.values < limit)
        if measure_preserving:
            from_circle = (1 - corners.mean(dim=0).abs()).abs()
            outside |= from_circle > epsilon + radius
            inside &= from_circle < epsilon - radius
        labels[undecided] = inside.to(torch.int8) - outside.to(torch.int8)
        if rows < cells:
            labels[rows:] = labels[:rows].flip(0)
    return CertifiedRegion(labels, x, y, epsilon, decompositions)


def _split(cells: Tensor) -> Tensor:
    """Return the values (n, n) of cells as those of their quarters, (2n, 2n)."""
    return cells.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)


def _bound(function: tuple[Tensor, ...], points: Tensor) -> Tensor:
    """Return the bound |z - a|^2 + l - |a|^2 of tau^2 by trial functions (a, l); infinite where l is."""
    means, squares = function
    return ((points - means).abs() ** 2 + squares - means.abs() ** 2).clamp(min=0)
