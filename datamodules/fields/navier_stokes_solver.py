"""Vorticity of a forced two-dimensional flow: w_t + u . grad w = nu Laplacian w + f, periodic in the unit square.

    f = 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)),    w(0) ~ N(0, 7^3 (-Laplacian + 49)^-2.5)

Pseudo-spectral: the viscous term is integrated exactly, the rest by the classical Runge-Kutta method of order four in
time; products are cut off at two thirds of the highest wave number along each axis.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft2, rfft2

from datamodules.fields.arrays import Array
from datamodules.fields.random_fields import complex_noise, periodic_square_field
from datamodules.fields.runge_kutta import runge_kutta_step

VISCOSITY = 1e-5
TIME_STEP = 1e-2


def forcing(size: int) -> Array:
    """Return the published forcing on (size, size) points."""
    x = np.arange(size) / size
    phase = 2 * np.pi * (x[:, None] + x)
    return 0.1 * (np.sin(phase) + np.cos(phase))


def solve_navier_stokes(
    w: Array, times: Array, viscosity: float = VISCOSITY, force: Array | None = None, time_step: float = TIME_STEP
) -> Array:
    """Integrate the vorticity, for a batch of initial fields.

    Args:
        w: initial vorticity (B, s, s), s even; in float32 the whole computation is.
        times: ascending times > 0 at which the vorticity is wanted, (T,).
        viscosity: nu, >= 0.
        force: curl of the force, (s, s); None for none.
        time_step: of the method, at most; each interval has a whole number of steps.

    Returns:
        (B, s, s, T), of the dtype of w.
    """
    s = w.shape[-1]
    k1, k2 = np.fft.fftfreq(s, 1 / s)[:, None], np.fft.rfftfreq(s, 1 / s)[None]
    square = 4 * np.pi**2 * (k1**2 + k2**2)
    inverse = np.divide(1, square, out=np.zeros_like(square), where=square > 0)
    # The derivative of the highest mode is not known from its values on the grid.
    d1, d2 = (2j * np.pi * np.where(abs(k) < s / 2, k, 0) for k in (k1, k2))
    kept = (abs(k1) <= s / 3) & (k2 <= s / 3)
    spectrum = rfft2(w)
    dtype = spectrum.dtype
    # Of the spectrum: velocities d2 psi and -d1 psi with psi = w / |k|^2, and the gradient of w.
    fields = np.stack([d2 * inverse, -d1 * inverse, d1 + 0 * d2, d2 + 0 * d1]).astype(dtype)[:, None]
    source = np.zeros(square.shape, dtype) if force is None else rfft2(force).astype(dtype)

    def slope(v: Array) -> Array:
        u1, u2, w1, w2 = irfft2(fields * v, s=(s, s))
        return source - kept * rfft2(u1 * w1 + u2 * w2)

    frames, time = [], 0.0
    for end in np.asarray(times, dtype=np.float64):
        steps = max(1, int(np.ceil((end - time) / time_step - 1e-9)))
        h = float(end - time) / steps  # a Python number leaves float32 as it is
        half = np.exp(-viscosity * square * h / 2).astype(w.dtype)
        for _ in range(steps):
            spectrum = runge_kutta_step(spectrum, slope, half, h)
        frames.append(irfft2(spectrum, s=(s, s)))
        time = end
    return np.stack(frames, axis=-1)


def initial_vorticity(generator: np.random.Generator, size: int) -> Array:
    """Draw an initial vorticity (size, size) of mean 0; its standard deviation at a point is 0.185."""
    return periodic_square_field(complex_noise(generator, (size, size)), 7**1.5, tau=7.0, alpha=2.5)


def navier_stokes_samples(
    generators: list[np.random.Generator], resolution: int, subsample: int, num_frames: int, time_step: float
) -> dict[str, Array]:
    """Draw initial fields and integrate them, in single precision.

    Args:
        generators: of the samples, n of them.
        resolution: points along each axis on which the equation is solved.
        subsample: every so many-th point is kept.
        num_frames: frames at the times 1, 2, ...
        time_step: of the method.

    Returns:
        `frames` (n, s, s, num_frames) float32.
    """
    w = np.stack([initial_vorticity(generator, resolution) for generator in generators]).astype(np.float32)
    times = np.arange(1, num_frames + 1)
    force = forcing(resolution).astype(np.float32)
    # One after the other: the fields of one sample fit in the cache.
    frames = [solve_navier_stokes(one[None], times, force=force, time_step=time_step)[0] for one in w]
    return {"frames": np.stack(frames)[:, ::subsample, ::subsample]}
