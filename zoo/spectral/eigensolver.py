"""The lowest eigenpairs of large sparse Hermitian matrices, real or complex, complete and reproducible.

Shift-invert Lanczos from a fixed start vector, a little below 0 so that matrices with a kernel can be factorised. The
number of eigenvalues below the last gap is counted by the law of inertia where a second factorisation is affordable:
Lanczos iterations can miss copies of a repeated eigenvalue. Small matrices are decomposed as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from zoo.checks import require, require_positive
from zoo.spectral.point_graph import Array

DENSE_SIZE = 800
"""Matrices up to this size are decomposed as a whole."""

DENSE_FRACTION = 1 / 4
"""Part of all eigenpairs from which the dense solver is the faster one, up to 4000 rows."""

LARGEST_DENSE = 20_000
"""Matrices above this size are never decomposed as a whole: they would take 3 GB and hours."""

COUNTED_SIZE = 20_000
"""Matrices up to this size have their eigenvalues counted by a second factorisation."""

SHIFT = -1e-4
"""Shift of the spectrum, in units of the mean diagonal."""

GAP = 1e-8
"""Eigenvalues closer than this, in units of the mean diagonal, belong to one eigenspace."""


def lowest_eigenpairs(
    matrix: scipy.sparse.spmatrix, k: int | None, mass: Array | None = None, snap: bool = False
) -> tuple[Array, NDArray[Any]]:
    """Return the lowest eigenpairs of L u = lambda M u.

    Args:
        matrix: L, (N, N) real symmetric or complex Hermitian, positive semi-definite, sparse.
        k: how many, from 1 to N; all if None.
        mass: diagonal of M, (N,) > 0; ones if None.
        snap: add pairs until the next gap, so that the result does not end inside a repeated eigenvalue.

    Returns:
        Eigenvalues (m,) ascending and >= 0, and eigenvectors (N, m) in columns with U^* M U = 1.

    Raises:
        ValueError: k is out of its range.
        RuntimeError: the iteration failed on a matrix that is too large for the dense solver.
    """
    size = matrix.shape[0]
    if k is None:
        k = size
    require_positive(k=k)
    require(k <= size, "k", k, f"an integer from 1 to {size}, the number of rows")
    root = None if mass is None else np.sqrt(mass)
    if root is not None:
        inverse = scipy.sparse.diags(1 / root)
        matrix = inverse @ matrix @ inverse
    magnitude = float(np.real(matrix.diagonal()).mean()) or 1.0
    values, vectors = _pairs(matrix.tocsc(), k, magnitude, snap)
    if root is not None:
        vectors = vectors / root[:, None]
    # Rounding leaves eigenvalues such as -7e-16, whose powers are NaN.
    return np.maximum(values, 0.0), vectors


def end_of_cluster(values: Array, k: int, gap: float) -> int:
    """Return the smallest number >= k of ascending values that does not end inside a cluster."""
    while k < len(values) and values[k] - values[k - 1] < gap:
        k += 1
    return k


def _pairs(matrix: scipy.sparse.csc_matrix, k: int, magnitude: float, snap: bool) -> tuple[Array, NDArray[Any]]:
    size, wanted = matrix.shape[0], k + 2
    while size > DENSE_SIZE and (wanted < DENSE_FRACTION * size or size > 4000) and wanted < size - 1:
        try:
            values, vectors = _lanczos(matrix, wanted, magnitude)
        except scipy.sparse.linalg.ArpackError:
            break
        end = end_of_cluster(values, k, GAP * magnitude)
        if end == wanted:
            wanted *= 2
            continue
        if size <= COUNTED_SIZE and _number_below(matrix, float(values[end - 1] + values[end]) / 2) not in (end, None):
            break
        kept = end if snap else k
        return values[:kept], vectors[:, :kept]
    if size > LARGEST_DENSE:
        raise RuntimeError(
            f"the {k} lowest eigenpairs of {size} rows were not found by iteration, and {size} rows are too many for "
            f"the dense solver, whose limit is {LARGEST_DENSE}; give fewer eigenpairs or fewer points"
        )
    values, vectors = scipy.linalg.eigh(matrix.toarray(), driver="evd")
    kept = end_of_cluster(values, k, GAP * magnitude) if snap else k
    return values[:kept], vectors[:, :kept]


def _lanczos(matrix: scipy.sparse.csc_matrix, k: int, magnitude: float) -> tuple[Array, NDArray[Any]]:
    size = matrix.shape[0]
    start = np.random.default_rng(0).standard_normal(size).astype(matrix.dtype)
    shifted = (matrix - SHIFT * magnitude * scipy.sparse.identity(size, format="csc")).tocsc()
    # The matrix is positive definite: no pivoting, and a symmetric order of elimination with less fill.
    factors = scipy.sparse.linalg.splu(
        shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    inverse = scipy.sparse.linalg.LinearOperator(matrix.shape, matvec=factors.solve, dtype=matrix.dtype)
    # Largest eigenvalues of the inverse itself: ARPACK then needs no general solver, also for complex matrices.
    _, vectors = scipy.sparse.linalg.eigsh(inverse, k=k, which="LM", v0=start)
    # Orthogonality is lost inside clusters in the last digits; Rayleigh and Ritz restore it.
    basis, _ = np.linalg.qr(vectors)
    projected = basis.conj().T @ (matrix @ basis)
    values, rotation = np.linalg.eigh((projected + projected.conj().T) / 2)
    return values, basis @ rotation


def _number_below(matrix: scipy.sparse.csc_matrix, threshold: float) -> int | None:
    shifted = (matrix - threshold * scipy.sparse.identity(matrix.shape[0], format="csc")).tocsc()
    try:
        factors = scipy.sparse.linalg.splu(
            shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError:  # a pivot is exactly zero
        return None
    symmetric = (factors.perm_r == factors.perm_c).all()
    return int((factors.U.diagonal().real < 0).sum()) if symmetric else None
