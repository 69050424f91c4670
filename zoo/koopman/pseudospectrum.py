"""Pseudospectra with certificates: where the Koopman operator itself nearly has eigenfunctions.

    tau(z) = min_g res(z, g) = smallest singular value of [A~ - z; D^1/2],    H(z) = (A~ - z)* (A~ - z) + D,

(Colbrook and Townsend, 2024, arXiv 2111.14889, algorithm 2). tau decreases to sigma_inf(K - z) with nested
dictionaries, in the limit of many snapshots, hence {tau < epsilon} never contains a point outside the approximate point
epsilon-pseudospectrum. tau is 1-Lipschitz, symmetric about the real axis for real dictionaries, and where the system is
known to preserve the measure at least |1 - |z||.

Eigenvalues of H(z) are three times cheaper than singular values, but squared: points where that would show are computed
again by singular values, so that tau errs by about 1e-13 ||A~|| everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checks import require, require_positive
from zoo.koopman.edmd import fix_phases
from zoo.koopman.factors import Factors

# Bytes of matrices in flight; batches beyond the cache gain nothing.
BATCH_BYTES = 2**26

# Below this fraction of ||H|| an eigenvalue of H(z) is replaced by the square of a singular value.
SQUARING_FLOOR = 1e-5

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
    values = _smallest_singular_values(factors, torch.view_as_complex(unique.contiguous()))[inverse]
    if measure_preserving:
        values = torch.maximum(values, (1 - flat.abs()).abs())
    return values.reshape(points.shape)


def _smallest_singular_values(factors: Factors, points: Tensor) -> Tensor:
    if not factors.is_real:
        return _by_batches(factors.compression, factors.leak, points)
    # Real arithmetic is four times cheaper.
    values = torch.empty(len(points), dtype=torch.float64, device=points.device)
    on_axis = points.imag == 0
    values[on_axis] = _by_batches(factors.compression, factors.leak, points[on_axis].real)
    values[~on_axis] = _by_batches(factors.compression, factors.leak, points[~on_axis])
    return values


def _by_batches(compression: Tensor, leak: Tensor, points: Tensor) -> Tensor:
    """Return tau at points (P,), real or complex."""
    dtype = torch.promote_types(compression.dtype, points.dtype)
    compression, leak = compression.to(dtype), leak.to(dtype)
    batch = max(1, BATCH_BYTES // (compression.numel() * compression.element_size()))
    return torch.cat([_tau(compression, leak, part) for part in points.split(batch)]) if len(points) else points.real


def _tau(compression: Tensor, leak: Tensor, points: Tensor) -> Tensor:
    total = compression.mH @ compression + leak.mH @ leak
    identity = torch.eye(len(compression), dtype=compression.dtype, device=compression.device)
    shifts = points[:, None, None]
    forms = total - shifts * compression.mH - shifts.conj() * compression + shifts.abs() ** 2 * identity
    squares = torch.linalg.eigvalsh(forms)[:, 0]
    scale = torch.linalg.matrix_norm(total, "fro") + points.abs() ** 2
    values = squares.clamp(min=0).sqrt()
    small = squares < SQUARING_FLOOR * scale
    if small.any():
        values[small] = torch.linalg.svdvals(_stacked(compression, leak, points[small]))[:, -1]
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
    batch = max(1, BATCH_BYTES // (4 * compression.numel() * compression.element_size()))
    values, vectors = [], []
    for part in points.split(batch):
        _, singular_values, right = torch.linalg.svd(_stacked(compression, leak, part), full_matrices=False)
        values.append(singular_values[:, -1])
        vectors.append(right[:, -1].mH)
    return torch.cat(values), factors.basis.to(points.dtype) @ fix_phases(torch.cat(vectors, dim=1))


@dataclass(frozen=True)
class CertifiedRegion:
    """Cells of a window, each inside the set {tau < epsilon}, outside its closure, or undecided.

    Attributes:
        labels: (n, n) int8 by imaginary part, then real part, both ascending: 1 inside, -1 outside, 0 undecided.
        real: edges of the cells along the real axis, (n + 1,).
        imag: edges along the imaginary axis, (n + 1,).
        points: where tau was evaluated, (P,) complex128.
        values: tau there, (P,).
        epsilon: of the set.
    """

    labels: Tensor
    real: Tensor
    imag: Tensor
    points: Tensor
    values: Tensor
    epsilon: float


def certified_region(
    factors: Factors,
    epsilon: float,
    real: tuple[float, float],
    imag: tuple[float, float],
    depth: int = 6,
    measure_preserving: bool = False,
) -> CertifiedRegion:
    """Decide {tau < epsilon} on a window by a quadtree, evaluating tau only where it is needed.

    tau is 1-Lipschitz: a cell of centre c and half-diagonal rho is inside if tau(c) + rho < epsilon and outside if
    tau(c) - rho > epsilon; others are split, down to 2^depth cells a side. The labels are theorems about the matrices,
    up to rounding, and not interpolation.

    Raises:
        ValueError: epsilon is not positive, a window is empty, or depth is not an integer >= 1.
    """
    require(epsilon > 0, "epsilon", epsilon, "a number > 0")
    require_positive(depth=depth)

    def tau(points: Tensor) -> Tensor:
        return smallest_residuals(factors, points, measure_preserving)

    return lipschitz_region(tau, epsilon, real, imag, depth)


def lipschitz_region(
    tau: Callable[[Tensor], Tensor],
    epsilon: float,
    real: tuple[float, float],
    imag: tuple[float, float],
    depth: int,
) -> CertifiedRegion:
    """Decide {tau < epsilon} for any 1-Lipschitz function of the complex plane, see `certified_region`."""
    for name, (low, high) in (("real", real), ("imag", imag)):
        require(low < high, name, (low, high), "an interval (low, high) with low < high")
    width, height = real[1] - real[0], imag[1] - imag[0]
    labels = torch.zeros(1, 1, dtype=torch.int8)
    points, values = [], []
    for level in range(depth + 1):
        cells = 2**level
        row, column = (labels == 0).nonzero(as_tuple=True)
        if not len(row):
            break
        x = real[0] + width * (column.double() + 0.5) / cells
        y = imag[0] + height * (row.double() + 0.5) / cells
        centers = torch.complex(x, y)
        distances = tau(centers).cpu()
        radius = 0.5 * math.hypot(width, height) / cells
        labels[row, column] = (distances + radius < epsilon).to(torch.int8) - (distances - radius > epsilon).to(
            torch.int8
        )
        points.append(centers)
        values.append(distances)
        if level < depth:
            labels = labels.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    missing = 2**depth // len(labels)
    labels = labels.repeat_interleave(missing, dim=0).repeat_interleave(missing, dim=1)
    edges = torch.arange(2**depth + 1, dtype=torch.float64) / 2**depth
    return CertifiedRegion(
        labels, real[0] + width * edges, imag[0] + height * edges, torch.cat(points), torch.cat(values), epsilon
    )


def ray_crossings(factors: Factors, epsilon: float, angle: float) -> Tensor:
    """Return all radii r >= 0 at which some singular value of [A~ - r e^(i angle); D^1/2] equals epsilon, ascending.

    They are the real eigenvalues of the companion [[0, 1], [-(L~ - epsilon^2), e^(i angle) A~* + e^(-i angle) A~]] of
    size 2r, exact without a grid. The boundary of {tau < epsilon} on the ray is among them, see `ray_intervals`.

    Raises:
        ValueError: epsilon is not positive.
    """
    require(epsilon > 0, "epsilon", epsilon, "a number > 0")
    compression, leak = factors.compression.to(torch.complex128), factors.leak.to(torch.complex128)
    size = len(compression)
    identity = torch.eye(size, dtype=compression.dtype, device=compression.device)
    total = compression.mH @ compression + leak.mH @ leak
    phase = complex(math.cos(angle), math.sin(angle))
    rotated = phase * compression.mH + phase.conjugate() * compression
    companion = torch.cat(
        [
            torch.cat([torch.zeros_like(identity), identity], dim=1),
            torch.cat([-(total - epsilon**2 * identity), rotated], dim=1),
        ]
    )
    radii = torch.linalg.eigvals(companion)
    scale = float(torch.linalg.matrix_norm(companion, 2))
    # Where two crossings meet, rounding moves them by the square root of its size off the real axis.
    real = radii[(radii.imag.abs() <= 1e-7 * scale) & (radii.real >= 0)].real
    return real.sort().values


def ray_intervals(factors: Factors, epsilon: float, angle: float) -> Tensor:
    """Return the intervals of radii on which tau < epsilon along a ray, (k, 2) float64, ascending; k may be 0."""
    crossings = ray_crossings(factors, epsilon, angle)
    edges = torch.cat([crossings.new_zeros(1), crossings])
    if len(edges) == 1:
        return edges.new_zeros(0, 2)
    middles = (edges[:-1] + edges[1:]) / 2
    inside = smallest_residuals(factors, middles * complex(math.cos(angle), math.sin(angle))) < epsilon
    intervals: list[list[float]] = []
    for low, high in zip(edges[:-1][inside].tolist(), edges[1:][inside].tolist(), strict=True):
        if intervals and intervals[-1][1] == low:
            intervals[-1][1] = high
        else:
            intervals.append([low, high])
    return edges.new_tensor(intervals).reshape(-1, 2)
