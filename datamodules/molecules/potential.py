r"""A potential that is known exactly: energies, forces and stresses of atoms that Morse potentials bind.

    E = sum_i E0_{z_i} + 1/2 sum_{i, j, images} D [ (1 - e^{-a (r - r0)})^2 - 1 ] u(r)

D, a and r0 follow from the two elements; u is a smooth envelope that ends at the cutoff. Every atom interacts with all
others, bonded or not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.molecules.structure import Structure
from zoo.spectral.neighbors import neighbor_list

RADII = {1: 0.35, 6: 0.72, 7: 0.70, 8: 0.66}
"""Angstrom; r0 of a pair is the sum."""

DEPTHS = {1: 1.0, 6: 2.0, 7: 1.7, 8: 1.5}
"""eV; D of a pair is the geometric mean."""

ATOMIC_ENERGIES = {1: -13.5, 6: -1029.0, 7: -1485.0, 8: -2042.0}
"""eV, of the size that all-electron calculations give."""

WIDTH = 1.5
"""a in 1/Angstrom."""


def morse_energy(pos: Tensor, numbers: Tensor, edge_index: Tensor, shifts: Tensor, cutoff: float) -> Tensor:
    """Return the energy in eV, differentiable, of atoms (n, 3) with the pairs of `neighbor_list`."""
    table = {name: torch.zeros(119, dtype=pos.dtype) for name in ("radius", "depth", "energy")}
    for name, values in (("radius", RADII), ("depth", DEPTHS), ("energy", ATOMIC_ENERGIES)):
        for number, value in values.items():
            table[name][number] = value
    source, target = edge_index
    lengths = (pos[target] - pos[source] + shifts).norm(dim=1)
    first, second = numbers[source], numbers[target]
    rest = table["radius"][first] + table["radius"][second]
    depth = (table["depth"][first] * table["depth"][second]).sqrt()
    well = depth * ((1 - torch.exp(-WIDTH * (lengths - rest))).square() - 1)
    x = (lengths / cutoff).clamp(max=1)
    envelope = 1 - x**3 * (10 - 15 * x + 6 * x.square())
    return table["energy"][numbers].sum() + (well * envelope).sum() / 2


def label(structure: Structure, cutoff: float) -> None:
    """Give a structure the energy and forces of the potential, and the stress where it is periodic."""
    pos = torch.from_numpy(structure.pos).clone().requires_grad_()
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    cell = None if structure.cell is None else torch.from_numpy(structure.cell)
    edge_index, shifts = neighbor_list(pos, cutoff, cell, structure.pbc)
    symmetric = (strain + strain.T) / 2
    numbers = torch.from_numpy(structure.numbers)
    energy = morse_energy(pos + pos @ symmetric, numbers, edge_index, shifts + shifts @ symmetric, cutoff)
    by_pos, by_strain = torch.autograd.grad(energy, [pos, strain])
    structure.energy = float(energy.detach())
    structure.forces = -by_pos.numpy()
    if cell is not None and all(structure.pbc):
        structure.stress = (by_strain / torch.linalg.det(cell).abs()).numpy()
