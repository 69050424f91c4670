"""The statistics of snapshots that every Koopman learner starts from: a Gram matrix, or its triangular factor.

Snapshots are pairs x, y = F(x) with weights w; a dictionary of N functions makes rows psi(x), psi(y). With `*` the
conjugate transpose and the row z = sqrt(w) [psi(x), psi(y)] of length 2N, everything below needs one of

    H = sum z* z = [[G, A], [A*, L]]    G_jk = <psi_k, psi_j>,  A_jk = <K psi_k, psi_j>,  L_jk = <K psi_k, K psi_j>,
    R = [[R11, R12], [0, R22]]          the triangular factor of a QR decomposition of the rows, H = R* R.

The first index is the bra. H is a plain sum over snapshots; factors of parts of the data merge by the QR decomposition
of the stacked factors. Squaring costs half of the digits: a residual of an exactly invariant dictionary is 1e-8 from H
and 1e-15 from R (Colbrook and Townsend, 2024, arXiv 2111.14889, call the two forms Gram and QR).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from zoo.checks import require

# Rows decomposed at once, at least.
LEAF_ROWS = 256


def double(name: str, values: Tensor | ArrayLike) -> Tensor:
    """Return a finite array as a float64 or complex128 tensor.

    Raises:
        ValueError: an entry is NaN or infinite; the first index along the first axis is named.
    """
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values))
    tensor = tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
    finite = tensor.isfinite()
    if not finite.all():
        rows = (~finite).reshape(len(finite), -1).any(dim=1).nonzero().flatten() if finite.ndim else torch.zeros(1)
        raise ValueError(f"{name} holds NaN or infinity, first at index {int(rows[0])} of its first axis")
    return tensor


def triangle_of_snapshots(psi_x: Tensor, psi_y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the triangular factor R of the weighted rows [psi(x), psi(y)], (2N, 2N).

    Args:
        psi_x: (M, N) dictionary at x, real or complex.
        psi_y: (M, N) dictionary at y.
        weights: (M,) >= 0, a quadrature rule of the measure; 1 / M each if None.

    Raises:
        ValueError: shapes differ, or an entry is not finite.
    """
    psi_x, psi_y = double("psi_x", psi_x), double("psi_y", psi_y)
    require(psi_x.ndim == 2, "psi_x", tuple(psi_x.shape), "a matrix (M, N), one row for each snapshot")
    require(psi_y.shape == psi_x.shape, "psi_y", tuple(psi_y.shape), f"the shape of psi_x, {tuple(psi_x.shape)}")
    return triangle_of_rows(root_weights(psi_x, weights) * torch.cat([psi_x, psi_y], dim=1))


def triangle_of_rows(rows: Tensor) -> Tensor:
    """Return the triangular factor of rows (M, n), (n, n), by a tree of small decompositions.

    One decomposition of all rows would lose up to M machine epsilons where values repeat; a tree loses log M.
    """
    width = rows.shape[1]
    leaf = max(LEAF_ROWS, 4 * width)
    while len(rows) > leaf:
        even = len(rows) // leaf * leaf
        factors = torch.linalg.qr(rows[:even].reshape(-1, leaf, width), mode="r").R
        rows = torch.cat([factors.reshape(-1, width), rows[even:]])
    return square_triangle(torch.linalg.qr(rows, mode="r").R)


def root_weights(psi_x: Tensor, weights: Tensor | None) -> Tensor:
    """Return the square roots of the weights of rows (M, N), (M, 1) float64; weights are 1 / M each if None.

    Raises:
        ValueError: the number of weights is wrong, or one is negative or not finite.
    """
    size = len(psi_x)
    require(size >= 1, "psi_x", f"{size} rows", "at least one snapshot")
    if weights is None:
        return torch.full((size, 1), size**-0.5, dtype=torch.float64, device=psi_x.device)
    weights = double("weights", weights).to(psi_x.device)
    require(weights.shape == (size,), "weights", tuple(weights.shape), f"one weight for each snapshot, ({size},)")
    require(not weights.is_complex(), "weights", weights.dtype, "real numbers >= 0")
    require(bool((weights >= 0).all()), "weights", float(weights.min()), "numbers >= 0")
    return weights.sqrt()[:, None]


