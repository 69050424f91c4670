"""Pseudospectra with certificates: where the Koopman operator itself nearly has eigenfunctions.

    tau(z) = min_g res(z, g) = smallest singular value of [A~ - z; D^1/2],    H(z) = (A~ - z)* (A~ - z) + D,

(Colbrook and Townsend, 2024, arXiv 2111.14889, algorithm 2). tau decreases to sigma_inf(K - z) with nested
dictionaries, in the limit of many snapshots, hence {tau < epsilon} never contains a point outside the approximate point
epsilon-pseudospectrum. tau is 1-Lipschitz, symmetric about the real axis for real dictionaries, and where the system is
known to preserve the measure at least |1 - |z||.

Eigenvalues of H(z) are several times cheaper than singular values, but squared: points where that would show are
computed again by singular values, so that tau errs by about 1e-13 ||A~|| everywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.edmd import fix_phases
from zoo.koopman.factors import Factors
from zoo.koopman.hermitian_forms import HermitianForms

# Below this fraction of ||H|| an eigenvalue of H(z) is replaced by the square of a singular value.
SQUARING_FLOOR = 1e-4

# Points whose coordinates agree to this many decimals are one point.
POINT_DECIMALS = 14


def grid(real: tuple[float, float], imag: tuple[float, float], step: float) -> Tensor:
    """Return grid points, (n_imag, n_real) complex128, both ends included if the step divides the range.

    Raises:
        ValueError: an interval is empty or the step not positive.
    """
    require(step > 0, "step", step, "a number > 0")
    axes = []
    for name, (low, high) in (("real", real), ("imag", imag)):
        require(low <= high, name, (low, high), "an interval (low, high)")
        axes.append(low + step * torch.arange(math.floor((high - low) / step + 1e-9) + 1, dtype=torch.float64))
    return torch.complex(axes[0].expand(len(axes[1]), -1), axes[1][:, None].expand(-1, len(axes[0])))


def smallest_residuals(factors: Factors, points: Tensor, measure_preserving: bool = False) -> Tensor:
    """Return tau at points z of any shape, float64 of that shape.

    Args:
        factors: of a dictionary on data.
        points: complex numbers.
        measure_preserving: the system is known to preserve the measure: return max(tau, |1 - |z||).

    Raises:
        ValueError: a point is not finite.
    """
    points = torch.as_tensor(points, device=factors.basis.device).to(torch.complex128)
    require(bool(points.isfinite().all()), "points", points, "finite complex numbers")
    flat = points.reshape(-1).resolve_conj()
    if factors.is_real:
        flat = torch.complex(flat.real, flat.imag.abs())
    # -0.0 and 0.0 would count as two points.
    keys = torch.view_as_real(flat).round(decimals=POINT_DECIMALS) + 0.0
    unique, inverse = torch.unique(keys, dim=0, return_inverse=True)
    forms = HermitianForms(factors)
    parts = forms.batches(torch.view_as_complex(unique.contiguous()))
    values = torch.cat([torch.empty(0).to(flat.real), *(_tau(forms, part) for part in parts)])[inverse]
    if measure_preserving:
        values = torch.maximum(values, (1 - flat.abs()).abs())
    return values.reshape(points.shape)


def _tau(forms: HermitianForms, points: Tensor) -> Tensor:
    squares = torch.linalg.eigvalsh(forms(points))[:, 0]
    values = squares.clamp(min=0).sqrt()
    small = squares < SQUARING_FLOOR * ((forms.norms[0] + points.abs()) ** 2 + forms.norms[1] ** 2)
    if small.any():
        stacked = _stacked(forms.compression, forms.leak, points[small])
        values[small] = torch.linalg.svdvals(stacked)[:, -1]
    return values


def _stacked(compression: Tensor, leak: Tensor, points: Tensor) -> Tensor:
    """Return [A~ - z; D^1/2] at points (P,), (P, r + q, r)."""
    identity = torch.eye(len(compression), dtype=compression.dtype, device=compression.device)
    shifted = compression - points[:, None, None] * identity
    return torch.cat([shifted, leak.expand(len(points), -1, -1)], dim=1)


def pseudoeigenfunctions(factors: Factors, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the functions that certify tau: values tau (P,) and coefficients T v (N, P) of functions of norm one.

    v is the last right singular vector of [A~ - z; D^1/2], its largest entry positive.
    """
    points = torch.as_tensor(points, device=factors.basis.device).to(torch.complex128).reshape(-1)
    compression, leak = factors.compression.to(points.dtype), factors.leak.to(points.dtype)
    values, vectors = [], []
    for part in HermitianForms(factors).batches(points):
        _, singular_values, right = torch.linalg.svd(_stacked(compression, leak, part), full_matrices=False)
        values.append(singular_values[:, -1])
        vectors.append(right[:, -1].mH)
    return torch.cat(values), factors.basis.to(points.dtype) @ fix_phases(torch.cat(vectors, dim=1))
