"""Resolvents of isometries from outside of the unit circle, with their error.

u = (A - z G)^-1 G f is the Galerkin solution of (K - z) u = f. Its residual ||(K - z) u - f|| is what leaves the span,
||D^1/2 u~||, and for an isometry ||(K - z)^-1|| <= 1 / (|z| - 1), hence

    ||u - (K - z)^-1 f|| <= ||D^1/2 u~|| / (|z| - 1).

Inside of the circle nothing like it exists: the shift part of an isometry fills the disc with spectrum.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.factors import Factors


class Resolvent:
    """(A~ - z)^-1 of a dictionary by one Schur decomposition, then O(r^2) for each z.

    Args:
        factors: of a dictionary on data.
    """

    def __init__(self, factors: Factors) -> None:
        self.factors = factors
        triangle, vectors = scipy.linalg.schur(factors.compression.cpu().numpy(), output="complex")
        self.triangle, self.vectors = (
            torch.from_numpy(np.asarray(part, np.complex128)).to(factors.basis.device) for part in (triangle, vectors)
        )

    def solve(self, points: Tensor, coordinates: Tensor) -> Tensor:
        """Return (A~ - z)^-1 f~ at points (P,) for orthonormal coordinates f~ (r,), (r, P) complex128."""
        points = points.to(torch.complex128)
        right = self.vectors.mH @ coordinates.to(torch.complex128)
        size = len(self.triangle)
        solution = torch.zeros(size, len(points), dtype=torch.complex128, device=points.device)
        for row in range(size - 1, -1, -1):  # back substitution for all points at once
            known = self.triangle[row, row + 1 :] @ solution[row + 1 :]
            solution[row] = (right[row] - known) / (self.triangle[row, row] - points)
        return self.vectors @ solution

    def apply(self, points: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Return u = (K - z)^-1 f for an isometry, and a bound of its error.

        Args:
            points: z with |z| > 1, (P,).
            coefficients: of f = Psi c, (N,).

        Returns:
            Coefficients of u in the dictionary, (N, P), and the bound ||D^1/2 u~|| / (|z| - 1) of the error's norm,
            (P,), in the limit of many snapshots.

        Raises:
            ValueError: a point does not lie outside of the unit circle.
        """
        distance = points.abs() - 1
        require(bool((distance > 0).all()), "points", points, "complex numbers with |z| > 1")
        coordinates = self.factors.coordinates.to(torch.complex128) @ coefficients.to(torch.complex128)
        solution = self.solve(points, coordinates)
        error = torch.linalg.vector_norm(self.factors.leak.to(torch.complex128) @ solution, dim=0)
        return self.factors.basis.to(torch.complex128) @ solution, error / distance
