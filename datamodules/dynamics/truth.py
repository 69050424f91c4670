"""What is known exactly of a system: eigenpairs, moments and spectral density, as functions.

For a deterministic system the Koopman operator is (K g)(x) = g(F(x)), for a stochastic one the expectation
(K g)(x) = E g(F(x, noise)); <f, g> is the integral of f conj(g) over the reference measure, of mass 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datamodules.dynamics.measures import Array

Observable = Callable[[Array], Array]
"""From states (M, d) to values (M,), real or complex."""


@dataclass(frozen=True)
class Eigenpair:
    """An eigenvalue of the Koopman operator and its eigenfunction.

    Attributes:
        label: what it is, for tables and figures.
        eigenvalue: lambda of one lag.
        function: g with K g = lambda g; None where it has no closed form.
        variance: integral of Var[g(F(x, noise))] over that of |g|^2: 0 for deterministic systems, the squared variance
            residual of stochastic ones; nan where it is not known.
    """

    label: str
    eigenvalue: complex
    function: Observable | None = None
    variance: float = 0.0


@dataclass(frozen=True)
class SpectralMeasure:
    """The spectral measure of one observable g of a measure-preserving system.

    Attributes:
        observable: g.
        moments: from n >= 0 to <K^n g, g>.
        density: from angles (A,) in [-pi, pi] to the density (A,), (1 / 2 pi) sum_n <K^n g, g> e^{-i n theta} with the
            conjugate moments for n < 0; None where the measure has no density in closed form.
    """

    observable: Observable
    moments: Callable[[int], complex]
    density: Callable[[Array], Array] | None = None


@dataclass(frozen=True)
class Truth:
    """What is known exactly.

    Attributes:
        pairs: eigenpairs, some of infinitely many where there are.
        spectrum: one sentence on the whole spectrum.
        measure: a spectral measure, or None.
    """

    pairs: tuple[Eigenpair, ...]
    spectrum: str
    measure: SpectralMeasure | None = None


def one(state: Array) -> Array:
    """Return the constant eigenfunction at states (M, d)."""
    return np.ones(len(state))


CONSTANT = Eigenpair("1", 1.0, one)


def trigonometric_density(moments: list[complex]) -> Callable[[Array], Array]:
    """Return the density whose moments are given for n = 0, 1, ... and zero from there on."""

    def density(angles: Array) -> Array:
        powers = np.exp(-1j * np.outer(angles, np.arange(1, len(moments))))
        return (np.real(moments[0]) + 2 * np.real(powers @ np.array(moments[1:], dtype=complex))) / (2 * np.pi)

    return density
