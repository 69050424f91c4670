"""Exact crossings of a pseudospectrum with rays from the origin, without a grid.

Along z = r e^(i angle), s is a singular value of [A~ - z; D^1/2] iff r solves the Hermitian quadratic eigenproblem
r^2 - r (e^(i angle) A~* + e^(-i angle) A~) + L~ - s^2 = 0, hence iff r is a real eigenvalue of a companion matrix.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.factors import Factors
from zoo.koopman.pseudospectrum import smallest_residuals


def ray_crossings(factors: Factors, epsilon: float, angle: float) -> Tensor:
    """Return all radii r >= 0 at which some singular value of [A~ - r e^(i angle); D^1/2] equals epsilon, ascending.

    They are the real eigenvalues of the companion [[0, 1], [-(L~ - epsilon^2), e^(i angle) A~* + e^(-i angle) A~]] of
    size 2r, exact without a grid. The boundary of {tau < epsilon} on the ray is among them, see `ray_intervals`.

    Raises:
        ValueError: epsilon is not positive.
    """
    require(epsilon > 0, "epsilon", epsilon, "a number > 0")
    compression, leak = factors.compression.to(torch.complex128), factors.leak.to(torch.complex128)
    size = len(compression)
    identity = torch.eye(size, dtype=compression.dtype, device=compression.device)
    total = compression.mH @ compression + leak.mH @ leak
    phase = complex(math.cos(angle), math.sin(angle))
    rotated = phase * compression.mH + phase.conjugate() * compression
    companion = torch.cat(
        [
            torch.cat([torch.zeros_like(identity), identity], dim=1),
            torch.cat([-(total - epsilon**2 * identity), rotated], dim=1),
        ]
    )
    radii = torch.linalg.eigvals(companion)
    scale = float(torch.linalg.matrix_norm(companion, 2))
    # Where two crossings meet, rounding moves them by the square root of its size off the real axis.
    real = radii[(radii.imag.abs() <= 1e-7 * scale) & (radii.real >= 0)].real
    return real.sort().values


def ray_intervals(factors: Factors, epsilon: float, angle: float) -> Tensor:
    """Return the intervals of radii on which tau < epsilon along a ray, (k, 2) float64, ascending; k may be 0."""
    crossings = ray_crossings(factors, epsilon, angle)
    edges = torch.cat([crossings.new_zeros(1), crossings])
    if len(edges) == 1:
        return edges.new_zeros(0, 2)
    middles = (edges[:-1] + edges[1:]) / 2
    inside = smallest_residuals(factors, middles * complex(math.cos(angle), math.sin(angle))) < epsilon
    intervals: list[list[float]] = []
    for low, high in zip(edges[:-1][inside].tolist(), edges[1:][inside].tolist(), strict=True):
        if intervals and intervals[-1][1] == low:
            intervals[-1][1] = high
        else:
            intervals.append([low, high])
    return edges.new_tensor(intervals).reshape(-1, 2)
