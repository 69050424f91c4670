"""Frequencies of a solution from the periodogram of its data: no search, no training.

Where L u = f with constant coefficients, the spectrum of u is that of f divided by the symbol of L: the peaks are the
same. A Hann window of 2 bins half-width is applied, the transform interpolated by zero-padding, peaks refined by a
parabola through the logarithms.

Frequencies are in cycles per unit length.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.gppde.kernels import Kind, SpectralMixture
from zoo.gppde.operators import Operator

PADDING = 16
MAX_PEAKS = 8
MAX_LINES = 500  # of many lines, as of a large batch, a random part is looked at
FLOOR = 1e-6  # of the largest power
HALF_WIDTH = 2  # bins of the unpadded transform that a peak fills on each side
NYQUIST_WARNING = 0.9
HIGH = 1e-2  # of the largest power


@dataclass(frozen=True)
class Peaks:
    """Frequencies (P,) and powers (P,), the largest first."""

    frequency: Tensor
    power: Tensor


def peaks_of(lines: Tensor, spacing: float) -> Peaks:
    """Return the peaks of the periodogram of lines (K, N), whose powers are added."""
    n = lines.size(-1)
    window = torch.hann_window(n, periodic=False, dtype=lines.dtype)
    centred = lines - lines.mean(-1, keepdim=True)
    power = torch.fft.rfft(centred * window, n=PADDING * n).abs().square().sum(0)
    power[: PADDING + 1] = 0.0  # less than one period is no oscillation: the component of frequency 0 has it
    power = power * (2 / n) ** 2
    largest = float(power.max())
    frequencies: list[float] = []
    powers: list[float] = []
    while largest > 0 and len(powers) < MAX_PEAKS:
        top = int(power.argmax())
        height = float(power[top])
        if height <= FLOOR * largest:
            break
        place = float(top)
        if 0 < top < len(power) - 1 and float(power[top - 1]) > 0 and float(power[top + 1]) > 0:
            left, middle, right = power[top - 1 : top + 2].log().tolist()
            curvature = left - 2 * middle + right
            place += 0.5 * (left - right) / curvature if curvature < 0 else 0.0
        frequencies.append(place / (PADDING * n * spacing))
        powers.append(height)
        power[max(0, top - HALF_WIDTH * PADDING) : top + HALF_WIDTH * PADDING + 1] = 0.0
    return Peaks(torch.tensor(frequencies, dtype=torch.float64), torch.tensor(powers, dtype=torch.float64))


def solution_peaks(
    operator: Operator, points: Tensor, grids: Sequence[Tensor], source: Tensor, known: Sequence[Sequence[Tensor]]
) -> list[Peaks]:
    """Return the frequencies of the solution along each coordinate, their powers divided by those of the symbol.

    Args:
        operator: its linear terms count.
        points: of the grid, (M_1, .., M_d, d).
        grids: coordinates (M_j,).
        source: f on the grid, (..., M_1, .., M_d).
        known: for each coordinate, lines (K, M_j) of values of u along it, as on the sides; used where f has no peak.
    """
    dimensions = len(grids)
    coefficients = {index: value.abs().mean() for index, value in operator.coefficients(points).items()}
    result = []
    for j, grid in enumerate(grids):
        spacing = float(grid[-1] - grid[0]) / (len(grid) - 1)
        # Instances have equal say, whatever their units.
        instances = source.reshape(-1, *source.shape[source.ndim - dimensions :])
        scale = instances.flatten(1).abs().amax(1).clamp_min(torch.finfo(source.dtype).tiny)
        lines = (instances / scale.reshape(-1, *[1] * dimensions)).movedim(j + 1, -1).reshape(-1, len(grid))
        if len(lines) > MAX_LINES:
            chosen = torch.randperm(len(lines), generator=torch.Generator().manual_seed(0))[:MAX_LINES]
            lines = lines[chosen]
        peaks = peaks_of(lines, spacing)
        powers = peaks.power
        if len(peaks.frequency):
            omega = 2 * math.pi * peaks.frequency
            own = {index[j]: c for index, c in coefficients.items() if sum(index) == index[j]}
            real = sum(
                (c * omega**order * (-1) ** (order // 2) for order, c in own.items() if order % 2 == 0), 0 * omega
            )
            imaginary = sum((c * omega**order for order, c in own.items() if order % 2), 0 * omega)
            largest = sum((c * omega**order for order, c in own.items()), 0 * omega)
            symbol = torch.hypot(real, imaginary).maximum(1e-2 * largest)
            symbol = torch.where(symbol > 0, symbol, 1.0)
            peaks = Peaks(peaks.frequency, peaks.power / symbol**2)
        elif known[j]:
            peaks = peaks_of(torch.cat(list(known[j])), spacing)
            powers = peaks.power
        # Noise has peaks everywhere, none of them high.
        high = peaks.frequency[powers >= HIGH * powers.max()] if len(powers) else peaks.frequency
        fastest = float(high.max()) if len(high) else 0.0
        if fastest > NYQUIST_WARNING / (2 * spacing):
            warnings.warn(
                f"the data oscillate {fastest:.4g} times per unit along coordinate {j}, but the grid resolves no more "
                f"than {1 / (2 * spacing):.4g}: take more points, or the answer is that of an alias",
                stacklevel=2,
            )
        result.append(peaks)
    return result


def kernel_of_peaks(peaks: Peaks, kind: Kind, lengthscale: float) -> SpectralMixture:
    """Return the mixture with a component at each peak, and one at frequency 0 as heavy as the heaviest.

    Args:
        peaks: of the solution.
        kind: of the kernel.
        lengthscale: of all components, in units of the coordinate.
    """
    weight = peaks.power / peaks.power.sum() if len(peaks.power) else torch.ones(0, dtype=torch.float64)
    weight = weight.clamp_min(1e-12)
    heaviest = weight.max() if len(weight) else torch.ones((), dtype=torch.float64)
    weight = torch.cat([heaviest[None], weight])
    frequency = torch.cat([torch.zeros(1, dtype=torch.float64), peaks.frequency])
    scale = 1 / lengthscale if kind in ("stm", "matern") else 1 / (2 * lengthscale**2)
    log_scale = torch.full_like(weight, math.log(scale))
    return SpectralMixture(kind, (weight / weight.sum()).log(), log_scale, frequency)
