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
from torch import Tensor

from zoo.checks import require, require_positive

Array = NDArray[np.float64]

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
"""Eigenvalues closer than this, in units of the magnitude of the spectrum, are one repeated eigenvalue: float64 solvers
err by about 1e-14, and distinct eigenvalues of molecules lie 1e-5 apart or more."""


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
    root = None if mass is None or (mass == 1).all() else np.sqrt(mass)
    if root is not None:
        inverse = scipy.sparse.diags(1 / root)
        matrix = inverse @ matrix @ inverse
    magnitude = float(np.real(matrix.diagonal()).mean()) or 1.0
    values, vectors = _pairs(matrix.tocsc(), k, magnitude, snap)
    if root is not None:
        vectors = vectors / root[:, None]
    # Rounding leaves eigenvalues such as -7e-16, whose powers are NaN.
    return np.maximum(values, 0.0), vectors


def end_of_eigenspace(eigvals: Array | Tensor, k: int, magnitude: float = 1.0) -> int:
    """Return the smallest number >= k of ascending eigenvalues (m,) that does not end inside a repeated eigenvalue.

    Args:
        eigvals: eigenvalues.
        k: the least number.
        magnitude: of the whole spectrum, such as its mean or its largest degree.
    """
    while 0 < k < len(eigvals) and eigvals[k] - eigvals[k - 1] < GAP * magnitude:
        k += 1
    return k


def factorize(matrix: scipy.sparse.spmatrix) -> scipy.sparse.linalg.SuperLU:
    """Return the factors L U of a Hermitian matrix: no pivoting, and a symmetric order of elimination with less fill.

    Raises:
        RuntimeError: a pivot is exactly 0, as never of a definite matrix.
    """
    return scipy.sparse.linalg.splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


def count_below(matrix: scipy.sparse.spmatrix, threshold: float) -> int | None:
    """Count the eigenvalues of a sparse Hermitian matrix below a threshold that is none, by Sylvester's law of inertia.

    Returns:
        The number of negative pivots of matrix - threshold I; None if it could not be factorised symmetrically.
    """
    try:
        factors = factorize(matrix - threshold * scipy.sparse.identity(matrix.shape[0]))
    except RuntimeError:
        return None
    symmetric = (factors.perm_r == factors.perm_c).all()
    return int((factors.U.diagonal().real < 0).sum()) if symmetric else None


def _pairs(matrix: scipy.sparse.csc_matrix, k: int, magnitude: float, snap: bool) -> tuple[Array, NDArray[Any]]:
    size, wanted = matrix.shape[0], k + 2
    while size > DENSE_SIZE and (wanted < DENSE_FRACTION * size or size > 4000) and wanted < size - 1:
        try:
            values, vectors = lanczos(matrix, wanted, magnitude)
        except scipy.sparse.linalg.ArpackError:
            break
        end = end_of_eigenspace(values, k, magnitude)
        if end == wanted:
            wanted *= 2
            continue
        if size <= COUNTED_SIZE and count_below(matrix, float(values[end - 1] + values[end]) / 2) not in (end, None):
            break
        kept = end if snap else k
        return values[:kept], vectors[:, :kept]
    if size > LARGEST_DENSE:
        raise RuntimeError(
            f"the {k} lowest eigenpairs of {size} rows were not found by iteration, and {size} rows are too many for "
            f"the dense solver, whose limit is {LARGEST_DENSE}; give fewer eigenpairs or fewer points"
        )
    values, vectors = scipy.linalg.eigh(matrix.toarray(), driver="evd")
    kept = end_of_eigenspace(values, k, magnitude) if snap else k
    return values[:kept], vectors[:, :kept]


def lanczos(matrix: scipy.sparse.csc_matrix, k: int, magnitude: float = 1.0) -> tuple[Array, NDArray[Any]]:
    """Return what Lanczos iterations find of the k lowest eigenpairs, k well below N; copies may be missing.

    Args:
        matrix: (N, N) Hermitian, positive semi-definite.
        k: how many.
        magnitude: of the spectrum, such as the mean diagonal.

    Returns:
        Eigenvalues (k,) ascending, and orthonormal eigenvectors (N, k).

    Raises:
        scipy.sparse.linalg.ArpackError: the iteration failed, as where it found the whole of an eigenspace.
    """
    size = matrix.shape[0]
    start = np.random.default_rng(0).standard_normal(size).astype(matrix.dtype)
    shifted = (matrix - SHIFT * magnitude * scipy.sparse.identity(size, format="csc")).tocsc()
    inverse = scipy.sparse.linalg.LinearOperator(matrix.shape, matvec=factorize(shifted).solve, dtype=matrix.dtype)
    # Largest eigenvalues of the inverse itself: ARPACK then needs no general solver, also for complex matrices.
    _, vectors = scipy.sparse.linalg.eigsh(inverse, k=k, which="LM", v0=start)
    # Orthogonality is lost inside clusters in the last digits; Rayleigh and Ritz restore it.
    basis, _ = np.linalg.qr(vectors)
    projected = basis.conj().T @ (matrix @ basis)
    values, rotation = np.linalg.eigh((projected + projected.conj().T) / 2)
    return values, basis @ rotation
