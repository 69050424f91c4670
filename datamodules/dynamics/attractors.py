"""Chaotic flows in three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules.dynamics.flows import Attractor
from datamodules.dynamics.measures import Array
from datamodules.dynamics.truth import CONSTANT, Truth
from zoo.checks import require_finite

COORDINATES = ["x", "y", "z"]


class Lorenz63(Attractor):
    """x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z, after Lorenz (1963).

    Args:
        time_step: time of one step, > 0.
        sigma: Prandtl number.
        rho: Rayleigh number over its critical value.
        beta: geometric factor.
        **options: see `Attractor`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, time_step: float = 0.05, sigma: float = 10.0, rho: float = 28.0, beta: float = 8 / 3, **options: Any
    ) -> None:
        super().__init__(time_step, **options)
        require_finite(sigma=sigma, rho=rho, beta=beta)
        self.sigma, self.rho, self.beta = sigma, rho, beta

    @property
    def coordinates(self) -> list[str]:
        """The names of the coordinates."""
        return COORDINATES

    def start(self, number: int, generator: np.random.Generator) -> Array:
        """Return random states (number, 3) around the two lobes."""
        return np.array([0.0, 0.0, self.rho]) + generator.uniform(-10, 10, (number, 3))

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, 3)."""
        x, y, z = state.T
        return np.stack([self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z], axis=1)

    def truth(self) -> Truth:
        """Return the constant; the system is mixing, for these parameters by proof (Luzzatto et al., 2005)."""
        return Truth((CONSTANT,), "on the unit circle, continuous but for the eigenvalue 1 of the constants")


class Roessler(Attractor):
    """x' = -y - z, y' = x + a y, z' = b + z (x - c), after Roessler (1976).

    Args:
        time_step: time of one step, > 0.
        a: first parameter.
        b: second parameter.
        c: third parameter.
        **options: see `Attractor`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, time_step: float = 0.05, a: float = 0.1, b: float = 0.1, c: float = 14.0, **options: Any
    ) -> None:
        super().__init__(time_step, **options)
        require_finite(a=a, b=b, c=c)
        self.a, self.b, self.c = a, b, c

    @property
    def coordinates(self) -> list[str]:
        """The names of the coordinates."""
        return COORDINATES

    def start(self, number: int, generator: np.random.Generator) -> Array:
        """Return random states (number, 3) near the middle of the spiral."""
        return generator.uniform(-1, 1, (number, 3)) * [5.0, 5.0, 0.0]

    def velocity(self, state: Array) -> Array:
        """Return the time derivatives of states (M, 3)."""
        x, y, z = state.T
        return np.stack([-y - z, x + self.a * y, self.b + z * (x - self.c)], axis=1)
