"""The orthonormal form of a dictionary: in it every quantity of Koopman learning is one small matrix product.

With the factor R of `zoo.koopman.gram` and an invertible R11, the functions Psi R11^-1 are orthonormal, and the
Koopman operator followed by the projection on their span is the compression

    A~ = R12 R11^-1,    with the leak D = L~ - A~* A~ = (R22 R11^-1)* (R22 R11^-1) >= 0:

what the operator moves out of the span. For every function g of the span, with coefficients g~,

    ||(K - z) g||^2 = ||(A~ - z) g~||^2 + ||D^1/2 g~||^2,

projected part and leak. D = 0 says that the span is invariant. The leak costs nothing but a triangular factor that the
QR decomposition of [Psi_X, Psi_Y] holds already, and nothing is squared.

Rule for dependent dictionaries: R11, with columns scaled to norm one, is decomposed by singular values, and those below
`RANK_TOLERANCE` of the largest are dropped (from a Gram matrix, which knows squares only: those whose square is below
2N machine epsilons). The span is that of what is left; `Factors.rank` tells, and a `RankDeficiencyWarning`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.gram import double, square_triangle, triangle_of_gram, triangle_of_snapshots

Arithmetic = Literal["triangular", "gram"]

RANK_TOLERANCE = 1e-12


class RankDeficiencyWarning(UserWarning):
    """The functions of a dictionary depend on each other on the data; some combinations were dropped."""


@dataclass(frozen=True)
class Factors:
    """Orthonormal form of a dictionary of N functions whose span has dimension r on the data.

    Real dictionaries have float64 tensors, others complex128.

    Attributes:
        triangle: R, (2N, 2N): norms of Psi g and of K Psi g are those of its halves' columns times g.
        compression: A~, (r, r).
        leak: D^1/2 up to a unitary factor from the left, (r, r).
        basis: T, (N, r): the functions Psi T are orthonormal.
        coordinates: (r, N): the function Psi c has coordinates `coordinates @ c`; `coordinates @ basis` = 1.
        singular_values: of R11 with columns of norm one, (N,), descending.
        arithmetic: "triangular" (from a QR factor) or "gram" (from a Gram matrix, half of the digits).
        clamped: how far below zero rounding had driven an eigenvalue that must not be negative; 0 if "triangular".
    """

    triangle: Tensor
    compression: Tensor
    leak: Tensor
    basis: Tensor
    coordinates: Tensor
    singular_values: Tensor
    arithmetic: Arithmetic
    clamped: float = 0.0

    @property
    def size(self) -> int:
        """Number of functions N."""
        return self.basis.shape[0]

    @property
    def rank(self) -> int:
        """Dimension r of the span on the data."""
        return self.basis.shape[1]

    @property
    def condition(self) -> float:
        """Ratio of the largest to the smallest kept singular value of the scaled R11."""
        return float(self.singular_values[0] / self.singular_values[self.rank - 1])

    @property
    def is_real(self) -> bool:
        """Whether the dictionary is real, hence all spectra symmetric about the real axis."""
        return not self.compression.is_complex()

    def distrusts(self, dtype: torch.dtype) -> bool:
        """Tell whether features computed in a dtype lose more than three digits' worth of what the certificate needs.

        That is so when condition * machine epsilon of the dtype > 1e-3: whiten the features or compute them in float64.
        """
        return self.condition * torch.finfo(dtype).eps > 1e-3


def factorize(
    triangle: Tensor,
    *,
    arithmetic: Arithmetic = "triangular",
    tolerance: float = RANK_TOLERANCE,
    clamped: float = 0.0,
) -> Factors:
    """Return the orthonormal form from the triangular factor R of the rows sqrt(w) [psi(x), psi(y)].

    Args:
        triangle: R, (k, 2N) with k <= 2N, upper triangular.
        arithmetic: where R came from, kept with the result.
        tolerance: relative to the largest singular value of the scaled R11, see the top of this file.
        clamped: kept with the result.

    Raises:
        ValueError: wrong shape, entries that are not finite, or a dictionary that vanishes on the data.
    """
    triangle = double("triangle", triangle)
    require(
        triangle.ndim == 2 and triangle.shape[1] % 2 == 0 and triangle.shape[1] > 0,
        "triangle",
        tuple(triangle.shape),
        "a factor (k, 2N) of N functions at x and N functions at y",
    )
    triangle = square_triangle(triangle)
    size = len(triangle) // 2
    here, there, below = triangle[:size, :size], triangle[:size, size:], triangle[size:, size:]
    scale = torch.linalg.vector_norm(here, dim=0)
    require(bool(scale.any()), "triangle", "R11 = 0", "a dictionary that does not vanish on all snapshots")
    scale = torch.where(scale > 0, scale, 1.0)
    left, singular_values, right = torch.linalg.svd(here / scale)
    rank = int((singular_values > tolerance * singular_values[0]).sum())
    if rank == size:
        # In the triangular basis A~ keeps the grading of the dictionary, which eigenvalue solvers profit from.
        basis = torch.linalg.solve_triangular(here, torch.eye(size, dtype=here.dtype, device=here.device), upper=True)
        coordinates = here
        compression, leak = there @ basis, below @ basis
    else:
        warnings.warn(
            f"the {size} functions of the dictionary span only {rank} dimensions on the data (relative tolerance "
            f"{tolerance:.1e}); the others were dropped",
            RankDeficiencyWarning,
            stacklevel=2,
        )
        basis = right[:rank].mH / singular_values[:rank] / scale[:, None]
        coordinates = singular_values[:rank, None] * right[:rank] * scale
        image = left.mH @ there @ basis
        # What leaves the span goes to dropped directions, or out of the whole dictionary.
        compression, leak = image[:rank], torch.linalg.qr(torch.cat([image[rank:], below @ basis]), mode="r").R
    return Factors(
        triangle=triangle,
        compression=compression,
        leak=leak,
        basis=basis,
        coordinates=coordinates,
        singular_values=singular_values,
        arithmetic=arithmetic,
        clamped=clamped,
    )


def factorize_gram(gram: Tensor) -> Factors:
    """Return the orthonormal form from the Gram matrix H = [[G, A], [A*, L]], (2N, 2N).

    Raises:
        ValueError: see `zoo.koopman.gram.triangle_of_gram`.
    """
    triangle, clamped = triangle_of_gram(gram)
    tolerance = float((len(triangle) * torch.finfo(torch.float64).eps) ** 0.5)
    return factorize(triangle, arithmetic="gram", tolerance=tolerance, clamped=clamped)


def factorize_snapshots(psi_x: Tensor, psi_y: Tensor, weights: Tensor | None = None) -> Factors:
    """Return the orthonormal form of a dictionary given on snapshots, (M, N) each, with weights (M,) or 1 / M."""
    return factorize(triangle_of_snapshots(psi_x, psi_y, weights))
