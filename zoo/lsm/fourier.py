"""Fourier transforms between scattered points and a grid of modes (Li et al., Geo-FNO, arXiv 2207.05209).

    points to modes   Y_k = sum_n u_n exp(-2 pi i k . xi_n)              not divided by the number of points
    modes to points   u_n = Re sum_k Y_k exp(2 pi i k . xi_n)            not divided by the size of the grid

for k1 in [0..m-1, -m..-1] and k2 in [0..m-1]; those with k2 < 0 follow from the symmetry of real fields. The published
code mirrors them to the wrong k1, -(k1 + 1) instead of -k1; its weights are trained with that, and "official" keeps it.

The exponentials are products of those of the two coordinates, of which there are far fewer. The products are made for a
few samples at a time and again in the backward pass, so that they stay small whatever the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zoo.checks import require_choice, require_positive

Hermitian = Literal["exact", "official"]

HERMITIANS = ("exact", "official")
CHUNK = 1 << 20  # numbers of a basis that are held at once


def wave_numbers(modes: int, device: torch.device | None = None) -> Tensor:
    """Return k1, (2 m,) int64: [0..m-1, -m..-1]."""
    return torch.cat([torch.arange(modes, device=device), torch.arange(-modes, 0, device=device)])


def points_to_modes(u: Tensor, xi: Tensor, modes: int) -> Tensor:
    """Return the modes of values at points.

    Args:
        u: values (B, C, N), float32 or float64.
        xi: points (B, N, 2), of the same dtype; a period is 1.
        modes: m.

    Returns:
        Y, (B, C, 2 m, m) complex.
    """

    def transform(u: Tensor, xi: Tensor) -> Tensor:
        first, second = _exponentials(-xi, modes)
        basis = (first[..., :, None] * second[..., None, :]).flatten(2)
        # Real times complex, as one real product.
        return u @ torch.view_as_real(basis).flatten(2)

    y = _in_chunks(transform, u, xi, modes)
    return torch.view_as_complex(y.unflatten(-1, (2 * modes, modes, 2)))


def modes_to_points(y: Tensor, xi: Tensor, hermitian: Hermitian = "exact") -> Tensor:
    """Return the values at points of a field with given modes.

    Args:
        y: modes (B, C, 2 m, m) complex64 or complex128.
        xi: points (B, N, 2), of the dtype of the real part.
        hermitian: which modes k2 < 0 stand for, "exact" or "official", see above.

    Returns:
        (B, C, N) real.
    """
    modes = y.size(-1)

    def transform(y: Tensor, xi: Tensor) -> Tensor:
        first, second = _exponentials(xi, modes)
        # A term with k2 < 0 is the conjugate of its partner: twice the real part; or of the neighbour of that.
        both = 2 * first if hermitian == "exact" else first * (1 + first[..., 1:2])
        basis = torch.cat([first[..., None], both[..., None] * second[..., None, 1:]], dim=-1).flatten(2)
        return y @ torch.view_as_real(basis).flatten(2).mT

    # Re(y b) = Re y Re b - Im y Im b
    return _in_chunks(transform, torch.view_as_real(y.conj().resolve_conj()).flatten(2), xi, modes)


def _exponentials(xi: Tensor, modes: int) -> tuple[Tensor, Tensor]:
    angles = 2 * math.pi * xi
    ones = torch.ones((), dtype=xi.dtype, device=xi.device)
    first = wave_numbers(modes, xi.device).to(xi.dtype)
    second = torch.arange(modes, dtype=xi.dtype, device=xi.device)
    return torch.polar(ones, angles[..., :1] * first), torch.polar(ones, angles[..., 1:] * second)


def _in_chunks(transform: Callable[[Tensor, Tensor], Tensor], values: Tensor, xi: Tensor, modes: int) -> Tensor:
    samples = max(1, CHUNK // max(1, 4 * modes**2 * xi.size(1)))
    pairs = zip(values.split(samples), xi.split(samples), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([transform(*pair) for pair in pairs])
    return torch.cat([checkpoint(transform, *pair, use_reentrant=False, preserve_rng_state=False) for pair in pairs])


class SpectralProjection(nn.Module):
    """Linear map of modes, between points and a grid: one complex matrix for each mode.

    Args:
        width: channels of input and output.
        modes: m along each axis.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        require_positive(width=width, modes=modes)
        self.modes = modes
        halves = [torch.rand(width, width, modes, modes, dtype=torch.cfloat) / width**2 for _ in range(2)]
        self.weights = nn.Parameter(torch.view_as_real(torch.cat(halves, dim=2)).contiguous())
        """(in, out, 2 m, m, 2): real and imaginary parts, k1 in [0..m-1, -m..-1]."""

    def to_grid(self, u: Tensor, xi: Tensor, size: int) -> Tensor:
        """Return the field (B, C, size, size) of values (B, C, N) at points (B, N, 2)."""
        y = self._map(points_to_modes(u, xi, self.modes))
        spectrum = y.new_zeros(*y.shape[:2], size, size // 2 + 1)
        spectrum[:, :, : self.modes, : self.modes] = y[:, :, : self.modes]
        spectrum[:, :, -self.modes :, : self.modes] = y[:, :, self.modes :]
        return torch.fft.irfft2(spectrum, s=(size, size))

    def to_points(self, u: Tensor, xi: Tensor, hermitian: Hermitian = "exact") -> Tensor:
        """Return the values (B, C, N) at points (B, N, 2) of a field (B, C, size, size)."""
        require_choice("hermitian", hermitian, HERMITIANS)
        spectrum = torch.fft.rfft2(u)[..., : self.modes]
        y = torch.cat([spectrum[:, :, : self.modes], spectrum[:, :, -self.modes :]], dim=2)
        return modes_to_points(self._map(y), xi, hermitian)

    def _map(self, y: Tensor) -> Tensor:
        weights = torch.view_as_complex(self.weights.to(y.real.dtype))
        return torch.einsum("bixy,ioxy->boxy", y, weights)
