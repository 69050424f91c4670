"""Mechanical systems with an energy, which is conserved unless there is damping."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules.dynamics.flows import Flow
from datamodules.dynamics.measures import Array, Axis, circle, interval
from datamodules.dynamics.truth import CONSTANT, Eigenpair, Truth
from zoo.checks import require, require_above

CONSERVED = (
    "the unit circle: absolutely continuous where frequencies vary with the energy, and the eigenvalue 1 of functions "
    "of the energy"
)


class Pendulum(Flow):
    """angle'' = -sin(angle), on [-pi, pi) x [-max_momentum, max_momentum] with the uniform measure.

    Args:
        time_step: time of one step, > 0.
        max_momentum: half the width of the reference measure, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(self, time_step: float = 0.5, max_momentum: float = 15.0, **options: Any) -> None:
        super().__init__(time_step, **options)
        require_above(0, max_momentum=max_momentum)
        self.max_momentum = max_momentum

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        return [circle("angle", -np.pi, 2 * np.pi), interval("momentum", -self.max_momentum, self.max_momentum)]

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, 2)."""
        angle, momentum = state.T
        return np.stack([momentum, -np.sin(angle)], axis=1)

    def wrap(self, state: Array) -> Array:
        """Return states (M, 2) with the angle in [-pi, pi)."""
        return np.stack([wrapped(state[:, 0]), state[:, 1]], axis=1)

    def energy(self, state: Array) -> Array:
        """Return the energy (M,) of states (M, 2)."""
        return state[:, 1] ** 2 / 2 - np.cos(state[:, 0])

    def truth(self) -> Truth:
        """Return the constant and the energy."""
        return Truth((CONSTANT, Eigenpair("energy", 1.0, self.energy)), CONSERVED)


class DoublePendulum(Flow):
    """Two equal rods with m l^2 = 6 and g / l = 1/3, on angles in [-pi, pi) and momenta up to +-max_momentum.

    Args:
        time_step: time of one step, > 0.
        max_momentum: half the width of the reference measure in each momentum, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(self, time_step: float = 1.0, max_momentum: float = 5.0, **options: Any) -> None:
        super().__init__(time_step, **options)
        require_above(0, max_momentum=max_momentum)
        self.max_momentum = max_momentum

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        angles = [circle(name, -np.pi, 2 * np.pi) for name in ("angle1", "angle2")]
        return angles + [interval(name, -self.max_momentum, self.max_momentum) for name in ("momentum1", "momentum2")]

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, 4)."""
        angle1, angle2, *_ = state.T
        turn1, turn2 = self._turning(state)
        coupling = turn1 * turn2 * np.sin(angle1 - angle2)
        force1 = -3 * (coupling + np.sin(angle1))
        force2 = -3 * (-coupling + np.sin(angle2) / 3)
        return np.stack([turn1, turn2, force1, force2], axis=1)

    def wrap(self, state: Array) -> Array:
        """Return states (M, 4) with both angles in [-pi, pi)."""
        return np.concatenate([wrapped(state[:, :2]), state[:, 2:]], axis=1)

    def energy(self, state: Array) -> Array:
        """Return the energy (M,) of states (M, 4)."""
        angle1, angle2, *_ = state.T
        turn1, turn2 = self._turning(state)
        kinetic = 4 * turn1**2 + turn2**2 + 3 * turn1 * turn2 * np.cos(angle1 - angle2)
        return kinetic - 3 * np.cos(angle1) - np.cos(angle2)

    def truth(self) -> Truth:
        """Return the constant and the energy."""
        return Truth((CONSTANT, Eigenpair("energy", 1.0, self.energy)), "on the unit circle; mixed phase space")

    def _turning(self, state: Array) -> tuple[Array, Array]:
        angle1, angle2, momentum1, momentum2 = state.T
        cosine = np.cos(angle1 - angle2)
        inertia = 16 - 9 * cosine**2
        return (2 * momentum1 - 3 * cosine * momentum2) / inertia, (8 * momentum2 - 3 * cosine * momentum1) / inertia


class Duffing(Flow):
    """x'' = -damping x' + linear x - cubic x^3, two wells, with the uniform measure on a square.

    Args:
        time_step: time of one step, > 0.
        damping: >= 0; without, the energy is conserved, and so is the area, but not the square.
        linear: > 0.
        cubic: > 0.
        half_width: of the square, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        time_step: float = 0.3,
        damping: float = 0.3,
        linear: float = 1.0,
        cubic: float = 1.0,
        half_width: float = 2.0,
        **options: Any,
    ) -> None:
        super().__init__(time_step, **options)
        require_above(0, linear=linear, cubic=cubic, half_width=half_width)
        require(0 <= damping < np.inf, "damping", damping, "a number >= 0")
        self.damping, self.linear, self.cubic, self.half_width = damping, linear, cubic, half_width

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        return [interval(name, -self.half_width, self.half_width) for name in ("position", "velocity")]

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, 2)."""
        x, speed = state.T
        return np.stack([speed, -self.damping * speed + self.linear * x - self.cubic * x**3], axis=1)

    def energy(self, state: Array) -> Array:
        """Return the energy (M,) of states (M, 2)."""
        x, speed = state.T
        return speed**2 / 2 - self.linear * x**2 / 2 + self.cubic * x**4 / 4

    def truth(self) -> Truth:
        """Return the constant, and the energy without damping, else the principal eigenvalues of the two wells."""
        if self.damping == 0:
            return Truth((CONSTANT, Eigenpair("energy", 1.0, self.energy)), CONSERVED)
        # x = +-sqrt(linear / cubic) attracts with the rates of rate^2 + damping rate + 2 linear = 0.
        rates = np.roots([1, self.damping, 2 * self.linear])
        wells = Eigenpair("+1 or -1 by the well that the orbit ends in", 1.0)
        principal = tuple(Eigenpair(f"principal of rate {rate:.4g}", np.exp(rate * self.dt)) for rate in rates)
        return Truth((CONSTANT, wells, *principal), "products of powers of the principal eigenvalues, near each well")


def wrapped(angle: Array) -> Array:
    """Return angles in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
