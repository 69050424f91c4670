"""Two systems on the disc that no data set tells apart, though their spectra differ as much as spectra can."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules import keys
from datamodules.dynamics.generated import GeneratedDynamics
from datamodules.dynamics.measures import Array, Axis, circle
from datamodules.dynamics.module import SPLITS
from datamodules.dynamics.truth import Eigenpair, Observable, Truth
from datamodules.module import require_integer


class DiscAdversary(GeneratedDynamics):
    """(r, phi)' = (r, phi + a(r)) on the unit disc with normalised Lebesgue measure, in Cartesian coordinates.

    The tame system has a = 2 pi p / q, hence the q-th roots of unity as spectrum. The adversary looks at the data,
    finds the widest annulus without a sample, and adds a smooth bump of 2 pi to a inside it: all samples keep their
    successors to the last bit, and the spectrum is the whole circle. Since any algorithm gives the same answer for
    both, it is wrong by `spectral_gap` / 2 for one of them.

    Args:
        twisted: whether the system is that of the adversary.
        numerator: p.
        denominator: q, > 0.
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(self, twisted: bool = False, numerator: int = 0, denominator: int = 1, **options: Any) -> None:
        super().__init__(**options)
        require_integer("numerator", numerator, least=0)
        require_integer("denominator", denominator, least=1)
        self.twisted = twisted
        self.order = denominator // int(np.gcd(numerator, denominator))
        self.angle = 2 * np.pi * numerator / denominator
        self._annulus: tuple[float, float] | None = None

    @property
    def axes(self) -> list[Axis]:
        """The axes of the reference measure: radius, with density 2r, and angle."""
        return [Axis("radius", np.sqrt), circle("angle", 0, 2 * np.pi)]

    @property
    def coordinates(self) -> list[str]:
        """The names of the coordinates."""
        return ["x", "y"]

    @property
    def spectral_gap(self) -> float:
        """Hausdorff distance between the roots of unity and the circle: 2 sin(pi / 2q)."""
        return 2 * float(np.sin(np.pi / (2 * self.order)))

    def from_axes(self, values: Array) -> Array:
        """Return Cartesian coordinates (M, 2) of polar ones."""
        radius, angle = values.T
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    def annulus(self) -> tuple[float, float]:
        """Return inner and outer radius of the middle half of the widest annulus that no sample of any split is in."""
        if self._annulus is None:
            tame = DiscAdversary(**{**self.hparams, "twisted": False})
            states = np.concatenate([tame.arrays(split)[keys.STATE].reshape(-1, 2) for split in SPLITS])
            radii = np.concatenate([[0.0], np.sort(np.hypot(*states.T)), [1.0]])
            widest = int(np.argmax(np.diff(radii)))
            low, width = radii[widest], radii[widest + 1] - radii[widest]
            self._annulus = float(low + width / 4), float(low + 3 * width / 4)
        return self._annulus

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 2)."""
        rotated = _rotate(state, np.full(len(state), self.angle))
        if not self.twisted:
            return rotated
        low, high = self.annulus()
        radius = np.hypot(*state.T)
        inside = (radius > low) & (radius < high)
        bump = 2 * np.pi * np.sin(np.pi * (radius[inside] - low) / (high - low)) ** 2
        rotated[inside] = _rotate(state[inside], self.angle + bump)
        return rotated

    def truth(self) -> Truth:
        """Return the eigenfunctions (z / |z|)^m of the tame system, or r^2 of the adversary's."""
        radial = Eigenpair("r^2", 1.0, lambda state: (state**2).sum(1))
        if self.twisted:
            return Truth((radial,), "the whole unit circle")
        angular = tuple(
            Eigenpair(f"e^({m} i phi)", np.exp(1j * m * self.angle * self.lag), self._angular(m))
            for m in range(self.order)
        )
        return Truth((*angular, radial), f"the {self.order} roots of unity of order {self.order}, at lag 1")

    def _angular(self, m: int) -> Observable:
        return lambda state: np.exp(1j * m * np.arctan2(state[:, 1], state[:, 0]))


def _rotate(state: Array, angle: Array) -> Array:
    x, y = state.T
    return np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], axis=1)
