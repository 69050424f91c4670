"""Extended dynamic mode decomposition (EDMD): eigenpairs of the compression, modes, and prediction.

K_N = G^+ A acts on coefficients, Psi_X K_N ~ Psi_Y; here K_N = T A~ T^+ with the orthonormal form of
`zoo.koopman.factors` (Williams, Kevrekidis and Rowley, 2015). A finite matrix always has eigenvalues, whether the
Koopman operator has or not: verify them (`zoo.koopman.residuals`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.factors import Factors
from zoo.koopman.gram import double, root_weights

# Moduli this close count as equal when eigenvalues are ordered.
TIE_DECIMALS = 10


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenpairs of a Koopman matrix, by descending modulus, then ascending angle in (-pi, pi].

    Attributes:
        eigenvalues: (r,) complex128.
        right: V, (N, r) complex128: eigenfunctions Psi V, of norm one on the data, the largest coordinate positive.
        left: W, (N, r) complex128: w_j* K_N = lambda_j w_j*, of norm one in coordinates of the orthonormal form.
        matrix: K_N, (N, N), real for real dictionaries.
    """

    eigenvalues: Tensor
    right: Tensor
    left: Tensor
    matrix: Tensor


def edmd(factors: Factors) -> Eigenpairs:
    """Return the EDMD eigenpairs of a dictionary from the orthonormal form of its data."""
    compression = factors.compression.cpu().numpy()
    eigvals, left, right = scipy.linalg.eig(compression, left=True, right=True)
    order = order_of(eigvals)
    device = factors.basis.device
    values, left, right = (
        torch.from_numpy(np.asarray(part, dtype=np.complex128)).to(device)
        for part in (eigvals[order], left[:, order], right[:, order])
    )
    return Eigenpairs(
        eigenvalues=values,
        right=factors.basis.to(right.dtype) @ fix_phases(right),
        left=factors.coordinates.mH.to(left.dtype) @ fix_phases(left),
        matrix=factors.basis @ factors.compression @ factors.coordinates,
    )


def order_of(eigvals: np.ndarray) -> np.ndarray:
    """Return the order by descending modulus, then ascending angle, of eigenvalues (r,)."""
    return np.lexsort((np.angle(eigvals), -np.abs(eigvals).round(TIE_DECIMALS)))


def fix_phases(vectors: Tensor) -> Tensor:
    """Scale columns to norm one with the first entry of nearly largest modulus positive."""
    modulus = vectors.abs()
    # Entries equal in exact arithmetic differ in the last bits: all within 1e-6 of the largest count as largest.
    leading = (modulus >= (1 - 1e-6) * modulus.amax(dim=0)).int().argmax(dim=0, keepdim=True)
    entry = vectors.gather(0, leading)
    return vectors * (entry.conj() / entry.abs()) / torch.linalg.vector_norm(vectors, dim=0)


def observable_coefficients(factors: Factors, psi_x: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the coefficients B, (N, d), of the weighted least-squares fit Psi_X B ~ h(X).

    Args:
        factors: of the same snapshots.
        psi_x: (M, N) dictionary.
        values: h(X), (M, d), real or complex.
        weights: (M,), as given to the factors.

    Raises:
        ValueError: the numbers of rows differ.
    """
    values, psi_x = double("values", values), double("psi_x", psi_x)
    require(values.ndim == 2 and len(values) == len(psi_x), "values", tuple(values.shape), f"({len(psi_x)}, d)")
    root = root_weights(psi_x, weights)
    orthonormal = root * psi_x @ factors.basis
    dtype = torch.promote_types(orthonormal.dtype, values.dtype)
    return factors.basis.to(dtype) @ (orthonormal.mH.to(dtype) @ (root * values).to(dtype))


def modes(pairs: Eigenpairs, factors: Factors, coefficients: Tensor) -> Tensor:
    """Return the Koopman modes, (r, d): h(x_n) = sum_j lambda_j^n phi_j(x_0) xi_j with phi = psi V, rows xi_j.

    Args:
        pairs: all r eigenpairs.
        factors: that they came from.
        coefficients: B, (N, d), of the observables; what they hold outside the span of the data is ignored.
    """
    coordinates = factors.coordinates.to(torch.complex128)
    # Least squares: where the matrix is not diagonalisable the eigenvectors do not span, and nothing exact exists.
    return torch.linalg.pinv(coordinates @ pairs.right) @ (coordinates @ coefficients.to(torch.complex128))


def predict(matrix: Tensor, psi: Tensor, coefficients: Tensor, steps: int) -> Tensor:
    """Return the forecast of observables, h(x_n) ~ psi(x_0) K_N^n B for n = 0 .. steps.

    By powers of the matrix, hence also right where it is not diagonalisable.

    Args:
        matrix: K_N, (N, N).
        psi: dictionary at initial states, (B, N).
        coefficients: B, (N, d).
        steps: number of steps n.

    Returns:
        (steps + 1, B, d); real if all arguments are.

    Raises:
        ValueError: steps is negative.
    """
    require(type(steps) is int and steps >= 0, "steps", steps, "an integer >= 0")
    dtype = torch.promote_types(torch.promote_types(matrix.dtype, psi.dtype), coefficients.dtype)
    rows, matrix, coefficients = psi.to(dtype), matrix.to(dtype), coefficients.to(dtype)
    forecast = [rows @ coefficients]
    for _ in range(steps):
        rows = rows @ matrix
        forecast.append(rows @ coefficients)
    return torch.stack(forecast)
