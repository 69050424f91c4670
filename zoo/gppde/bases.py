"""Functions on an interval given by their values at nodes: how to differentiate and evaluate them.

    "gp"         conditional mean of a Gaussian process on any nodes: D^(a) = K^(a) K^-1
    "chebyshev"  polynomial through Chebyshev points of the second kind
    "fourier"    trigonometric polynomial through equispaced points of a period, the upper end left out

Source: of the last two, Trefethen, 2000, Spectral methods in MATLAB; Berrut and Trefethen, 2004, SIAM Review 46.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from zoo.gppde.gaussian import cholesky, cholesky_with_nugget
from zoo.gppde.grid_prior import along
from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.lags import LagTable
from zoo.gppde.operators import Index


class Basis(Protocol):
    """What collocation needs of one coordinate."""

    nodes: Tensor

    def differentiation(self, order: int) -> Tensor:
        """Return the matrix (N, N) from values to derivatives at the nodes."""

    def evaluation(self, points: Tensor, order: int) -> Tensor:
        """Return the matrix (m, N) from values at the nodes to derivatives at points (m,)."""


def evaluate(bases: Sequence[Basis], values: Tensor, points: Tensor, index: Index) -> Tensor:
    """Return a derivative at any points from values at a product of nodes.

    Args:
        bases: one for each coordinate.
        values: at the nodes, (..., N_1, .., N_d).
        points: (n, d).
        index: which derivative.

    Returns:
        (..., n).
    """
    first, *others = (
        basis.evaluation(points[:, j], order) for j, (basis, order) in enumerate(zip(bases, index, strict=True))
    )
    result = along(first, values, 0, len(bases))  # (..., n, N_2, .., N_d)
    for done, matrix in enumerate(others, start=2):
        rest = len(bases) - done
        result = (result * matrix.reshape(*matrix.shape, *[1] * rest)).sum(-1 - rest)
    return result


class GPBasis:
    """Conditional means of a Gaussian process.

    Args:
        kernel: without leading dimensions, or with some where a jitter is given.
        nodes: (N,) float64.
        jitter: absolute, added to K; None for the smallest relative nugget that the factorisation needs.

    Attributes:
        nugget: that was added, relative to the variance; the jitter if there is one.

    Raises:
        NotPositiveDefiniteError: K has no factor with the largest nugget.
    """

    def __init__(self, kernel: SpectralMixture, nodes: Tensor, jitter: float | None = None) -> None:
        self.kernel, self.nodes = kernel, nodes
        self._table = LagTable.of(nodes, nodes)
        covariance = self._table.expand(kernel.derivatives(self._table.lags, [0])[0])
        self._variance = kernel.log_weight.exp().sum(-1)[..., None, None]
        if jitter is None:
            self._factor, self.nugget = cholesky_with_nugget(covariance / self._variance)
        else:
            shift = jitter * torch.eye(len(nodes), dtype=torch.float64)
            self._factor, self.nugget = cholesky((covariance + shift) / self._variance), jitter

    def differentiation(self, order: int) -> Tensor:
        """Return the matrix (N, N) from values to derivatives at the nodes."""
        if order == 0:
            return torch.eye(len(self.nodes), dtype=torch.float64)
        return self._weights(self._table.expand(self.kernel.derivatives(self._table.lags, [order])[order]))

    def evaluation(self, points: Tensor, order: int) -> Tensor:
        """Return the matrix (m, N) from values at the nodes to derivatives at points (m,)."""
        return self._weights(self.kernel.derivatives(points[:, None] - self.nodes, [order])[order])

    def _weights(self, covariances: Tensor) -> Tensor:
        return torch.cholesky_solve(covariances.mT / self._variance, self._factor).mT


class ChebyshevBasis:
    """Polynomials through Chebyshev points of the second kind.

    Args:
        lower: lower end of the interval.
        upper: upper end.
        count: number N of nodes, >= 3.
    """

    def __init__(self, lower: float, upper: float, count: int) -> None:
        position = torch.arange(count, dtype=torch.float64)
        # Sines of angles from the middle: symmetric to the last bit.
        unit = torch.sin(math.pi * (2 * position - (count - 1)) / (2 * (count - 1)))
        self.nodes = (lower + upper) / 2 + (upper - lower) / 2 * unit
        self.nodes[0], self.nodes[-1] = lower, upper
        weights = torch.where(position.long() % 2 == 0, 1.0, -1.0).double()
        weights[0], weights[-1] = weights[0] / 2, weights[-1] / 2
        self._weights = weights
        angles = math.pi * (position[:, None] + position - (count - 1)) / (2 * (count - 1))
        differences = (
            (upper - lower)
            * torch.cos(angles)
            * torch.sin(math.pi * (position[:, None] - position) / (2 * (count - 1)))
        )  # x_i - x_j without cancellation
        differences.fill_diagonal_(1.0)
        first = weights / weights[:, None] / differences
        first.fill_diagonal_(0.0)
        first -= torch.diag(first.sum(1))  # the derivative of a constant is exactly zero
        self._first = first

    def differentiation(self, order: int) -> Tensor:
        """Return the matrix (N, N) from values to derivatives at the nodes."""
        return torch.linalg.matrix_power(self._first, order)

    def evaluation(self, points: Tensor, order: int) -> Tensor:
        """Return the matrix (m, N) from values at the nodes to derivatives at points (m,)."""
        difference = points[:, None] - self.nodes
        exact = difference == 0
        terms = self._weights / torch.where(exact, 1.0, difference)
        matrix = terms / terms.sum(1, keepdim=True)
        hit = exact.any(1)
        matrix[hit] = exact[hit].double()
        return matrix @ self.differentiation(order)


class FourierBasis:
    """Trigonometric polynomials of the period upper - lower; of an even number of nodes, the fastest is a cosine.

    Args:
        lower: where the period starts.
        upper: where it ends, no node itself.
        count: number N of nodes, >= 3.
    """

    def __init__(self, lower: float, upper: float, count: int) -> None:
        self.length, self.count = upper - lower, count
        self.nodes = lower + self.length * torch.arange(count, dtype=torch.float64) / count

    def differentiation(self, order: int) -> Tensor:
        """Return the matrix (N, N) from values to derivatives at the nodes."""
        return self.evaluation(self.nodes, order)

    def evaluation(self, points: Tensor, order: int) -> Tensor:
        """Return the matrix (m, N) from values at the nodes to derivatives at points (m,)."""
        wave = 2 * math.pi / self.length * torch.arange(self.count // 2 + 1, dtype=torch.float64)
        phase = wave * (points[:, None] - self.nodes)[..., None]
        values = wave**order * torch.cos(phase + order * math.pi / 2)
        half = torch.full_like(wave, 2.0)
        half[0] = 1.0
        if self.count % 2 == 0:
            half[-1] = 1.0
        return (values * half).sum(-1) / self.count
