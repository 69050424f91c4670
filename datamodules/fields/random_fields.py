"""Gaussian random fields with covariances that are powers of Laplacians, from the spectra of these."""

from __future__ import annotations

import numpy as np
from scipy.fft import idctn, ifft, ifft2

from datamodules.fields.arrays import Array


def neumann_field(noise: Array, tau: float = 3.0, alpha: float = 2.0) -> Array:
    """Return a field on the unit square with the covariance (-Laplacian + tau^2)^-alpha, zero normal derivatives.

    Up to its scale, which the coefficients of Darcy's problem do not depend on, and without its mean.

    Args:
        noise: independent standard normal numbers (..., s, s), one for each cosine.
        tau: inverse length, > 0.
        alpha: smoothness, > 1.

    Returns:
        (..., s, s).
    """
    s = noise.shape[-1]
    k = np.arange(s)
    spectrum = s * tau ** (alpha - 1) * (np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** (-alpha / 2)
    spectrum[0, 0] = 0
    return idctn(spectrum * noise, axes=(-2, -1), norm="ortho")


def periodic_square_field(noise: Array, amplitude: float, tau: float, alpha: float) -> Array:
    """Return a field on the periodic unit square with the covariance amplitude^2 (-Laplacian + tau^2)^-alpha.

    Without its mean.

    Args:
        noise: independent complex normal numbers (..., s, s) with E|noise|^2 = 1.
        amplitude: > 0.
        tau: inverse length, > 0.
        alpha: smoothness, > 1.

    Returns:
        (..., s, s) real.
    """
    s = noise.shape[-1]
    k = np.fft.fftfreq(s, 1 / s)
    spectrum = amplitude * (4 * np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** (-alpha / 2)
    spectrum[0, 0] = 0
    # The real part has half the variance of a complex field.
    return np.real(ifft2(s**2 * np.sqrt(2) * spectrum * noise, axes=(-2, -1)))


def periodic_line_field(noise: Array, amplitude: float, tau: float, alpha: float) -> Array:
    """Return Re sum_k amplitude (4 pi^2 k^2 + tau^2)^(-alpha/2) noise_k exp(2 pi i k x), without its mean.

    The covariance is amplitude^2 (-Laplacian + tau^2)^-alpha / 2.

    Args:
        noise: independent complex normal numbers (..., s) with E|noise|^2 = 1.
        amplitude: > 0.
        tau: inverse length, > 0.
        alpha: smoothness, > 1/2.

    Returns:
        (..., s) real.
    """
    s = noise.shape[-1]
    spectrum = amplitude * (4 * np.pi**2 * np.fft.fftfreq(s, 1 / s) ** 2 + tau**2) ** (-alpha / 2)
    spectrum[0] = 0
    return np.real(ifft(s * spectrum * noise, axis=-1))


def complex_noise(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return independent complex normal numbers with E|noise|^2 = 1."""
    parts = generator.standard_normal((2, *shape))
    return (parts[0] + 1j * parts[1]) / np.sqrt(2)
