"""The Kuramoto-Sivashinsky equation: chaos in one space dimension."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from datamodules.dynamics.flows import Attractor
from datamodules.dynamics.measures import Array
from zoo.checks import require, require_above

CONTOUR_POINTS = 64  # of the circle on which the coefficients are averaged


class KuramotoSivashinsky(Attractor):
    """u_t = -u_xx - u_xxxx - u u_x, periodic in x, on equispaced points.

    In Fourier space, by the exponential Runge-Kutta method ETDRK4 of Cox and Matthews (2002) with the coefficients of
    Kassam and Trefethen (2005). On the attractor of the defaults, the error of one time unit is a few 1e-6. The mean of
    u is conserved, and 0.

    Args:
        time_step: time between snapshots, a multiple of `inner_step`.
        length: of the period in x, > 0.
        num_points: states have so many coordinates, even, >= 8.
        inner_step: time step of the method, > 0.
        burn_in: see `Attractor`.
        **options: see `Attractor`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    chunk: ClassVar[int] = 1024

    def __init__(
        self,
        time_step: float = 1.0,
        length: float = 22.0,
        num_points: int = 64,
        inner_step: float = 0.05,
        burn_in: float = 200.0,
        **options: Any,
    ) -> None:
        super().__init__(time_step, burn_in, **options)
        require_above(0, length=length, inner_step=inner_step)
        even = type(num_points) is int and num_points >= 8 and num_points % 2 == 0
        require(even, "num_points", num_points, "an even integer >= 8")
        self.substeps = round(time_step / inner_step)
        whole = self.substeps >= 1 and abs(self.substeps * inner_step / time_step - 1) < 1e-12
        require(whole, "inner_step", inner_step, f"a fraction of time_step={time_step}")
        self.length, self.num_points = length, num_points
        waves = 2 * np.pi * np.arange(num_points // 2 + 1) / length
        self._linear = waves**2 - waves**4
        # The derivative of the highest mode is not known from its values on the grid.
        self._advection = -0.5j * np.where(np.arange(len(waves)) < num_points // 2, waves, 0)
        self._coefficients = etdrk4_coefficients(self._linear, inner_step)

    @property
    def coordinates(self) -> list[str]:
        """The names of the coordinates."""
        return [f"u{number}" for number in range(self.num_points)]

    def start(self, number: int, generator: np.random.Generator) -> Array:
        """Return random smooth states (number, num_points) of mean 0."""
        x = 2 * np.pi * np.arange(self.num_points) / self.num_points
        amplitudes = generator.standard_normal((number, 2, 3))
        waves = np.outer(np.arange(1, 4), x)
        return amplitudes[:, 0] @ np.cos(waves) + amplitudes[:, 1] @ np.sin(waves)

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, num_points) after one time step."""
        spectrum = np.fft.rfft(state, axis=1)
        for _ in range(self.substeps):
            spectrum = self._substep(spectrum)
        return np.fft.irfft(spectrum, self.num_points, axis=1)

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, num_points)."""
        spectrum = np.fft.rfft(state, axis=1)
        return np.fft.irfft(self._linear * spectrum + self._nonlinear(spectrum), self.num_points, axis=1)

    def _nonlinear(self, spectrum: Array) -> Array:
        return self._advection * np.fft.rfft(np.fft.irfft(spectrum, self.num_points, axis=1) ** 2, axis=1)

    def _substep(self, spectrum: Array) -> Array:
        whole, half, stage, first, middle, last = self._coefficients
        at_start = self._nonlinear(spectrum)
        a = half * spectrum + stage * at_start
        at_a = self._nonlinear(a)
        b = half * spectrum + stage * at_a
        at_b = self._nonlinear(b)
        c = half * a + stage * (2 * at_b - at_start)
        return whole * spectrum + first * at_start + 2 * middle * (at_a + at_b) + last * self._nonlinear(c)


def etdrk4_coefficients(linear: Array, step: float) -> tuple[Array, ...]:
    """Return the coefficients of ETDRK4 for each mode, by means over circles around their removable singularities.

    Args:
        linear: eigenvalues of the linear part.
        step: time step h.

    Returns:
        e^{hL}, e^{hL/2}, and the weights of the stages, of the first, the two middle and the last slope.
    """
    circle = np.exp(2j * np.pi * (np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS)
    z = step * linear[:, None] + circle
    e = np.exp(z)
    stage = (np.exp(z / 2) - 1) / z
    first = (-4 - z + e * (4 - 3 * z + z**2)) / z**3
    middle = (2 + z + e * (z - 2)) / z**3
    last = (-4 - 3 * z - z**2 + e * (4 - z)) / z**3
    weights = (step * np.real(part.mean(1)) for part in (stage, first, middle, last))
    return np.exp(step * linear), np.exp(step * linear / 2), *weights
