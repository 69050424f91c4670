"""What a force field takes from its training set: energies of isolated atoms, scale, shift, numbers of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from datamodules import keys
from datamodules.molecules.structure import SYMBOLS, Array, Structure


class EnergyStatistics(NamedTuple):
    """Statistics of a training set, in eV and Angstrom.

    Args:
        atomic_energies: E0 by atomic number.
        scale: root mean square of the components of forces; 1 where there are none.
        shift: mean energy per atom that E0 leaves.
        avg_num_neighbors: edges per atom.
    """

    atomic_energies: dict[int, float]
    scale: float
    shift: float
    avg_num_neighbors: float


def regressed_energies(structures: Sequence[Structure]) -> dict[int, float]:
    """Return E0 by least squares of energies on compositions, of the smallest norm where that is not unique."""
    elements = sorted({int(number) for structure in structures for number in structure.numbers})
    counts = np.array([[(structure.numbers == number).sum() for number in elements] for structure in structures])
    energies = np.array([structure.energy for structure in structures])
    solution, *_ = np.linalg.lstsq(counts.astype(np.float64), energies)
    return dict(zip(elements, solution.tolist(), strict=True))


def isolated_energies(structures: Sequence[Structure]) -> dict[int, float]:
    """Return E0 from structures of one atom each.

    Raises:
        ValueError: a structure has more atoms, or no energy.
    """
    energies = {}
    for number, structure in enumerate(structures):
        if len(structure.numbers) != 1 or structure.energy is None:
            raise ValueError(
                f"frame {number} of the isolated atoms has {len(structure.numbers)} atoms; give one, and E0"
            )
        energies[int(structure.numbers[0])] = structure.energy
    return energies


def energy_statistics(
    structures: Sequence[Structure], samples: Sequence[dict[str, Tensor]], atomic_energies: dict[int, float]
) -> EnergyStatistics:
    """Return the statistics of a training set.

    Args:
        structures: the training set.
        samples: the same with edges.
        atomic_energies: E0 by atomic number.

    Raises:
        ValueError: an element of the training set has no E0.
    """
    present = {int(number) for structure in structures for number in structure.numbers}
    missing = sorted(present - set(atomic_energies))
    if missing:
        raise ValueError(
            f"there is no E0 of {', '.join(SYMBOLS[number] for number in missing)}; give one, or 'average'"
        )
    lookup: Array = np.zeros(len(SYMBOLS))
    for number, energy in atomic_energies.items():
        lookup[number] = energy
    per_atom = [
        (structure.energy - lookup[structure.numbers].sum()) / len(structure.numbers)
        for structure in structures
        if structure.energy is not None
    ]
    forces = [structure.forces for structure in structures if structure.forces is not None]
    rms = float(np.sqrt(np.mean(np.square(np.concatenate(forces))))) if forces else 0.0
    edges = sum(sample[keys.EDGE_INDEX].size(1) for sample in samples)
    atoms = sum(len(structure.numbers) for structure in structures)
    return EnergyStatistics(
        atomic_energies={number: atomic_energies[number] for number in sorted(present)},
        scale=rms or 1.0,
        shift=float(np.mean(per_atom)),
        avg_num_neighbors=max(edges / atoms, 1.0),
    )
