r"""Spherical-harmonic analysis and synthesis of real fields on grids of rings, and filters by degree.

Coefficients a_lm of a real field are complex tensors (..., L + 1, L + 1), indexed by l and m >= 0; those with m > l are
zero, and a_{l,-m} = (-1)^m conj(a_lm). The Y_lm are orthonormal on the unit sphere, with the Condon-Shortley phase.

    f(x) = sum_lm a_lm Y_lm(x)          a_lm = int f conj(Y_lm)

Along a ring the sum over m is a Fourier transform, across rings the sum over l is a product with a table of Legendre
functions, one for each m: O(R L^2) for R rings instead of O(N L^2). On a Gauss-Legendre grid analysis inverts
synthesis exactly; on HEALPix, whose quadrature is approximate, iterations of Jacobi's method make it.

Source: Gorski et al., ApJ 622 (2005), section 6; the recurrence is that of Press et al., Numerical Recipes, 6.7.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from scipy.special import ive
from torch import Tensor, nn

from zoo.checks import require
from zoo.spectral.grids import Rings
from zoo.spectral.sphere import check_latlon

MAX_DEGREE = 1500
"""Beyond, Legendre functions that matter start from others that underflow."""

POINTS_AT_ONCE = 1024


class RingGrid(Protocol):
    """A grid whose cells lie on rings."""

    n: int

    @property
    def rings(self) -> Rings:
        """The rings."""


class SphericalHarmonicTransform(nn.Module):
    """Transforms between maps on a grid and coefficients up to a degree.

    The table of Legendre functions takes 8 R (L + 1)^2 bytes for R rings. It follows from the arguments and is not part
    of the state dict.

    Args:
        grid: with rings, such as `HEALPixGrid` and `GaussLegendreGrid`.
        lmax: the degree L, from 0 to 1500; on HEALPix at most 3 nside - 1 is of use, and 2 nside is accurate.
        iterations: how often the analysis is corrected by what its synthesis leaves of the map, >= 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    table: Tensor
    first: Tensor
    weights: Tensor

    def __init__(self, grid: RingGrid, lmax: int, iterations: int = 0) -> None:
        super().__init__()
        check_degree(lmax)
        require(type(iterations) is int and iterations >= 0, "iterations", iterations, "an integer >= 0")
        self.n, self.lmax, self.iterations = grid.n, lmax, iterations
        rings = grid.rings
        start = torch.cumsum(rings.counts, 0) - rings.counts
        sizes, group = torch.unique(rings.counts, return_inverse=True)
        # Rings of the same size are transformed together; each group knows its rings and their cells.
        self._groups: list[tuple[int, list[int], Tensor]] = []
        for number, size in enumerate(sizes.tolist()):
            members = torch.nonzero(group == number)[:, 0]
            self._groups.append((size, members.tolist(), start[members][:, None] + torch.arange(size)))
        self.register_buffer("table", legendre(lmax, rings.z), persistent=False)
        self.register_buffer("first", rings.first, persistent=False)
        self.register_buffer("weights", rings.weights, persistent=False)

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """Return the map (..., N) of coefficients (..., L + 1, L + 1), complex."""
        *batch, _, _ = coefficients.shape
        flat = coefficients.reshape(-1, self.lmax + 1, self.lmax + 1)
        # (M, B, L) x (M, L, R): the real table multiplies both parts.
        parts = torch.view_as_real(flat).permute(2, 3, 0, 1).flatten(1, 2)
        waves = torch.bmm(parts, self.table).unflatten(1, (2, -1))
        waves = torch.complex(waves[:, 0], waves[:, 1]).permute(1, 2, 0) * self._phases(1.0)  # (B, R, M)
        waves[..., 1:] *= 2
        maps = waves.real.new_empty(len(flat), self.n)
        order = torch.arange(self.lmax + 1, device=maps.device)
        for size, members, cells in self._groups:
            spectrum = waves.new_zeros(len(flat), len(members), size)
            spectrum.index_add_(2, order % size, waves[:, members])
            maps[:, cells] = torch.fft.ifft(spectrum, norm="forward").real
        return maps.reshape(*batch, self.n)

    def analysis(self, maps: Tensor) -> Tensor:
        """Return the coefficients (..., L + 1, L + 1), complex, of maps (..., N)."""
        require(maps.size(-1) == self.n, "maps.shape", tuple(maps.shape), f"(..., {self.n}), a value for each cell")
        coefficients = self._adjoint(maps)
        for _ in range(self.iterations):
            coefficients = coefficients + self._adjoint(maps - self.synthesis(coefficients))
        return coefficients

    def _adjoint(self, maps: Tensor) -> Tensor:
        *batch, _ = maps.shape
        flat = maps.reshape(-1, self.n)
        rings = len(self.first)
        complex_type = torch.complex(flat[:0], flat[:0]).dtype
        waves = torch.empty(len(flat), rings, self.lmax + 1, dtype=complex_type, device=maps.device)
        order = torch.arange(self.lmax + 1, device=maps.device)
        for size, members, cells in self._groups:
            waves[:, members] = torch.fft.fft(flat[:, cells])[..., order % size]
        waves = waves * self._phases(-1.0) * self.weights[:, None]
        parts = torch.view_as_real(waves).permute(2, 3, 0, 1).flatten(1, 2)
        result = torch.bmm(parts, self.table.mT).unflatten(1, (2, -1))
        return torch.complex(result[:, 0], result[:, 1]).permute(1, 2, 0).reshape(*batch, self.lmax + 1, self.lmax + 1)

    def _phases(self, sign: float) -> Tensor:
        order = torch.arange(self.lmax + 1, device=self.first.device, dtype=self.first.dtype)
        angle = sign * self.first[:, None] * order
        return torch.polar(torch.ones_like(angle), angle)

    def bands(self, maps: Tensor, edges: list[int]) -> Tensor:
        """Split maps by degree.

        Args:
            maps: (..., N).
            edges: first degrees of all bands but the first, ascending, from 1 to L.

        Returns:
            (..., len(edges) + 1, N), whose sum over bands is the map: the last band is all that the others leave.
        """
        coefficients = self.analysis(maps)
        degree = torch.arange(self.lmax + 1, device=maps.device)
        parts = []
        for low, high in zip([0, *edges[:-1]], edges, strict=True):
            inside = (degree >= low) & (degree < high)
            parts.append(self.synthesis(coefficients * inside[:, None]))
        stacked = torch.stack(parts, dim=-2)
        return torch.cat([stacked, (maps - stacked.sum(-2))[..., None, :]], dim=-2)


