"""Spectral measures from the autocorrelations of one trajectory.

For an ergodic system and an observable x, mu_n = <K^n x, x> is the average of x_(m+n) conj(x_m) over a trajectory, and
the spectral measure has the Fourier series (2 pi)^-1 sum_n mu_n e^(-i n theta) over all n with mu_-n = conj(mu_n). A
filter phi(|n| / N) makes finitely many moments a density (Colbrook and Townsend, 2024, arXiv 2111.14889).
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from zoo.checks import require, require_choice
from zoo.koopman.gram import double

Filter = Literal["fejer", "cosine", "fourth", "sharp_cosine", "bump"]


def ergodic_moments(signal: Tensor, count: int) -> Tensor:
    """Return mu_n = 1 / (M - n) sum_m x_(m+n) conj(x_m) for n = 0 .. N, (N + 1,), real for a real signal.

    Args:
        signal: an observable along a trajectory, (M,).
        count: N < M.

    Raises:
        ValueError: the signal is no vector, or too short.
    """
    signal = double("signal", signal)
    require(signal.ndim == 1, "signal", tuple(signal.shape), "a vector (M,)")
    require(type(count) is int and 0 <= count < len(signal), "count", count, f"an integer 0 .. {len(signal) - 1}")
    size = len(signal) + count
    transform = torch.fft.fft(signal.to(torch.complex128), size)
    sums = torch.fft.ifft(transform.abs() ** 2)[: count + 1]
    moments = sums / (len(signal) - torch.arange(count + 1, device=signal.device))
    return moments if signal.is_complex() else moments.real


def fourier_coefficients(moments: Tensor) -> Tensor:
    """Return the Fourier coefficients of the measure, of e^(i k theta) for k = -N .. N, (2N + 1,) complex128.

    They are conj(mu_k) / (2 pi) for k >= 0 and mu_-k / (2 pi) below: the array of the authors' `ErgodicMoments`.
    """
    positive = moments.to(torch.complex128).conj() / (2 * math.pi)
    return torch.cat([positive[1:].conj().flip(0), positive])


def filter_values(name: Filter, count: int) -> Tensor:
    """Return phi(|k| / N) for k = -N .. N, with both ends set to zero, (2N + 1,) float64.

    "fejer" 1 - x; "cosine" (1 + cos pi x) / 2; "fourth" 1 - x^4 (35 - 84 x + 70 x^2 - 20 x^3); "sharp_cosine"
    c^4 (35 - 84 c + 70 c^2 - 20 c^3) of the cosine filter c; "bump"
    exp(-2 / (1 - x) exp(-0.109550455106347 / x^4)), of infinite order.

    Raises:
        ValueError: unknown name, or N < 1.
    """
    require_choice("name", name, get_args(Filter))
    require(type(count) is int and count >= 1, "count", count, "an integer >= 1")
    x = torch.arange(-count, count + 1, dtype=torch.float64).abs() / count

    def sharpen(y: Tensor) -> Tensor:
        return y**4 * (35 - 84 * y + 70 * y**2 - 20 * y**3)

    cosine = (1 + torch.cos(math.pi * x)) / 2
    values = {
        "fejer": lambda: 1 - x,
        "cosine": lambda: cosine,
        "fourth": lambda: 1 - sharpen(x),
        "sharp_cosine": lambda: sharpen(cosine),
        "bump": lambda: torch.exp(-2 / (1 - x) * torch.exp(-0.109550455106347 / x**4)),
    }[name]()
    values[0] = values[-1] = 0.0
    return values


def filtered_density(moments: Tensor, angles: Tensor, name: Filter = "bump") -> Tensor:
    """Return the smoothed density of the spectral measure with moments mu_0 .. mu_N at angles (P,), (P,) float64."""
    count = len(moments) - 1
    coefficients = fourier_coefficients(moments) * filter_values(name, count).to(moments.device)
    k = torch.arange(-count, count + 1, dtype=torch.float64, device=moments.device)
    phase = angles.to(k)[:, None] * k
    return (torch.polar(torch.ones_like(phase), phase) @ coefficients).real


def atoms(moments: Tensor, angles: Tensor) -> Tensor:
    """Return estimates of the masses mu({theta}) of single angles, (P,): the Fejér sum over its kernel's value at 0.

    They tend to the masses with N; where there is no atom, as 1 / N at best.
    """
    count = len(moments) - 1
    kernel = float(filter_values("fejer", count).sum()) / (2 * math.pi)
    return filtered_density(moments, angles, "fejer") / kernel
