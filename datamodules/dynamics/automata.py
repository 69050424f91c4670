"""The cellular automaton as data: exact on all configurations, and with noise when some cells are not seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from datamodules.dynamics.automaton import (
    BITS,
    PARTICLES,
    advance,
    configurations,
    cycle_counts,
    mode,
    numbers_of,
    permutation,
    transfer_matrix,
)
from datamodules.dynamics.generated import GeneratedDynamics, StochasticDynamics
from datamodules.dynamics.measures import Array, Axis, Quadrature
from datamodules.dynamics.truth import CONSTANT, Eigenpair, Observable, Truth
from zoo.checks import require

MAX_CELLS = 5  # 16^5 configurations of 20 bits: 160 MB


class CellularAutomaton(GeneratedDynamics):
    """Coloured particles on a ring, see `datamodules.dynamics.automaton`; states are bits, the measure is uniform.

    By default the training split holds every configuration once, on which EDMD is exact; the other splits are random
    configurations, which are then among those of training. Fourier transforms of the occupation by right and by left
    movers are eigenfunctions, colour by colour only without interaction.

    Args:
        num_cells: L, from 2 to 5.
        interacting: whether particles that meet exchange colours.
        num_train: number of configurations for training; None for all 16^L, the only grid that there is.
        quadrature: "equispaced" for every configuration once, or "random".
        **options: see `GeneratedDynamics`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    quadratures = ("random", "equispaced")

    def __init__(
        self,
        num_cells: int = 3,
        interacting: bool = True,
        num_train: int | None = None,
        quadrature: Quadrature = "equispaced",
        **options: Any,
    ) -> None:
        _require_cells("num_cells", num_cells, 2)
        number = 16**num_cells
        super().__init__(num_train=number if num_train is None else num_train, quadrature=quadrature, **options)
        if quadrature == "equispaced":
            require(self.sizes["train"] == number, "num_train", num_train, f"{number}, all configurations, or None")
        self.num_cells, self.interacting = num_cells, interacting

    @property
    def axes(self) -> list[Axis]:
        """The one axis of the reference measure: the number of the configuration."""
        return [_numbers(self.num_cells)]

    @property
    def coordinates(self) -> list[str]:
        """The names of the bits."""
        return _bit_names(self.num_cells)

    def from_axes(self, values: Array) -> Array:
        """Return the bits (M, 4 L) of numbers (M, 1)."""
        return _bits(values, self.num_cells)

    def step(self, state: Array) -> Array:
        """Return the successors of bits (M, 4 L)."""
        return advance(state, self.interacting)

    def cycle_counts(self) -> dict[int, int]:
        """Return the number of cycles of each length."""
        return cycle_counts(permutation(self.num_cells, self.interacting))

    def truth(self) -> Truth:
        """Return the Fourier transforms of occupations; the whole spectrum is in `cycle_counts`."""
        kinds: list[tuple[str, ...]] = [("R_r", "R_g"), ("L_r", "L_g")]
        if not self.interacting:
            kinds += [(particle,) for particle in PARTICLES]
        pairs = []
        for particles in kinds:
            direction = -1 if particles[0].startswith("R") else 1
            for wave in range(self.num_cells):
                angle = direction * 2 * np.pi * wave * self.lag / self.num_cells
                pairs.append(
                    Eigenpair(f"{' + '.join(particles)}, wave {wave}", np.exp(1j * angle), _mode(wave, particles))
                )
        return Truth((CONSTANT, *pairs), "all roots of unity of the orders of the cycles, each as often as its cycles")

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the pairs."""
        return {**super().metadata(), "split": "independent draws; cycles are shared between splits"}


class CoarseAutomaton(StochasticDynamics):
    """The first cells of the automaton, the others being uniformly random before each step.

    The expectation operator is the transfer matrix, doubly stochastic and contractive: a noisy system on a finite set.
    Without interaction all movers leave the kept cells, and beyond the constants the matrix is nilpotent.

    Args:
        num_cells: L, from 2 to 5.
        kept_cells: number of cells that are seen, from 1 to 2 and < L.
        interacting: whether particles that meet exchange colours.
        **options: see `StochasticDynamics`; `quadrature` is "random", or "equispaced" with 16^kept_cells states.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    quadratures = ("random", "equispaced")

    def __init__(self, num_cells: int = 4, kept_cells: int = 2, interacting: bool = True, **options: Any) -> None:
        super().__init__(**options)
        _require_cells("num_cells", num_cells, 2)
        allowed = f"1 or 2, and less than num_cells={num_cells}"
        require(kept_cells in (1, 2) and kept_cells < num_cells, "kept_cells", kept_cells, allowed)
        self.num_cells, self.kept_cells, self.interacting = num_cells, kept_cells, interacting

    @property
    def axes(self) -> list[Axis]:
        """The one axis of the reference measure: the number of the configuration of the kept cells."""
        return [_numbers(self.kept_cells)]

    @property
    def coordinates(self) -> list[str]:
        """The names of the bits of the kept cells."""
        return _bit_names(self.kept_cells)

    def from_axes(self, values: Array) -> Array:
        """Return the bits (M, 4 k) of numbers (M, 1)."""
        return _bits(values, self.kept_cells)

    def noisy_step(self, state: Array, generator: np.random.Generator) -> Array:
        """Return random successors of bits (M, 4 k)."""
        hidden = generator.integers(2, size=(len(state), BITS * (self.num_cells - self.kept_cells)))
        whole = np.concatenate([state, hidden], axis=1)
        return advance(whole, self.interacting)[:, : state.shape[1]]

    def truth(self) -> Truth:
        """Return the eigenpairs of the transfer matrix with |lambda| > .01 that are accurate to 1e-9."""
        matrix = transfer_matrix(self.num_cells, self.kept_cells, self.interacting)
        eigenvalues, vectors = np.linalg.eig(matrix)
        pairs: list[Eigenpair] = []
        for column in np.argsort(-abs(eigenvalues), kind="stable"):
            eigenvalue, vector = eigenvalues[column], vectors[:, column]
            defect = abs(matrix @ vector - eigenvalue * vector).max()
            if abs(eigenvalue) > 0.01 and defect < 1e-9:
                number = len(pairs)
                power = eigenvalue**self.lag
                pairs.append(Eigenpair(f"number {number}", power, _table(vector), 1 - abs(power) ** 2))
        return Truth(tuple(pairs), "the eigenvalues of the transfer matrix")


def _require_cells(name: str, value: object, least: int) -> None:
    require(type(value) is int and least <= value <= MAX_CELLS, name, value, f"an integer from {least} to {MAX_CELLS}")


def _numbers(num_cells: int) -> Axis:
    return Axis("configuration", lambda uniform: np.floor(16**num_cells * uniform), periodic=True)


def _bits(numbers: Array, num_cells: int) -> Array:
    return configurations(num_cells)[numbers[:, 0].astype(np.int64)].astype(np.float64)


def _bit_names(num_cells: int) -> list[str]:
    return [f"{particle}({cell})" for cell in range(num_cells) for particle in PARTICLES]


def _mode(wave: int, particles: tuple[str, ...]) -> Observable:
    return lambda state: mode(state, wave, particles)


def _table(values: Array) -> Observable:
    return lambda state: values[numbers_of(state)]