def check_degree(lmax: int) -> None:
    """Refuse what is no degree.

    Raises:
        ValueError: not an integer from 0 to 1500.
    """
    require(type(lmax) is int and 0 <= lmax <= MAX_DEGREE, "lmax", lmax, f"an integer from 0 to {MAX_DEGREE}")


def legendre(lmax: int, z: Tensor) -> Tensor:
    """Return the normalised associated Legendre functions, Y_lm without the factor exp(i m longitude).

    Args:
        lmax: the largest degree L, >= 0.
        z: (R,) float64, sines of latitudes.

    Returns:
        (L + 1, L + 1, R) float64, indexed by m, l and point; zero where m > l.
    """
    m = torch.arange(lmax + 1, dtype=torch.float64, device=z.device)[:, None]
    cosine = ((1 - z) * (1 + z)).clamp(min=0).sqrt()
    # lambda_mm = (-1)^m sqrt((2m + 1) / 4 pi * prod_{k <= m} (2k - 1) / 2k) cos^m
    steps = torch.ones_like(m)
    steps[1:] = ((2 * m[1:] - 1) / (2 * m[1:])).sqrt()
    sectoral = torch.cumprod(steps, 0) * ((2 * m + 1) / (4 * math.pi)).sqrt() * (-cosine) ** m
    table = torch.zeros(lmax + 1, lmax + 1, len(z), dtype=torch.float64, device=z.device)
    before, now = torch.zeros_like(sectoral), torch.zeros_like(sectoral)
    for degree in range(lmax + 1):
        lower, same = m[:degree], slice(degree, degree + 1)
        scale = torch.sqrt((4.0 * degree**2 - 1) / (degree**2 - lower**2))
        shift = torch.sqrt(((degree - 1) ** 2 - lower**2).clamp(min=0) / max(4.0 * (degree - 1) ** 2 - 1, 1.0))
        after = torch.zeros_like(now)
        after[:degree] = scale * (z * now[:degree] - shift * before[:degree])
        after[same] = sectoral[same]
        before, now = now, after
        table[:, degree] = now
    return table


