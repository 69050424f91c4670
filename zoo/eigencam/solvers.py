"""Leading eigenpairs of batches of Gram matrices: by a full decomposition, or by Lanczos where that is cheaper."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Solver = Literal["auto", "eigh", "lanczos", "svd"]
SOLVERS = ("auto", "eigh", "lanczos", "svd")

SMALL = {"cpu": 32, "cuda": 64}
"""Up to this size a full decomposition is as fast as Lanczos; on GPU small ones are decomposed as a batch."""

MAX_STEPS = 64
FIRST_CHECK, CHECK_EVERY = 8, 4
ACCURACY = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Allowed residual of an eigenpair relative to its gap: the error of the eigenvector."""

ESTIMATE = 0.02
"""Allowed residual, relative to the eigenvalue, where only an estimate of the eigenvalue is asked for."""


def leading_eigenpairs(gram: Tensor, count: int, wanted: int, start: Tensor, solver: Solver) -> tuple[Tensor, Tensor]:
    """Return the largest eigenvalues of symmetric positive semi-definite matrices, with eigenvectors of either sign.

    Args:
        gram: matrices (B, n, n), float32 or float64.
        count: number of eigenpairs to return, 1 <= count <= n.
        wanted: number of eigenpairs that must be accurate, <= count; of the others Lanczos gives estimates.
        start: vectors (B, n) that resemble the first eigenvectors; Lanczos begins with them.
        solver: "eigh", "lanczos", or "auto" by size and precision.

    Returns:
        Eigenvalues (B, count), descending and >= 0, and eigenvectors (B, n, count), of unit length.
    """
    large = gram.size(-1) > SMALL.get(gram.device.type, SMALL["cuda"])
    few = wanted <= 3 and large and gram.dtype == torch.float32
    if solver == "eigh" or (solver == "auto" and not few):
        return _by_decomposition(gram, count)
    return _by_lanczos(gram, count, wanted, start)


def gram_matrix(columns: Tensor) -> Tensor:
    """Return the Gram matrices of columns, (B, m, n) to (B, n, n)."""
    if columns.device.type != "cpu":
        return torch.bmm(columns.mT, columns)
    # NumPy sees that both factors are one matrix and multiplies half of it, which torch does not.
    rows = columns.detach().mT.numpy()
    with np.errstate(invalid="ignore", over="ignore"):  # the caller looks for what is not finite
        return torch.from_numpy(rows @ rows.swapaxes(1, 2))


def _by_decomposition(gram: Tensor, count: int) -> tuple[Tensor, Tensor]:
    eigvals, eigvecs = torch.linalg.eigh(gram)
    return eigvals.flip(-1)[..., :count].clamp(min=0), eigvecs.flip(-1)[..., :count]


def _by_lanczos(gram: Tensor, count: int, wanted: int, start: Tensor) -> tuple[Tensor, Tensor]:
    """Lanczos with full reorthogonalisation; what has not converged in `MAX_STEPS` is decomposed."""
    size = gram.size(-1)
    steps = min(size, MAX_STEPS)
    basis = gram.new_zeros(len(gram), steps, size)
    diagonal, off_diagonal = gram.new_zeros(len(gram), steps), gram.new_zeros(len(gram), steps)
    row = _unit(_generic(start).unsqueeze(1))
    for step in range(steps):
        basis[:, step : step + 1] = row
        known = basis[:, : step + 1]
        # A row times a symmetric matrix: several times faster than the matrix times a column.
        product = torch.bmm(row, gram)
        diagonal[:, step] = (product * row).sum((1, 2))
        for _ in range(2):  # once leaves what cancellation has spoilt
            product = product - torch.bmm(torch.bmm(product, known.mT), known)
        off_diagonal[:, step] = torch.linalg.vector_norm(product, dim=(1, 2))
        done = step + 1
        if done == steps or (done >= max(count, FIRST_CHECK) and done % CHECK_EVERY == 0):
            tridiagonal = torch.diag_embed(diagonal[:, :done])
            couplings = off_diagonal[:, : done - 1]
            tridiagonal = tridiagonal + torch.diag_embed(couplings, 1) + torch.diag_embed(couplings, -1)
            eigvals, weights = _by_decomposition(tridiagonal, min(done, count + 1))
            residuals = off_diagonal[:, done - 1 : done] * weights[:, -1, :wanted].abs()
            converged = (residuals <= ACCURACY[gram.dtype] * _gaps(eigvals, wanted)).all(-1)
            rest = off_diagonal[:, done - 1 : done] * weights[:, -1, wanted:count].abs()
            converged &= (rest <= ESTIMATE * eigvals[:, wanted:count]).all(-1)
            if done == size or converged.all():
                break
        row = _unit(product)
    eigvals, eigvecs = eigvals[:, :count].clone(), torch.bmm(known.mT, weights[..., :count])
    if done < size and not converged.all():
        eigvals[~converged], eigvecs[~converged] = _by_decomposition(gram[~converged], count)
    return eigvals, eigvecs


def _generic(start: Tensor) -> Tensor:
    """Add some of a fixed vector without any symmetry: what is orthogonal to an eigenvector would never find it."""
    scale = torch.linalg.vector_norm(start, dim=-1, keepdim=True) / start.size(-1) ** 0.5
    return start + 0.1 * torch.where(scale > 0, scale, 1.0) * _noise(start.size(-1)).to(start)


@lru_cache(maxsize=16)
def _noise(size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _unit(rows: Tensor) -> Tensor:
    return rows / torch.linalg.vector_norm(rows, dim=-1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)


def _gaps(eigvals: Tensor, wanted: int) -> Tensor:
    """Return the distance of each of the first eigenvalues to its neighbours: (B, wanted)."""
    if eigvals.size(-1) == 1:
        return eigvals
    below = eigvals[:, :-1] - eigvals[:, 1:]
    above = torch.cat([torch.full_like(below[:, :1], torch.inf), below], dim=-1)
    below = torch.cat([below, eigvals[:, -1:]], dim=-1)
    return torch.minimum(above, below)[:, :wanted]
