"""Maps whose Koopman eigenfunctions are known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules.dynamics.generated import GeneratedDynamics
from datamodules.dynamics.measures import Array, Axis, circle, interval
from datamodules.dynamics.truth import (
    CONSTANT,
    Eigenpair,
    Observable,
    SpectralMeasure,
    Truth,
    trigonometric_density,
)
from zoo.checks import require_finite

GOLDEN = (np.sqrt(5) - 1) / 2


class LinearSlowManifold(GeneratedDynamics):
    """x1' = lambda x1, x2' = mu x2 + (lambda^2 - mu) c x1^2: linear on the manifold x2 = c x1^2 and towards it.

    The monomials 1, x1, x2, x1^2 span an invariant space with the eigenvalues 1, lambda, mu and lambda^2 exactly. The
    reference measure is uniform on [-1, 1]^2.

    Args:
        slow: lambda.
        fast: mu.
        curvature: c.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(self, slow: float = 0.9, fast: float = 0.5, curvature: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        require_finite(slow=slow, fast=fast, curvature=curvature)
        self.slow, self.fast, self.curvature = slow, fast, curvature

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        return [interval("x1", -1, 1), interval("x2", -1, 1)]

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 2)."""
        x1, x2 = state.T
        attraction = (self.slow**2 - self.fast) * self.curvature * x1**2
        return np.stack([self.slow * x1, self.fast * x2 + attraction], axis=1)

    def truth(self) -> Truth:
        """Return the products x1^j (x2 - c x1^2)^k up to degree 3."""
        pairs = tuple(
            Eigenpair(f"x1^{j} (x2 - c x1^2)^{k}", (self.slow**j * self.fast**k) ** self.lag, self._product(j, k))
            for j in range(4)
            for k in range(4 - j)
        )
        return Truth(pairs, "point spectrum: the products slow^j fast^k, in spaces of analytic functions")

    def _product(self, j: int, k: int) -> Observable:
        return lambda state: state[:, 0] ** j * (state[:, 1] - self.curvature * state[:, 0] ** 2) ** k


class CircleRotation(GeneratedDynamics):
    """x' = x + rotation mod 1 with Lebesgue measure: the eigenvalues are e^{2 pi i k rotation}, with e^{2 pi i k x}.

    Args:
        rotation: in turns; the golden mean by default.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(self, rotation: float = float(GOLDEN), **options: Any) -> None:
        super().__init__(**options)
        require_finite(rotation=rotation)
        self.rotation = rotation

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [circle("x")]

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 1)."""
        return (state + self.rotation) % 1

    def truth(self) -> Truth:
        """Return the eigenpairs with |k| <= 10."""
        pairs = tuple(
            Eigenpair(f"e^(2 pi i {k} x)", np.exp(2j * np.pi * k * self.rotation * self.lag), fourier_mode([k]))
            for k in range(-10, 11)
        )
        return Truth(pairs, "pure point: e^(2 pi i k rotation), dense in the unit circle where rotation is irrational")


class ArnoldCat(GeneratedDynamics):
    """(x, y)' = (2x + y, x + y) mod 2 pi with normalised Lebesgue measure: mixing, Lebesgue spectrum beyond 1.

    The operator permutes Fourier modes, e_k to e_{A^T k}. The measure in `truth` is that of
    sin x + sin(2x + y) / 2 + (i / 4) sin(5x + 3y), whose density is a trigonometric polynomial.

    Args:
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    matrix = np.array([[2, 1], [1, 1]])

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        return [circle("x", 0, 2 * np.pi), circle("y", 0, 2 * np.pi)]

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 2)."""
        return (state @ self.matrix.T) % (2 * np.pi)

    def image_of_mode(self, mode: tuple[int, int]) -> tuple[int, int]:
        """Return the Fourier mode l with e_k(F(x)) = e_l(x) for one lag, e_k(x) = e^{i k.x}."""
        image = np.linalg.matrix_power(self.matrix.T, self.lag) @ mode
        return int(image[0]), int(image[1])

    def truth(self) -> Truth:
        """Return the constant and the spectral measure."""
        # F maps the phase of each sine to that of the next, so that <K^n g, g> is a correlation of the coefficients.
        coefficients = [1.0, 0.5, 0.25j]
        chain = [
            sum(moved * np.conj(still) for moved, still in zip(coefficients, coefficients[step:], strict=False)) / 2
            for step in range(3)
        ]
        moments = chain[:: self.lag]
        measure = SpectralMeasure(
            cat_observable,
            lambda order: moments[order] if order < len(moments) else 0.0,
            trigonometric_density(moments),
        )
        return Truth((CONSTANT,), "the unit circle: Lebesgue spectrum, and the eigenvalue 1 of the constants", measure)


class GaussMap(GeneratedDynamics):
    """x' = exp(-2 x^2) - 1 - e^{-2} on [-1, 0] with Lebesgue measure: every orbit tends to the fixed point -1.

    Koenigs' function phi, phi(F(x)) = 4 e^{-2} phi(x) with phi'(-1) = 1, and its powers are eigenfunctions. They grow
    by dozens of orders of magnitude through the bottleneck near -0.3.

    Args:
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    multiplier = 4 * np.exp(-2.0)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [interval("x", -1, 0)]

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 1)."""
        # Near -1, this form of exp(-2 x^2) - 1 - e^{-2} keeps the digits of the distance to the fixed point.
        above = 1 + state
        return np.exp(-2.0) * np.expm1(4 * above - 2 * above**2) - 1

    def koenigs(self, state: Array) -> Array:
        """Return phi at states (M, 1) > -1, (M,), by iterating to the fixed point, where phi is its power series."""
        above, steps = 1 + state[:, 0], np.zeros(len(state))
        while (far := above > KOENIGS_RADIUS).any():
            above = np.where(far, np.exp(-2.0) * np.expm1(4 * above - 2 * above**2), above)
            steps += far
        return np.polynomial.polynomial.polyval(above, koenigs_series()) * self.multiplier**-steps

    def truth(self) -> Truth:
        """Return the first powers of phi."""
        pairs = tuple(
            Eigenpair(f"phi^{k}", self.multiplier ** (k * self.lag), self._power(k)) if k else CONSTANT
            for k in range(4)
        )
        return Truth(pairs, "the powers of 4 e^-2, in spaces of functions that are analytic at the fixed point")

    def _power(self, k: int) -> Observable:
        return lambda state: self.koenigs(state) ** k


KOENIGS_RADIUS = 0.02
"""Distance to the fixed point below which the power series is used."""


def koenigs_series(order: int = 12) -> Array:
    """Return the coefficients 0..order of phi at the fixed point -1, solving phi(F(-1 + u)) = lambda phi(-1 + u)."""
    inner = np.zeros(order + 1)  # F(-1 + u) + 1 = e^{-2} (e^{4u - 2u^2} - 1) as a series in u
    exponent, term = np.array([0.0, 4.0, -2.0]), np.array([1.0])
    for power in range(1, order + 1):
        term = np.convolve(term, exponent)[: order + 1] / power
        inner[: len(term)] += np.exp(-2.0) * term
    powers = [np.eye(1, order + 1)[0]]
    for _ in range(order):
        powers.append(np.convolve(powers[-1], inner)[: order + 1])
    series = np.zeros(order + 1)
    series[1] = 1
    for n in range(2, order + 1):
        series[n] = sum(series[k] * powers[k][n] for k in range(1, n)) / (inner[1] - inner[1] ** n)
    return series


def cat_observable(state: Array) -> Array:
    """Return sin x + sin(2x + y) / 2 + (i / 4) sin(5x + 3y) at states (M, 2)."""
    x, y = state.T
    return np.sin(x) + np.sin(2 * x + y) / 2 + 0.25j * np.sin(5 * x + 3 * y)


def fourier_mode(wave: list[int]) -> Observable:
    """Return the function e^{2 pi i k.x} of states on a torus with sides of length 1."""
    return lambda state: np.exp(2j * np.pi * (state @ np.array(wave)))