def random_coefficients(spectrum: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the coefficients of an isotropic Gaussian field.

    Args:
        spectrum: (L + 1,) float64, the angular power spectrum C_l: variance of each coefficient of degree l.
        generator: source of randomness.

    Returns:
        (L + 1, L + 1) complex128.
    """
    size = len(spectrum)
    parts = torch.randn(size, size, 2, dtype=torch.float64, generator=generator)
    parts[:, 1:] /= math.sqrt(2)
    parts[:, 0, 1] = 0
    return torch.view_as_complex(parts).tril() * spectrum.sqrt()[:, None]


def angular_power_spectrum(coefficients: Tensor) -> Tensor:
    """Return C_l = sum_m |a_lm|^2 / (2l + 1), (..., L + 1), of coefficients (..., L + 1, L + 1)."""
    power = coefficients.abs() ** 2
    total = 2 * power.sum(-1) - power[..., 0]
    return total / (2 * torch.arange(power.size(-1), device=power.device) + 1)


def coefficients_of_points(latlon: Tensor, masses: Tensor, lmax: int) -> Tensor:
    """Return the coefficients of masses at points, sum_g p_g conj(Y_lm(x_g)), without any grid.

    Args:
        latlon: (G, 2), in degrees.
        masses: (..., G) real.
        lmax: the largest degree L.

    Returns:
        (..., L + 1, L + 1) complex128.

    Raises:
        ValueError: a place or the degree is out of its range.
    """
    check_degree(lmax)
    lat, lon = torch.deg2rad(check_latlon(latlon)).unbind(-1)
    masses = masses.to(torch.float64)
    order = torch.arange(lmax + 1, dtype=torch.float64, device=lat.device)
    total = torch.zeros(*masses.shape[:-1], lmax + 1, lmax + 1, dtype=torch.complex128, device=lat.device)
    for first in range(0, len(lat), POINTS_AT_ONCE):
        part = slice(first, first + POINTS_AT_ONCE)
        angle = -order[:, None] * lon[part]
        harmonics = legendre(lmax, torch.sin(lat[part])) * torch.polar(torch.ones_like(angle), angle)[:, None]
        total += torch.einsum("...g,mlg->...lm", masses[..., part].to(torch.complex128), harmonics)
    return total


def heat_factors(lmax: int, time: float) -> Tensor:
    """Return exp(-l (l + 1) t), (L + 1,) float64: multiplied to degrees, the heat kernel; mass is kept.

    Args:
        lmax: the largest degree L.
        time: t >= 0, in squared radians.
    """
    check_degree(lmax)
    require(time >= 0, "time", time, "a number >= 0")
    degree = torch.arange(lmax + 1, dtype=torch.float64)
    return torch.exp(-degree * (degree + 1) * time)


def von_mises_fisher_factors(lmax: int, concentration: float) -> Tensor:
    """Return I_{l+1/2}(k) / I_{1/2}(k), (L + 1,) float64: multiplied to degrees, convolution with a vMF density.

    Args:
        lmax: the largest degree L.
        concentration: k > 0.
    """
    check_degree(lmax)
    require(concentration > 0, "concentration", concentration, "a number > 0")
    values = ive(np.arange(lmax + 1) + 0.5, concentration)
    return torch.from_numpy(values / values[0])
