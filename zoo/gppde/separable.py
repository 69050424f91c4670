"""Linear systems that are sums over coordinates: A_1 x 1 x .. + 1 x A_2 x .. + ..

well-conditioned eigenvectors     of every A_j, by matrix products, corrected by the residual
two coordinates otherwise         A V + V B^T = F by Schur forms: first-order operators are far from normal
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from zoo.checks import require
from zoo.gppde.grid_prior import along
from zoo.gppde.newton import NotConvergedError

CORRECTIONS = 5
SOLVED = 1e-12
WELL_CONDITIONED = 1e6  # of eigenvectors
SINGULAR = 1e-15
EIGENVECTOR_FAILURE = 1e-6

Solver = Callable[[Tensor], Tensor]


def solver_of_sum(matrices: Sequence[Tensor]) -> Solver:
    """Return the solver of (A_1 x 1 x .. + 1 x A_2 x .. + ..) V = F for any number of right sides (..., F_1, .., F_d).

    Args:
        matrices: A_j, (F_j, F_j).
    """
    if len(matrices) == 1:
        factors = torch.linalg.lu_factor(matrices[0])
        norm = float(torch.linalg.matrix_norm(matrices[0], 1))
        _require_regular(scipy.linalg.lapack.dgecon(factors[0].numpy(), norm)[0])
        return lambda right: torch.linalg.lu_solve(*factors, right.reshape(-1, right.size(-1)).mT).mT.reshape(
            right.shape
        )
    eigenpairs = [torch.linalg.eig(matrix) for matrix in matrices]
    conditions = [float(torch.linalg.cond(vectors)) for _, vectors in eigenpairs]
    if len(matrices) == 2 and not max(conditions) < WELL_CONDITIONED:
        return _sylvester(*matrices)
    return _by_eigenvectors(matrices, eigenpairs)


def _sylvester(a: Tensor, b: Tensor) -> Solver:
    schur_a, basis_a = scipy.linalg.schur(a.numpy(), output="real")
    schur_b, basis_b = scipy.linalg.schur(b.numpy().T, output="real")

    def solve(right: Tensor) -> Tensor:
        flat = right.reshape(-1, *right.shape[-2:]).numpy()
        solutions = []
        for one in flat:
            triangular, scale, _ = scipy.linalg.lapack.dtrsyl(schur_a, schur_b, basis_a.T @ one @ basis_b)
            solutions.append(basis_a @ (triangular / scale) @ basis_b.T)
        return torch.from_numpy(np.stack(solutions)).reshape(right.shape)

    return solve


def _by_eigenvectors(matrices: Sequence[Tensor], decompositions: Sequence[tuple[Tensor, Tensor]]) -> Solver:
    dimensions = len(matrices)
    inverses = [torch.linalg.inv(vectors) for _, vectors in decompositions]
    sums = torch.zeros((), dtype=torch.complex128)
    for j, (eigvals, _) in enumerate(decompositions):
        sums = sums + eigvals.reshape(-1, *[1] * (dimensions - j - 1))
    _require_regular(float(sums.abs().min() / sums.abs().max()))

    def approximate(right: Tensor) -> Tensor:
        values = right.to(torch.complex128)
        for j, inverse in enumerate(inverses):
            values = along(inverse, values, j, dimensions)
        values = values / sums
        for j, (_, vectors) in enumerate(decompositions):
            values = along(vectors, values, j, dimensions)
        return values.real

    def solve(right: Tensor) -> Tensor:
        solution, residual = torch.zeros_like(right), right
        smallest = float("inf")
        for _ in range(CORRECTIONS):
            candidate = solution + approximate(residual)
            applied = torch.stack([along(matrix, candidate, j, dimensions) for j, matrix in enumerate(matrices)]).sum(0)
            size = float((right - applied).abs().max())
            if not size < smallest:
                break
            solution, residual, smallest = candidate, right - applied, size
            if size <= SOLVED * float(right.abs().max()):
                break
        if smallest > EIGENVECTOR_FAILURE * float(right.abs().max()):
            raise NotConvergedError(
                f"the eigenvectors of the matrices of each coordinate solve the equation to {smallest:.2g} only: they "
                "are nearly dependent, as those of first-order operators are; take fewer points"
            )
        return solution

    return solve


def _require_regular(reciprocal_condition: float) -> None:
    """Raise a ValueError where the equation with these conditions has solutions without data."""
    require(
        reciprocal_condition > SINGULAR,
        "operator",
        f"singular, with a reciprocal condition of {reciprocal_condition:.1g},",
        "an operator and conditions with one solution: at a resonance, as of Helmholtz's equation at an eigenvalue of "
        "the box, any multiple of a standing wave could be added",
    )
