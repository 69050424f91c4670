"""Skew products on the torus, after Anzai, whose eigenfunctions no finite amount of data decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules.dynamics.generated import GeneratedDynamics
from datamodules.dynamics.maps import GOLDEN
from datamodules.dynamics.measures import Array, Axis, circle
from datamodules.dynamics.truth import Eigenpair, Observable, SpectralMeasure, Truth, trigonometric_density
from datamodules.module import require_integer
from zoo.checks import require, require_above, require_finite


class AnzaiTorus(GeneratedDynamics):
    """(x, y)' = (x + rotation, y + f(x)) mod 1 with Lebesgue measure.

    Here f(x) = shift + winding x + sum_{k=1}^{harmonics} 2 amplitude decay^{k-1} cos(2 pi k x). With winding 0, it is
    shift + h(x + rotation) - h(x) with the coefficients h_k = f_k / (e^{2 pi i k rotation} - 1), and
    e^{2 pi i (k x + m (y - h(x)))} is an eigenfunction with eigenvalue e^{2 pi i (k rotation + m shift)}. Every
    truncation has such eigenfunctions; whether h has a limit is decided by small divisors beyond any data: see
    `coboundary_norm`. With another winding, functions of mean 0 in y have Lebesgue spectrum.

    Args:
        rotation: in turns, irrational for all practical purposes; the golden mean by default.
        winding: how often f winds around the circle.
        shift: mean of f where `winding` is 0.
        amplitude: Fourier coefficient of f at k = 1.
        decay: ratio of consecutive coefficients, > 0.
        harmonics: number of coefficients, >= 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        rotation: float = float(GOLDEN),
        winding: int = 0,
        shift: float = 0.2,
        amplitude: float = 0.05,
        decay: float = 0.5,
        harmonics: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        require_finite(rotation=rotation, shift=shift, amplitude=amplitude)
        require_above(0, decay=decay)
        require(type(winding) is int, "winding", winding, "an integer")
        require_integer("harmonics", harmonics, least=0)
        self.rotation, self.winding, self.shift = rotation, winding, shift
        self.amplitude, self.decay, self.harmonics = amplitude, decay, harmonics

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure."""
        return [circle("x"), circle("y")]

    def coefficients(self) -> Array:
        """Return the Fourier coefficients of f at k = 1, ..., harmonics, real."""
        return self.amplitude * self.decay ** np.arange(self.harmonics)

    def coboundary(self) -> Array:
        """Return the Fourier coefficients of h at k = 1, ..., harmonics, complex."""
        waves = np.arange(1, self.harmonics + 1)
        return self.coefficients() / (np.exp(2j * np.pi * waves * self.rotation) - 1)

    def coboundary_norm(self) -> float:
        """Return the norm of h in L^2: bounded in `harmonics` if and only if the limit has these eigenfunctions."""
        return float(np.sqrt(2 * np.sum(abs(self.coboundary()) ** 2)))

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 2)."""
        x, y = state.T
        lift = self.shift + self.winding * x + _series(self.coefficients(), x)
        return np.stack([x + self.rotation, y + lift], axis=1) % 1

    def truth(self) -> Truth:
        """Return the eigenpairs with |k|, |m| <= 2, and for another winding than 0 that of e^{2 pi i (y - h(x))}."""
        orders = range(-2, 3)
        pairs = tuple(
            Eigenpair(
                f"e^(2 pi i ({k} x + {m} (y - h(x))))",
                np.exp(2j * np.pi * (k * self.rotation + m * self.shift) * self.lag),
                self._eigenfunction(k, m),
            )
            for k in orders
            for m in (orders if self.winding == 0 else (0,))
        )
        if self.winding == 0:
            return Truth(pairs, "pure point: e^(2 pi i (k rotation + m shift))")
        straightened = self._eigenfunction(0, 1)  # becomes itself times e^{2 pi i (shift + winding x)}
        measure = SpectralMeasure(straightened, lambda order: float(order == 0), trigonometric_density([1.0]))
        return Truth(pairs, "the unit circle: Lebesgue spectrum, and e^(2 pi i k rotation) of functions of x", measure)

    def _eigenfunction(self, k: int, m: int) -> Observable:
        coboundary = self.coboundary()
        return lambda state: np.exp(
            2j * np.pi * (k * state[:, 0] + m * (state[:, 1] - (_series(coboundary, state[:, 0]) if m else 0)))
        )


def _series(coefficients: Array, x: Array) -> Array:
    waves = np.arange(1, len(coefficients) + 1)
    return 2 * np.real(np.exp(2j * np.pi * np.outer(x, waves)) @ coefficients)