def square_triangle(triangle: Tensor) -> Tensor:
    """Return a factor (k, n) as an upper triangular one of shape (n, n), with rows of zeros where k < n."""
    if len(triangle) > triangle.shape[1] or bool(triangle.tril(-1).any()):
        triangle = torch.linalg.qr(triangle, mode="r").R
    missing = triangle.shape[1] - len(triangle)
    return torch.cat([triangle, triangle.new_zeros(missing, triangle.shape[1])])


def merge_triangles(triangles: list[Tensor]) -> Tensor:
    """Return the factor of all data from the factors of its parts."""
    return triangle_of_rows(torch.cat(triangles))


def triangle_of_gram(gram: Tensor) -> tuple[Tensor, float]:
    """Return R with R* R = H and what rounding cost.

    G and A are kept as they are; eigenvalues of the leak L - A* G^+ A below zero are replaced by zero, which changes L.
    Functions are scaled to norm one first, so that units do not decide what is small: eigenvalues of the scaled G below
    2N machine epsilons of the largest are zero.

    Args:
        gram: H, (2N, 2N) Hermitian, positive semi-definite up to rounding or sampling.

    Returns:
        R, (2N, 2N); and how far below zero the smallest eigenvalue of the scaled leak lay (0 if it did not).

    Raises:
        ValueError: the matrix is not square with an even number of rows, not Hermitian, or not finite.
    """
    gram = double("gram", gram)
    require(
        gram.ndim == 2 and gram.shape[0] == gram.shape[1] and len(gram) % 2 == 0,
        "gram",
        tuple(gram.shape),
        "a square matrix (2N, 2N)",
    )
    asymmetry = float((gram - gram.mH).abs().max())
    require(asymmetry <= 1e-10 * float(gram.abs().max()), "gram", f"{asymmetry} from its adjoint", "a Hermitian matrix")
    here, cross, there = blocks((gram + gram.mH) / 2)
    scale = _norms(here)
    eigvals, eigvecs = torch.linalg.eigh(here / (scale[:, None] * scale))
    kept = eigvals > len(gram) * torch.finfo(torch.float64).eps * eigvals[-1]
    roots, eigvecs = eigvals[kept].sqrt()[:, None], eigvecs[:, kept]
    top = torch.cat([roots * eigvecs.mH * scale, eigvecs.mH @ (cross / scale[:, None]) / roots], dim=1)
    image = top[:, len(here) :]
    leak = there - image.mH @ image
    scale = _norms(there)
    eigvals, eigvecs = torch.linalg.eigh(leak / (scale[:, None] * scale))
    below = eigvals.clamp(min=0).sqrt()[:, None] * eigvecs.mH * scale
    rows = torch.cat([top, torch.cat([torch.zeros_like(below), below], dim=1)])
    return triangle_of_rows(rows), max(0.0, -float(eigvals[0]))


def _norms(gram: Tensor) -> Tensor:
    """Return the norms of functions from their Gram matrix (N, N), 1 for those that vanish."""
    norms = gram.diagonal().real.clamp(min=0).sqrt()
    return torch.where(norms > 0, norms, 1.0)


def blocks(gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return G, A and L, (N, N) each, of H."""
    size = len(gram) // 2
    return gram[:size, :size], gram[:size, size:], gram[size:, size:]


def assemble(gram: Tensor, cross: Tensor, shifted: Tensor) -> Tensor:
    """Return H from its blocks G, A and L."""
    return torch.cat([torch.cat([gram, cross], dim=1), torch.cat([cross.mH, shifted], dim=1)])


def select(triangle: Tensor, functions: Tensor) -> Tensor:
    """Return the factor of a part of the dictionary, given by the indices (n,) of its functions, without the data."""
    size = triangle.shape[1] // 2
    return triangle_of_rows(triangle[:, torch.cat([functions, size + functions])])
