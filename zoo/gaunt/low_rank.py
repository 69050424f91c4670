r"""Symmetric decompositions of the Gaunt tensor that are smaller than any quadrature rule.

    int Y_i Y_j Y_k dOmega = sum_r a_ri a_rj a_rk,      i, j, k < d(L)

A quadrature rule is one such decomposition; the best found by least squares have ranks 6, 20, 32 and 72 for L = 1 .. 4,
where Lebedev's rules have 6, 26, 38 and 86 points. They are no grids: rows are not samples at points, so that powers of
functions cannot be taken with them, only products of two.

`scripts/decompose_gaunt.py` computes them; `low_rank.npz` holds the result, which is verified when it is loaded.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.checks import require
from zoo.gaunt.coefficients import gaunt_tensor
from zoo.gaunt.harmonics import dim
from zoo.gaunt.sampling import MatrixSampling

FILE = Path(__file__).with_name("low_rank.npz")
RANKS = {1: 6, 2: 20, 3: 32, 4: 72}
"""The smallest ranks that were found, by degree."""

RESIDUAL = 1e-13
"""Largest error of an entry that a decomposition may have."""


class LowRankSampling(MatrixSampling):
    """Three matrix products with a decomposition in place of a grid; its values are no samples at points.

    Args:
        lmax_in1: see `Sampling`; all at most 4.
        lmax_in2: see `Sampling`.
        lmax_out: see `Sampling`.

    Raises:
        ValueError: a degree is above 4.
    """

    def __init__(self, lmax_in1: int, lmax_in2: int, lmax_out: int) -> None:
        factors = decomposition(max(1, lmax_in1, lmax_in2, lmax_out))
        super().__init__(lmax_in1, lmax_in2, lmax_out, factors, factors)


@lru_cache
def decomposition(lmax: int) -> Tensor:
    """Return the stored decomposition a (rank, d(L)) float64, verified.

    Raises:
        ValueError: none is stored for the degree.
        RuntimeError: the stored one is wrong; the file is damaged.
    """
    require(lmax in RANKS, "lmax", lmax, f"a degree of {list(RANKS)}, or another backend")
    with np.load(FILE) as arrays:
        factors = torch.from_numpy(arrays[f"lmax{lmax}"])
    error = residual(factors, lmax)
    if not error <= RESIDUAL:
        raise RuntimeError(f"{FILE} is damaged: its decomposition for lmax={lmax} errs by {error:.1e}")
    return factors


def residual(factors: Tensor, lmax: int) -> float:
    """Return the largest error of an entry of the Gaunt tensor that factors (rank, d(L)) decompose."""
    rebuilt = torch.einsum("ri,rj,rk->ijk", factors, factors, factors)
    return float((rebuilt - gaunt_tensor(lmax, lmax, lmax)).abs().max())


def decompose(lmax: int, rank: int, seed: int, max_steps: int = 100) -> Tensor:
    """Seek a symmetric decomposition of the Gaunt tensor by Levenberg-Marquardt steps from a random start.

    Args:
        lmax: degree L >= 1.
        rank: number of terms.
        seed: of the start, normal with standard deviation 0.4.
        max_steps: after which the search ends.

    Returns:
        Factors (rank, d(L)) float64, whose `residual` tells whether they are exact.
    """
    width = dim(lmax)
    i, j, k = _unique_triples(width)
    # How often an entry occurs in the full tensor, so that the unique ones stand for all.
    distinct = 1 + (i != j).long() + (j != k).long()
    weight = torch.tensor([0.0, 1.0, 3.0, 6.0], dtype=torch.float64)[distinct].sqrt()
    target = gaunt_tensor(lmax, lmax, lmax)[i, j, k]
    rows = torch.arange(len(i))

    def residuals(a: Tensor) -> Tensor:
        return weight * ((a[:, i] * a[:, j] * a[:, k]).sum(0) - target)

    def jacobian(a: Tensor) -> Tensor:
        matrix = a.new_zeros(len(i), width, rank)
        for column, others in ((i, a[:, j] * a[:, k]), (j, a[:, i] * a[:, k]), (k, a[:, i] * a[:, j])):
            matrix.index_put_((rows, column), others.T, accumulate=True)
        return (weight[:, None, None] * matrix).transpose(1, 2).flatten(1)

    generator = torch.Generator().manual_seed(seed)
    factors = 0.4 * torch.randn(rank, width, generator=generator, dtype=torch.float64)
    error, damping = residuals(factors), 1e-2
    for _ in range(max_steps):
        matrix = jacobian(factors)
        normal, slope = matrix.T @ matrix, matrix.T @ error
        while damping < 1e10:
            root, failed = torch.linalg.cholesky_ex(normal + damping * torch.eye(len(normal), dtype=torch.float64))
            step = torch.cholesky_solve(slope[:, None], root).reshape(rank, width)
            new_error = residuals(factors - step)
            if not failed and new_error.norm() < error.norm():
                break
            damping *= 4
        else:
            break
        factors, error, damping = factors - step, new_error, max(damping / 3, 1e-15)
        if error.abs().max() < 1e-12:
            break
    # Normal equations lose the last digits, and rotations of all factors make the solution no single point.
    step = torch.linalg.lstsq(jacobian(factors), error[:, None], rcond=1e-11, driver="gelsd").solution
    polished = factors - step.reshape(rank, width)
    return polished if residuals(polished).norm() < error.norm() else factors


def _unique_triples(width: int) -> tuple[Tensor, Tensor, Tensor]:
    indices = torch.arange(width)
    triples = torch.cartesian_prod(indices, indices, indices)
    i, j, k = triples[(triples[:, 0] <= triples[:, 1]) & (triples[:, 1] <= triples[:, 2])].unbind(1)
    return i, j, k
