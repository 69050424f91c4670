"""Expanding maps of an interval: mixing, with spectra that no truncation of a Fourier basis shows.

In floating point the doubling and the tent map shift the bits of a number out within 53 steps. Long random orbits are
therefore drawn backwards: the last state from the invariant measure, each earlier one as a random preimage of the next.
That is the law of a stationary orbit, and preimages contract errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tqdm.auto import tqdm

from datamodules.dynamics.generated import GeneratedDynamics
from datamodules.dynamics.measures import Array, Axis, circle, interval
from datamodules.dynamics.truth import CONSTANT, Observable, SpectralMeasure, Truth, trigonometric_density
from datamodules.module import require_integer
from zoo.checks import require

MAX_FORWARD = 20  # steps from the nodes of a grid, whose errors double in each

SPECTRUM = "the closed unit disc, of an isometry that is not invertible: only the constants have eigenvalue 1"


class ExpandingMap(GeneratedDynamics):
    """Base of expanding maps with an invariant measure; subclasses define `step` and `preimage`.

    Args:
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range, or orbits from the nodes of a grid are too long.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        steps = self.num_steps + self.lag + self.delays - 2
        if self.quadrature != "random":
            require(steps <= MAX_FORWARD, "num_steps", self.num_steps, f"orbits of at most {MAX_FORWARD} steps")

    def preimage(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random preimages of states (M, 1), drawn so that the invariant measure is kept."""
        raise NotImplementedError(f"{type(self).__name__} must define preimage()")

    def trajectories(self, initial: Array, length: int, generator: np.random.Generator, progress: tqdm) -> Array:
        """Return trajectories (M, length, 1) that start at initial states, or where those are random, end at them."""
        if length - 1 <= MAX_FORWARD:
            return super().trajectories(initial, length, generator, progress)
        states = [initial]
        for _ in range(length - 1):
            states.append(self.preimage(states[-1], generator))
            progress.update(len(initial))
        return np.stack(states[::-1], axis=1)

    def isometry_truth(self, observable: Observable) -> Truth:
        """Return the truth where the images of an observable of norm 1 are orthogonal to each other."""
        measure = SpectralMeasure(observable, lambda order: float(order == 0), trigonometric_density([1.0]))
        return Truth((CONSTANT,), SPECTRUM, measure)


class DoublingMap(ExpandingMap):
    """x' = 2x mod 1 with Lebesgue measure; e^{2 pi i k x} becomes e^{4 pi i k x}.

    Args:
        **options: see `ExpandingMap`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [circle("x")]

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 1)."""
        return (2 * state) % 1

    def preimage(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random preimages of states (M, 1)."""
        return (state + generator.integers(2, size=state.shape)) / 2

    def truth(self) -> Truth:
        """Return the constant, and the spectral measure of e^{2 pi i x}."""
        return self.isometry_truth(lambda state: np.exp(2j * np.pi * state[:, 0]))


class TentMap(ExpandingMap):
    """x' = 1 - |2x - 1| on [0, 1] with Lebesgue measure; cos(pi k x) becomes cos(2 pi k x).

    Args:
        **options: see `ExpandingMap`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [interval("x", 0, 1)]

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 1)."""
        return 1 - abs(2 * state - 1)

    def preimage(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random preimages of states (M, 1)."""
        return np.where(generator.integers(2, size=state.shape) == 1, 1 - state / 2, state / 2)

    def truth(self) -> Truth:
        """Return the constant, and the spectral measure of sqrt(2) cos(pi x)."""
        return self.isometry_truth(lambda state: np.sqrt(2) * np.cos(np.pi * state[:, 0]))


class ChebyshevMap(ExpandingMap):
    """x' = T_p(x) = cos(p arccos x) on [-1, 1] with the arcsine measure; T_k becomes T_{pk}.

    Args:
        degree: p, >= 2.
        **options: see `ExpandingMap`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    def __init__(self, degree: int = 2, **options: Any) -> None:
        super().__init__(**options)
        require_integer("degree", degree, least=2)
        self.degree = degree

    @property
    def axes(self) -> list[Axis]:
        """The axis of the reference measure."""
        return [Axis("x", lambda uniform: -np.cos(np.pi * uniform))]

    def step(self, state: Array) -> Array:
        """Return the successors of states (M, 1)."""
        return np.cos(self.degree * np.arccos(np.clip(state, -1, 1)))

    def preimage(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random preimages of states (M, 1), one of p branches with equal probability."""
        angle, branch = np.arccos(np.clip(state, -1, 1)), generator.integers(self.degree, size=state.shape)
        return np.cos((angle + 2 * np.pi * branch) / self.degree)

    def truth(self) -> Truth:
        """Return the constant, and the spectral measure of sqrt(2) x."""
        return self.isometry_truth(lambda state: np.sqrt(2) * state[:, 0])
