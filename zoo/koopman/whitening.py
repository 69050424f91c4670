"""Whitening without a gradient: how losses that know spans alone are computed well, however a network scales.

A function f of the span of a dictionary is the same for Psi T with any invertible matrix T, constant or not. Hence its
gradient is that of f(Psi T) with T held constant, and T may be chosen by the values of Psi: the inverse of a triangular
factor of the whole batch. The functions Psi T are orthonormal, and what remains to be differentiated, Gram matrices and
their inverses, is that of the identity. No decomposition is differentiated, nothing is squared, no penalty is needed to
keep the dictionary well conditioned.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.koopman.factors import RANK_TOLERANCE
from zoo.koopman.gram import double, merge_triangles, square_triangle, triangle_of_rows
from zoo.koopman.ranks import gathered


@torch.no_grad()
def batch_triangle(name: str, psi: Tensor, weights: Tensor) -> Tensor:
    """Return the triangular factor of the weighted rows of a dictionary in all processes, (N, N), without gradients.

    Args:
        name: of the dictionary, for the message.
        psi: (M, N) real or complex, the rows of this process.
        weights: (M, 1), from `zoo.koopman.ranks.shares`.

    Raises:
        ValueError: an entry is not finite.
    """
    own = triangle_of_rows(weights.sqrt() * double(name, psi.detach()))
    triangles = gathered(own)
    return own if len(triangles) == 1 else merge_triangles(triangles)


@torch.no_grad()
def whitening(name: str, psi: Tensor, weights: Tensor) -> Tensor:
    """Return T: the functions Psi T are orthonormal in the global batch.

    Combinations of functions, scaled to norm one, with a relative singular value below N machine epsilons of the
    dictionary's dtype, at least `RANK_TOLERANCE`, are left out.

    Args:
        name: of the dictionary, for the message.
        psi: (M, N) real or complex, the rows of this process.
        weights: (M, 1), from `zoo.koopman.ranks.shares`.

    Returns:
        T, (N, r), float64 or complex128.

    Raises:
        ValueError: an entry is not finite, or all are zero.
    """
    triangle = square_triangle(batch_triangle(name, psi, weights))
    scale = torch.linalg.vector_norm(triangle, dim=0)
    if not scale.any():
        raise ValueError(f"{name} vanishes on the batch; give a dictionary with a function that does not")
    scale = torch.where(scale > 0, scale, 1.0)
    _, singular_values, right = torch.linalg.svd(triangle / scale)
    tolerance = max(RANK_TOLERANCE, psi.shape[1] * torch.finfo(psi.dtype).eps)
    rank = int((singular_values > tolerance * singular_values[0]).sum())
    if rank == len(triangle):
        identity = torch.eye(rank, dtype=triangle.dtype, device=triangle.device)
        return torch.linalg.solve_triangular(triangle, identity, upper=True)
    return right[:rank].mH / singular_values[:rank] / scale[:, None]
