"""Burgers' equation u_t + u u_x = nu u_xx, periodic in [0, 1].

Pseudo-spectral: the viscous term is integrated exactly, the rest by the classical Runge-Kutta method of order four in
time; products are cut off at two thirds of the highest wave number.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, rfft

from datamodules.fields.arrays import Array
from datamodules.fields.random_fields import complex_noise, periodic_line_field
from datamodules.fields.runge_kutta import runge_kutta_step

VISCOSITY = 0.1
TIME_STEP = 1e-3


def solve_burgers(u: Array, time: float, viscosity: float = VISCOSITY, time_step: float = TIME_STEP) -> Array:
    """Integrate Burgers' equation, for a batch of initial values.

    Args:
        u: initial values (B, s) float64.
        time: final time, > 0.
        viscosity: nu, >= 0.
        time_step: of the method, at most; 4e-3 is near its limit of stability for values of size 1.

    Returns:
        (B, s).
    """
    s = u.shape[-1]
    k = np.arange(s // 2 + 1)
    steps = max(1, int(np.ceil(time / time_step - 1e-9)))
    h = time / steps
    half = np.exp(-viscosity * (2 * np.pi * k) ** 2 * h / 2)
    flux = np.where(k <= s / 3, -1j * np.pi * k, 0)

    def slope(v: Array) -> Array:
        return flux * rfft(irfft(v, s) ** 2)

    v = rfft(u)
    for _ in range(steps):
        v = runge_kutta_step(v, slope, half, h)
    return irfft(v, s)


def initial_values(generator: np.random.Generator, size: int) -> Array:
    """Draw initial values (size,) of mean 0; their standard deviation at a point is 0.42."""
    return periodic_line_field(complex_noise(generator, (size,)), amplitude=25.0, tau=5.0, alpha=2.0)


def burgers_samples(
    generators: list[np.random.Generator], resolution: int, subsample: int, time_step: float
) -> dict[str, Array]:
    """Draw initial values and integrate them until time 1.

    Args:
        generators: of the samples, n of them.
        resolution: points on which the equation is solved.
        subsample: every so many-th point is kept.
        time_step: of the method.

    Returns:
        `input` u(0), and `target` u(1), (n, s, 1) float32.
    """
    initial = np.stack([initial_values(generator, resolution) for generator in generators])
    final = solve_burgers(initial, 1.0, time_step=time_step)
    kept = (slice(None), slice(None, None, subsample), None)
    return {"input": initial[kept].astype(np.float32), "target": final[kept].astype(np.float32)}
