"""How far a candidate pair is from being an eigenpair of the Koopman operator itself, not of a matrix.

    res(lambda, g)^2 = ||(K - lambda) g||^2 / ||g||^2 = g* (L - lambda A* - conj(lambda) A + |lambda|^2 G) g / g* G g

in the limit of many snapshots (Colbrook and Townsend, 2024, arXiv 2111.14889). It is computed un-squared, from norms of
columns. It splits: res^2 = projected^2 + leak^2, where the first is the residual of the compression of K on the span of
the dictionary, and the second what K moves out of the span. For an eigenpair of EDMD the first is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.factors import Factors
from zoo.koopman.gram import blocks, root_weights


@dataclass(frozen=True)
class Residuals:
    """Residuals of k pairs, float64, (k,) each; infinite where a function vanishes on the data.

    Attributes:
        residual: ||(K - lambda) g|| / ||g||.
        projected: its part inside the span of the dictionary.
        leak: its part outside.
    """

    residual: Tensor
    projected: Tensor
    leak: Tensor


def pair_residuals(factors: Factors, eigenvalues: Tensor, coefficients: Tensor) -> Residuals:
    """Return the residuals of pairs, wherever they came from, on the data of the factors.

    Args:
        factors: of the data to verify on; best not those that the pairs were found on.
        eigenvalues: (k,).
        coefficients: (N, k), the functions Psi c, columns of any length, in the dictionary of the factors.

    Raises:
        ValueError: shapes do not fit.
    """
    eigenvalues, coefficients = _pairs(factors.size, eigenvalues, coefficients)
    size, triangle = factors.size, factors.triangle.to(torch.complex128)
    here, there = triangle[:, :size] @ coefficients, triangle[:, size:] @ coefficients
    norm = torch.linalg.vector_norm(here, dim=0)
    error = there - eigenvalues * here
    span = triangle[:, :size] @ factors.basis.to(triangle.dtype)
    inside = span.mH @ error
    projected = torch.linalg.vector_norm(inside, dim=0)
    leak = torch.linalg.vector_norm(error - span @ inside, dim=0)
    residual = torch.linalg.vector_norm(error, dim=0)
    return Residuals(*(torch.where(norm > 0, part / norm, torch.inf) for part in (residual, projected, leak)))


def gram_residuals(gram: Tensor, eigenvalues: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Return the residuals of pairs by the quadratic form of H alone, (k,), and their squares before clamping, (k,).

    Rounding leaves about 1e-8 where the residual is zero, and may leave a negative square, which is clamped to zero.
    """
    eigenvalues, coefficients = _pairs(len(gram) // 2, eigenvalues, coefficients)
    norms, cross, shifted = (block.to(torch.complex128) for block in blocks(gram))

    def form(matrix: Tensor) -> Tensor:
        return (coefficients.conj() * (matrix @ coefficients)).sum(dim=0)

    numerator = form(shifted).real - 2 * (eigenvalues.conj() * form(cross)).real
    squares = (numerator + eigenvalues.abs() ** 2 * form(norms).real) / form(norms).real
    return squares.clamp(min=0).sqrt(), squares


def data_residuals(
    psi_x: Tensor, psi_y: Tensor, eigenvalues: Tensor, coefficients: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return ||W^1/2 (Psi_Y - lambda Psi_X) c|| / ||W^1/2 Psi_X c|| of pairs on snapshots at hand, (k,) float64."""
    eigenvalues, coefficients = _pairs(psi_x.shape[1], eigenvalues, coefficients)
    root = root_weights(psi_x, weights)
    here, there = ((root * psi).to(torch.complex128) @ coefficients for psi in (psi_x, psi_y))
    return torch.linalg.vector_norm(there - eigenvalues * here, dim=0) / torch.linalg.vector_norm(here, dim=0)


def isometry_residuals(factors: Factors, eigenvalues: Tensor, coefficients: Tensor) -> Residuals:
    """Return the residuals of pairs under the assumption that K is an isometry, L = G.

    That is res^2 = v* (2G - lambda A* - conj(lambda) A) v for |lambda| = 1 and v* G v = 1 (Colbrook, 2023, arXiv
    2209.02244), with the leak 1 - ||A~ v~||^2, clamped at zero.
    """
    eigenvalues, coefficients = _pairs(factors.size, eigenvalues, coefficients)
    vectors = factors.coordinates.to(torch.complex128) @ coefficients
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=0)
    image = factors.compression.to(torch.complex128) @ vectors
    projected = torch.linalg.vector_norm(image - eigenvalues * vectors, dim=0)
    leak = (1 - torch.linalg.vector_norm(image, dim=0) ** 2).clamp(min=0).sqrt()
    return Residuals(torch.hypot(projected, leak), projected, leak)


def verified(residuals: Tensor, epsilon: float) -> Tensor:
    """Return the indices of the pairs with residual <= epsilon: removes what is spurious, adds nothing that is missing.

    Algorithm 1 of ResDMD (Colbrook and Townsend, 2024, arXiv 2111.14889).
    """
    require(epsilon >= 0, "epsilon", epsilon, "a number >= 0")
    return (residuals <= epsilon).nonzero().flatten()


def mean_leak(factors: Factors) -> float:
    """Return ||D^1/2||_F^2 / r, the mean squared leak: it knows no basis, and is zero iff the span is invariant.

    Equal to tr(G^-1 (L - A* G^-1 A)) / N; for an isometry 1 - VAMP2 / N.
    """
    return float(torch.linalg.matrix_norm(factors.leak) ** 2) / factors.rank


def _pairs(size: int, eigenvalues: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    require(
        coefficients.ndim == 2 and len(coefficients) == size,
        "coefficients",
        tuple(coefficients.shape),
        f"a matrix ({size}, k), one row for each function of the dictionary",
    )
    require(
        eigenvalues.shape == (coefficients.shape[1],),
        "eigenvalues",
        tuple(eigenvalues.shape),
        f"one for each column of the coefficients, ({coefficients.shape[1]},)",
    )
    return eigenvalues.to(torch.complex128), coefficients.to(torch.complex128)
