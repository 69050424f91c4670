"""A Gaussian process on a product of regular grids: its prior density, and the derivatives of its mean.

With kernel matrices K_j = k_j(X_j, X_j) + jitter I the covariance of grid values U is their Kronecker product, which is
never formed: log det = sum_j (M / M_j) log det K_j, and each K_j^-1 acts along its own coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.gppde.gaussian import logdet_and_solve
from zoo.gppde.kernels import SpectralMixture
from zoo.gppde.lags import toeplitz
from zoo.gppde.operators import Index


@dataclass(frozen=True)
class GridPrior:
    """What the prior says of grid values.

    Attributes:
        energy: 1/2 log det of the covariance + 1/2 of the quadratic form, without the constant, (...).
        derivatives: of the conditional mean on the grid, by multi-index, (..., M_1, .., M_d).
    """

    energy: Tensor
    derivatives: dict[Index, Tensor]


def grid_prior(
    kernels: Sequence[SpectralMixture], lags: Sequence[Tensor], values: Tensor, indices: Iterable[Index], jitter: float
) -> GridPrior:
    """Return the prior energy of grid values and the derivatives of the process that they make most likely.

    Args:
        kernels: one for each coordinate, with the leading dimensions of `values` or none.
        lags: of each grid, (M_j,), from `zoo.gppde.lags.grid_lags`.
        values: U, (..., M_1, .., M_d) float64.
        indices: the multi-indices of the derivatives that are wanted.
        jitter: absolute, added to the diagonal of each K_j but not to its derivatives.

    Raises:
        NotPositiveDefiniteError: a kernel matrix has no Cholesky factor.
    """
    dimensions, count = len(kernels), math.prod(values.shape[values.ndim - len(kernels) :])
    indices = list(dict.fromkeys(indices))
    matrices, solved, by_order, logdet = [], [], [], torch.zeros((), dtype=values.dtype)
    for dimension, (kernel, lag) in enumerate(zip(kernels, lags, strict=True)):
        orders = {0, *(index[dimension] for index in indices)}
        at_lags = kernel.derivatives(lag, orders)
        matrix = toeplitz(at_lags[0]) + jitter * torch.eye(len(lag), dtype=values.dtype)
        own_logdet, solution = _solve_along(matrix, values, dimension, dimensions)
        logdet = logdet + count / len(lag) * own_logdet
        matrices.append(matrix)
        solved.append(solution)
        by_order.append({order: toeplitz(at_lags[order], odd=order % 2 == 1) for order in orders})
    energy = (logdet + _quadratic_form(matrices, values, solved)) / 2
    derivatives = {}
    for index in indices:
        differentiated = [j for j in range(dimensions) if index[j]]
        result = values
        for position, j in enumerate(differentiated):
            weights = _solve_along(matrices[j], result, j, dimensions)[1] if position else solved[j]
            result = along(by_order[j][index[j]], weights, j, dimensions)
        derivatives[index] = result
    return GridPrior(energy, derivatives)


def along(matrix: Tensor, values: Tensor, dimension: int, dimensions: int) -> Tensor:
    """Return a matrix (..., n, M_j) applied along one of the last d dimensions of values (..., M_1, .., M_d)."""
    columns, shape = _columns(values, dimension, dimensions)
    return _from_columns(matrix @ columns, shape, dimension, dimensions)


def _solve_along(matrix: Tensor, values: Tensor, dimension: int, dimensions: int) -> tuple[Tensor, Tensor]:
    """Return log det K_j and K_j^-1 applied along one dimension."""
    columns, shape = _columns(values, dimension, dimensions)
    logdet, solution = logdet_and_solve(matrix, columns)
    return logdet, _from_columns(solution, shape, dimension, dimensions)


def _columns(values: Tensor, dimension: int, dimensions: int) -> tuple[Tensor, tuple[int, ...]]:
    """Return the lines along one of the last d dimensions as columns, (..., M_j, K), and the other dimensions."""
    moved = values.movedim(dimension - dimensions, -dimensions)
    lead = moved.ndim - dimensions
    return moved.reshape(*moved.shape[: lead + 1], -1), tuple(moved.shape[lead + 1 :])


def _from_columns(columns: Tensor, shape: tuple[int, ...], dimension: int, dimensions: int) -> Tensor:
    """Return columns (..., n, K) as lines along one of the last d dimensions."""
    return columns.reshape(*columns.shape[:-1], *shape).movedim(-dimensions, dimension - dimensions)


def _quadratic_form(matrices: Sequence[Tensor], values: Tensor, solved: Sequence[Tensor]) -> Tensor:
    """Return <U, (K_1^-1 x .. x K_d^-1) U> from the K_j^-1 U, two of which need no further solve."""
    dimensions = len(matrices)
    spatial = tuple(range(-dimensions, 0))
    if dimensions == 1:
        return (values * solved[0]).sum(spatial)
    left = solved[0]
    for dimension in range(2, dimensions):
        left = _solve_along(matrices[dimension], left, dimension, dimensions)[1]
    return (left * solved[1]).sum(spatial)
