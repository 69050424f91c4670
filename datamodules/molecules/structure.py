"""`Structure`: atoms with labels, checked; and how a benchmark's batches are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from datamodules import keys
from zoo.spectral.neighbors import neighbor_list

_ROWS = """
    X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo
    Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl
    Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOLS = _ROWS.split()
"""The index is the atomic number."""

NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}

OVERLAP = 0.1
"""Distance in Angstrom below which two atoms are at one place: no chemistry, but a mistake."""

Array = np.ndarray


@dataclass
class Structure:
    """Atoms in space.

    Args:
        numbers: atomic numbers (n,).
        pos: positions (n, 3) in Angstrom.
        cell: rows are the cell vectors (3, 3); None without a cell.
        pbc: which cell vectors the atoms are repeated along.
        energy: eV.
        forces: (n, 3) in eV/Angstrom.
        stress: (3, 3) in eV/Angstrom^3.
        info: further entries of the file's comment line, as they are written.
    """

    numbers: Array
    pos: Array
    cell: Array | None = None
    pbc: tuple[bool, bool, bool] = (False, False, False)
    energy: float | None = None
    forces: Array | None = None
    stress: Array | None = None
    info: dict[str, str] = field(default_factory=dict)

    def check(self, need_energy: bool = False, need_forces: bool = False) -> None:
        """Refuse structures that no network can learn from, or be asked about.

        Raises:
            ValueError: the structure has no atoms, an unknown element, numbers that are not finite, two atoms at one
                place or a flat cell, or lacks a label; the message says which.
        """
        if len(self.numbers) == 0:
            raise ValueError("it has no atoms")
        for name, value in (("positions", self.pos), ("forces", self.forces), ("the cell", self.cell)):
            if value is not None and not np.isfinite(value).all():
                raise ValueError(f"{name} hold a number that is not finite")
        if self.energy is not None and not np.isfinite(self.energy):
            raise ValueError(f"energy={self.energy} is not finite")
        if need_energy and self.energy is None:
            raise ValueError("it has no energy")
        if need_forces and self.forces is None:
            raise ValueError("it has no forces")
        if any(self.pbc) and (self.cell is None or abs(np.linalg.det(self.cell)) < 1e-6):
            raise ValueError("it is periodic, but its cell has no volume")
        pos, cell = torch.from_numpy(self.pos), None if self.cell is None else torch.from_numpy(self.cell)
        (source, target), shifts = neighbor_list(pos, 10 * OVERLAP, cell, self.pbc)
        overlapping = (pos[target] - pos[source] + shifts).norm(dim=1) < OVERLAP
        if overlapping.any():
            first = int(overlapping.nonzero()[0])
            raise ValueError(f"atoms {int(source[first])} and {int(target[first])} overlap")

    def sample(self, r_max: float, group: int = 0) -> dict[str, Tensor]:
        """Return the structure as a batch of one, with the edges up to a cutoff."""
        pos = torch.from_numpy(self.pos)
        cell = None if self.cell is None else torch.from_numpy(self.cell)
        edge_index, shifts = neighbor_list(pos, r_max, cell, self.pbc)
        number = len(self.numbers)
        sample = {
            keys.NUMBERS: torch.from_numpy(self.numbers),
            keys.POS: pos,
            keys.EDGE_INDEX: edge_index,
            keys.SHIFTS: shifts,
            keys.BATCH: torch.zeros(number, dtype=torch.int64),
            keys.PTR: torch.tensor([0, number]),
            keys.CELL: torch.zeros(1, 3, 3, dtype=torch.float64) if cell is None else cell[None],
            keys.GROUP: torch.tensor([group]),
        }
        if self.energy is not None:
            sample[keys.ENERGY] = torch.tensor([self.energy], dtype=torch.float64)
            unknown = np.full((number, 3), np.nan)
            sample[keys.FORCES] = torch.from_numpy(unknown if self.forces is None else self.forces)
            unknown = np.full((3, 3), np.nan)
            sample[keys.STRESS] = torch.from_numpy(unknown if self.stress is None else self.stress)[None]
        return sample


def collate(samples: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the batch of some structures, each a batch of one or more."""
    batch = {
        key: torch.cat([sample[key] for sample in samples], dim=1 if key == keys.EDGE_INDEX else 0)
        for key in samples[0]
        if key not in (keys.PTR, keys.BATCH, keys.EDGE_INDEX)
    }
    sizes = torch.cat([sample[keys.PTR].diff() for sample in samples])
    first = torch.tensor([0, *(int(sample[keys.PTR][-1]) for sample in samples)]).cumsum(0)
    batch[keys.PTR] = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
    batch[keys.BATCH] = torch.arange(len(sizes)).repeat_interleave(sizes)
    edges = [sample[keys.EDGE_INDEX] + start for sample, start in zip(samples, first.tolist(), strict=False)]
    batch[keys.EDGE_INDEX] = torch.cat(edges, dim=1)
    return batch
