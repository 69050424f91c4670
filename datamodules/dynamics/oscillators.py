"""Systems that tend to a limit cycle: the eigenvalues lie on a lattice of frequency and decay."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from datamodules.dynamics.flows import TOLERANCE, Flow
from datamodules.dynamics.measures import Array, Axis, circle, interval
from datamodules.dynamics.truth import CONSTANT, Eigenpair, Observable, Truth
from datamodules.module import require_integer
from zoo.checks import require, require_above, require_finite


class VanDerPol(Flow):
    """x'' = nonlinearity (1 - x^2) x' - x, with the uniform measure on a square.

    Args:
        time_step: time of one step, > 0.
        nonlinearity: mu, > 0.
        half_width: of the square, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, time_step: float = 0.25, nonlinearity: float = 1.0, half_width: float = 3.0, **options: Any
    ) -> None:
        super().__init__(time_step, **options)
        require_above(0, nonlinearity=nonlinearity, half_width=half_width)
        self.nonlinearity, self.half_width = nonlinearity, half_width

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        return [interval(name, -self.half_width, self.half_width) for name in ("position", "velocity")]

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, 2)."""
        x, speed = state.T
        return np.stack([speed, self.nonlinearity * (1 - x**2) * speed - x], axis=1)

    def cycle(self) -> tuple[float, float]:
        """Return the period of the limit cycle, and its Floquet exponent per time, < 0."""

        def extended(_: float, values: Array) -> Array:
            # The exponent is the mean of the divergence of the velocity along the cycle.
            divergence = self.nonlinearity * (1 - values[0] ** 2)
            return np.append(self.velocity(values[None, :2])[0], divergence)

        def maximum(_: float, values: Array) -> float:
            return values[1]

        maximum.direction = -1  # type: ignore[attr-defined]
        maximum.terminal = 2  # type: ignore[attr-defined] # the first is where we start
        more_than_a_period = 4 * np.pi * (1 + self.nonlinearity)
        amplitude, before = 2.0, np.inf
        while abs(amplitude - before) > 10 * TOLERANCE * amplitude:
            solution = solve_ivp(
                extended,
                (0, more_than_a_period),
                np.array([amplitude, 0.0, 0.0]),
                method="DOP853",
                events=maximum,
                rtol=TOLERANCE,
                atol=TOLERANCE,
            )
            before, amplitude = amplitude, float(solution.y_events[0][-1][0])
        period = float(solution.t_events[0][-1])
        return period, float(solution.y_events[0][-1][2]) / period

    def truth(self) -> Truth:
        """Return the eigenvalues of the first harmonics of the cycle, and of the decay towards it."""
        period, exponent = self.cycle()
        harmonics = tuple(
            Eigenpair(f"harmonic {n} of the cycle", np.exp(2j * np.pi * n * self.dt / period))
            for n in range(-3, 4)
            if n
        )
        decay = Eigenpair("decay to the cycle", np.exp(exponent * self.dt))
        return Truth((CONSTANT, *harmonics, decay), "e^((m exponent + 2 pi i n / period) dt), m >= 0")


class StuartLandau(Flow):
    """z' = (growth + i frequency) z - (1 + i shear) |z|^2 z + coupling (left - 2 z + right) on a ring of oscillators.

    Without coupling, each oscillator has the eigenfunctions e^{i n phase} (1 - growth / |z|^2)^m, its asymptotic phase
    being arg z - shear log |z|, and the eigenvalues e^{(-2 m growth + i n (frequency - shear growth)) dt}. With
    coupling, the cycle on which all agree keeps that frequency, and waves around the ring decay to it with the
    rates -2 growth - D and -D, D = 2 coupling (1 - cos q). States are real and imaginary parts in turn. The reference
    measure is uniform in angle and radius, from a quarter of the cycle's radius, since the eigenfunctions are singular
    at 0, to twice it.

    Args:
        time_step: time of one step, > 0.
        growth: mu, > 0.
        frequency: of small oscillations, in radians per time.
        shear: change of frequency with amplitude.
        coupling: between neighbours, >= 0.
        num_oscillators: n, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        time_step: float = 0.1,
        growth: float = 1.0,
        frequency: float = 2.0,
        shear: float = 0.5,
        coupling: float = 0.0,
        num_oscillators: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(time_step, **options)
        require_above(0, growth=growth)
        require_finite(frequency=frequency, shear=shear, coupling=coupling)
        require(coupling >= 0, "coupling", coupling, "a number >= 0")
        require_integer("num_oscillators", num_oscillators, least=1)
        self.growth, self.frequency, self.shear, self.coupling = growth, frequency, shear, coupling
        self.num_oscillators = num_oscillators

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure: radius and angle of each oscillator."""
        radius = np.sqrt(self.growth)
        axes = [interval("radius", 0.25 * radius, 2 * radius), circle("angle", -np.pi, 2 * np.pi)]
        return axes * self.num_oscillators

    @property
    def coordinates(self) -> list[str]:
        """The names of the coordinates."""
        return [f"{part}{number}" for number in range(self.num_oscillators) for part in ("x", "y")]

    def from_axes(self, values: Array) -> Array:
        """Return real and imaginary parts (M, 2n) of radii and angles."""
        return as_real(values[:, ::2] * np.exp(1j * values[:, 1::2]))

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, 2n)."""
        z = as_complex(state)
        growth = (self.growth + 1j * self.frequency) * z - (1 + 1j * self.shear) * abs(z) ** 2 * z
        return as_real(growth + self.coupling * (np.roll(z, 1, 1) - 2 * z + np.roll(z, -1, 1)))

    def truth(self) -> Truth:
        """Return eigenfunctions of the first oscillator without coupling, else eigenvalues at the common cycle."""
        rotation = 1j * (self.frequency - self.shear * self.growth)
        if self.coupling == 0:
            pairs = tuple(
                Eigenpair(
                    f"phase {n}, decay {m}",
                    np.exp((n * rotation - 2 * m * self.growth) * self.dt),
                    self._eigenfunction(n, m),
                )
                for n in range(-2, 3)
                for m in range(3)
            )
            return Truth(pairs, "products of the eigenvalues of all oscillators")
        cycle = tuple(Eigenpair(f"harmonic {n} of the cycle", np.exp(n * rotation * self.dt)) for n in (-2, -1, 1, 2))
        waves = 2 * np.pi * np.arange(self.num_oscillators // 2 + 1) / self.num_oscillators
        damping = 2 * self.coupling * (1 - np.cos(waves))
        decays = tuple(
            Eigenpair(f"{kind} of wave number {number}", np.exp(-(rate + part) * self.dt))
            for number, part in enumerate(damping)
            for kind, rate in (("amplitude", 2 * self.growth), ("phase", 0.0))
            if rate + part > 0
        )
        return Truth((CONSTANT, *cycle, *decays), "products of powers of these, near the cycle on which all agree")

    def _eigenfunction(self, n: int, m: int) -> Observable:
        def function(state: Array) -> Array:
            z = as_complex(state)[:, 0]
            phase = np.angle(z) - self.shear * np.log(abs(z))
            return np.exp(1j * n * phase) * (1 - self.growth / abs(z) ** 2) ** m

        return function


def as_complex(state: Array) -> Array:
    """Return real and imaginary parts (M, 2n) in turn as complex numbers (M, n)."""
    return state[:, ::2] + 1j * state[:, 1::2]


def as_real(z: Array) -> Array:
    """Return complex numbers (M, n) as real and imaginary parts (M, 2n) in turn."""
    return np.stack([z.real, z.imag], axis=2).reshape(len(z), -1)
