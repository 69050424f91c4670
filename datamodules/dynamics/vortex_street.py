"""An analytic stand-in for the wake of a cylinder: vortices that travel downstream, with frequencies that are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules.dynamics.generated import GeneratedDynamics
from datamodules.dynamics.measures import Array, Axis, circle
from datamodules.dynamics.truth import CONSTANT, Eigenpair, Observable, Truth
from datamodules.module import require_integer
from zoo.checks import require_above

LENGTH, WIDTH = 8.0, 4.0  # of the window, in diameters of the cylinder
WAVELENGTH = 4.0  # of the street, in diameters


class VortexStreet(GeneratedDynamics):
    """Vorticity on a grid: a shear layer plus travelling waves, the harmonics of one frequency.

    With phase = 2 pi (x / wavelength - t / period), harmonic k is decay^{k-1} envelope_k(x, y) cos(k phase); odd
    harmonics are even in y and even ones odd, as in a street of alternating vortices, which is its own negative
    mirror image half a period later. States are fields on `num_x` x `num_y` points, y fastest. The attractor is
    a circle, of which initial states have random phases.

    Args:
        num_x: points along the stream, > 0.
        num_y: points across, > 1.
        num_harmonics: number of travelling waves, > 0.
        period: in steps, > 0.
        decay: ratio of the amplitudes of consecutive harmonics, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range, or the grid is too coarse to tell the harmonics apart.
    """

    def __init__(
        self,
        num_x: int = 40,
        num_y: int = 20,
        num_harmonics: int = 5,
        period: float = 24.0,
        decay: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require_integer("num_x", num_x, least=1)
        require_integer("num_y", num_y, least=2)
        require_integer("num_harmonics", num_harmonics, least=1)
        require_above(0, period=period, decay=decay)
        self.num_x, self.num_y, self.period = num_x, num_y, period
        x, y = np.meshgrid(self.points_x, self.points_y, indexing="ij")
        profile = np.exp(-(y**2))
        onset = np.tanh(x)
        self.mean = (-2 * y * profile).ravel()
        self._harmonics = np.arange(1, num_harmonics + 1)
        waves = [
            decay ** (k - 1) * onset * profile * (y if k % 2 == 0 else 1) * np.exp(2j * np.pi * k * x / WAVELENGTH)
            for k in self._harmonics
        ]
        # Field = mean + sum_k Re(conj(c_k) wave_k), with c_k = e^{i k 2 pi t / period} real and imaginary parts.
        fields = np.stack([part.ravel() for wave in waves for part in (wave.real, wave.imag)])
        if np.linalg.matrix_rank(fields) < len(fields):
            raise ValueError(
                f"num_harmonics={num_harmonics} is not allowed on {num_x} x {num_y} points; give fewer, or more points"
            )
        self._fields, self._inverse = fields, np.linalg.pinv(fields)

    @property
    def points_x(self) -> Array:
        """Distances downstream (num_x,), in diameters."""
        return LENGTH * (np.arange(self.num_x) + 1) / self.num_x

    @property
    def points_y(self) -> Array:
        """Distances from the middle (num_y,), in diameters, symmetric."""
        return np.linspace(-WIDTH / 2, WIDTH / 2, self.num_y)

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure: the phase in turns."""
        return [circle("phase")]

    @property
    def coordinates(self) -> list[str]:
        """The names of the points."""
        return [f"w({i},{j})" for i in range(self.num_x) for j in range(self.num_y)]

    def from_axes(self, values: Array) -> Array:
        """Return the fields (M, num_x * num_y) at phases (M, 1)."""
        return self._field(np.exp(2j * np.pi * values * self._harmonics))

    def coefficients(self, state: Array) -> Array:
        """Return the complex amplitudes (M, num_harmonics) of fields, which turn by e^{2 pi i k / period} in a step."""
        parts = (state - self.mean) @ self._inverse
        return parts[:, ::2] + 1j * parts[:, 1::2]

    def step(self, state: Array) -> Array:
        """Return the successors of fields (M, num_x * num_y)."""
        return self._field(self.coefficients(state) * np.exp(2j * np.pi * self._harmonics / self.period))

    def truth(self) -> Truth:
        """Return the amplitudes of the harmonics, their conjugates, and the constant."""
        pairs = [
            Eigenpair(
                f"harmonic {sign * k}", np.exp(2j * np.pi * sign * k * self.lag / self.period), self._amplitude(k, sign)
            )
            for k in self._harmonics.tolist()
            for sign in (1, -1)
        ]
        return Truth((CONSTANT, *pairs), "pure point: e^(2 pi i k / period)")

    def _field(self, coefficients: Array) -> Array:
        parts = np.stack([coefficients.real, coefficients.imag], axis=2).reshape(len(coefficients), -1)
        return self.mean + parts @ self._fields

    def _amplitude(self, k: int, sign: int) -> Observable:
        def function(state: Array) -> Array:
            amplitude = self.coefficients(state)[:, k - 1]
            return amplitude if sign > 0 else amplitude.conj()

        return function
