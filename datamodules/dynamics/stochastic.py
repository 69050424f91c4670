"""Systems with noise whose expectation operator is known; every state comes with two independent successors."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import eval_hermitenorm, jv

from datamodules.dynamics.generated import StochasticDynamics
from datamodules.dynamics.maps import fourier_mode
from datamodules.dynamics.measures import Array, Axis, circle, normal
from datamodules.dynamics.truth import CONSTANT, Eigenpair, Observable, Truth
from zoo.checks import require, require_above, require_finite


class OrnsteinUhlenbeck(StochasticDynamics):
    """dx = -rate x dt + noise dW, sampled exactly every `time_step`, with its invariant Gaussian measure.

    The Hermite function He_k(x / s), s^2 = noise^2 / (2 rate), has the eigenvalue e^{-k rate dt} and the variance
    residual sqrt(1 - e^{-2 k rate dt}).

    Args:
        rate: theta in 1 / time, > 0.
        noise: sigma, > 0.
        time_step: time of one step, > 0.
        **options: see `StochasticDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    quadratures = ("random", "gauss")

    def __init__(self, rate: float = 1.0, noise: float = 1.0, time_step: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        require_above(0, rate=rate, noise=noise, time_step=time_step)
        self.rate, self.noise, self.time_step = rate, noise, time_step

    @property
    def dt(self) -> float:
        """Time of one lag."""
        return self.lag * self.time_step

    @property
    def deviation(self) -> float:
        """Standard deviation of the invariant measure."""
        return self.noise / np.sqrt(2 * self.rate)

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [normal("x", self.deviation)]

    def noisy_step(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random successors of states (M, 1)."""
        contraction = np.exp(-self.rate * self.time_step)
        spread = self.deviation * np.sqrt(-np.expm1(-2 * self.rate * self.time_step))
        return contraction * state + spread * generator.standard_normal(state.shape)

    def truth(self) -> Truth:
        """Return the eigenpairs of degree up to 8."""
        pairs = tuple(
            Eigenpair(
                f"He_{k}(x / s)",
                np.exp(-k * self.rate * self.dt),
                self._hermite(k),
                variance=-np.expm1(-2 * k * self.rate * self.dt),
            )
            for k in range(9)
        )
        return Truth(pairs, "pure point: e^(-k rate dt), k = 0, 1, ...")

    def _hermite(self, k: int) -> Observable:
        return lambda state: eval_hermitenorm(k, state[:, 0] / self.deviation)


class NoisyRotation(StochasticDynamics):
    """x' = x + rotation + U mod 1, U uniform on [-width / 2, width / 2], with Lebesgue measure.

    e^{2 pi i k x} has the eigenvalue e^{2 pi i k rotation} sinc(k width), sinc(a) = sin(pi a) / (pi a).

    Args:
        rotation: in turns.
        width: of the noise in turns, > 0.
        **options: see `StochasticDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(self, rotation: float = 0.2, width: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        require_finite(rotation=rotation)
        require_above(0, width=width)
        self.rotation, self.width = rotation, width

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [circle("x")]

    def noisy_step(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random successors of states (M, 1)."""
        return (state + self.rotation + self.width * (generator.random(state.shape) - 0.5)) % 1

    def truth(self) -> Truth:
        """Return the eigenpairs with |k| <= 10."""
        pairs = []
        for k in range(-10, 11):
            eigenvalue = (np.exp(2j * np.pi * k * self.rotation) * np.sinc(k * self.width)) ** self.lag
            variance = 1 - abs(eigenvalue) ** 2
            pairs.append(Eigenpair(f"e^(2 pi i {k} x)", eigenvalue, fourier_mode([k]), variance))
        return Truth(tuple(pairs), "pure point: e^(2 pi i k rotation) sinc(k width), and their limit 0")


class NoisyCircleMap(StochasticDynamics):
    """x' = x + 1/5 + sin(2 pi x) / (4 pi) + U / (5 pi) mod 1, U uniform on [-1/2, 1/2], with Lebesgue measure.

    The reference measure is not invariant. The expectation operator is compact; its matrix in the Fourier basis has the
    entries e^{2 pi i k / 5} sinc(k / 5 pi) J_{j-k}(k / 2), and its leading eigenpairs come from a truncation.

    Args:
        num_modes: the truncation keeps |k| <= num_modes, >= 8.
        **options: see `StochasticDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    width = 1 / (5 * np.pi)

    def __init__(self, num_modes: int = 200, **options: Any) -> None:
        super().__init__(**options)
        require(type(num_modes) is int and num_modes >= 8, "num_modes", num_modes, "an integer >= 8")
        self.num_modes = num_modes

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [circle("x")]

    def noisy_step(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random successors of states (M, 1)."""
        mean = state + 0.2 + np.sin(2 * np.pi * state) / (4 * np.pi)
        return (mean + self.width * (generator.random(state.shape) - 0.5)) % 1

    def fourier_matrix(self) -> Array:
        """Return the matrix (2n + 1, 2n + 1) of one step: column k holds the coefficients of K e^{2 pi i k x}."""
        waves = np.arange(-self.num_modes, self.num_modes + 1)
        factor = np.exp(2j * np.pi * waves / 5) * np.sinc(waves * self.width)
        return factor * jv(waves[:, None] - waves, waves / 2)

    def truth(self) -> Truth:
        """Return the constant and the six eigenpairs that follow."""
        eigenvalues, vectors = np.linalg.eig(self.fourier_matrix())
        leading = np.argsort(-abs(eigenvalues), kind="stable")[1:7]
        pairs = tuple(
            Eigenpair(f"number {row + 1}", eigenvalues[column] ** self.lag, self._sum(vectors[:, column]), np.nan)
            for row, column in enumerate(leading)
        )
        return Truth((CONSTANT, *pairs), "pure point: the eigenvalues of an infinite matrix, and their limit 0")

    def _sum(self, coefficients: Array) -> Observable:
        waves = np.arange(-self.num_modes, self.num_modes + 1)
        return lambda state: np.exp(2j * np.pi * state[:, :1] * waves) @ coefficients
