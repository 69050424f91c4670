"""Random textures with a power-law spectrum."""

from __future__ import annotations

import numpy as np

from datamodules.images.geometry import Array


def random_fields(number: int, size: int, beta: float, generator: np.random.Generator) -> Array:
    """Draw Gaussian random fields on a torus whose Fourier amplitudes fall as |k|^(-beta / 2).

    Args:
        number: of independent fields.
        size: S, height and width in pixels.
        beta: exponent of the power spectrum, >= 0; larger is smoother.
        generator: source of randomness.

    Returns:
        (number, S, S) float64, each field with mean 0 and standard deviation 1.
    """
    white = np.fft.rfft2(generator.standard_normal((number, size, size)))
    wavenumber = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    wavenumber[0, 0] = np.inf
    fields = np.fft.irfft2(white * wavenumber ** (-beta / 2), s=(size, size))
    return fields / fields.std((1, 2), keepdims=True)
