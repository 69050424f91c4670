"""`ForceFieldErrors`: root mean square and mean absolute errors of energies and forces, of all and of each group."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

MILLI = 1e3
"""Errors are reported in meV, meV per atom and meV/Angstrom."""

QUANTITIES = ("energy", "energy_per_atom", "forces")


class ForceFieldErrors(Metric):
    """Errors in meV, meV per atom and meV/Angstrom: `energy_rmse`, `energy_mae`, .., `forces_rmse_<group>`.

    Sums are kept in float64, so that any batches and processes give the same. Unknown forces are NaN and do not count;
    what no structure has is left out.

    Args:
        group_names: names of the groups of structures; without any, or with one, there are errors of all alone.
    """

    full_state_update = False
    squares: Tensor
    absolutes: Tensor
    counts: Tensor

    def __init__(self, group_names: list[str] | None = None) -> None:
        super().__init__()
        self.group_names = list(group_names or [])
        shape = (max(1, len(self.group_names)), len(QUANTITIES))
        for name in ("squares", "absolutes", "counts"):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, energy: Tensor, forces: Tensor, sizes: Tensor, batch: Tensor, group: Tensor) -> None:
        """Add errors.

        Args:
            energy: errors of energies in eV (B,).
            forces: errors of forces in eV/Angstrom (N, 3), NaN where unknown.
            sizes: numbers of atoms (B,).
            batch: structure of each atom (N,).
            group: group of each structure (B,).
        """
        if len(self.group_names) < 2:
            group = torch.zeros_like(group)
        known = ~forces.isnan().any(1)
        columns = (
            (energy.double(), group),
            (energy.double() / sizes, group),
            (forces[known].double().flatten(), group[batch[known]].repeat_interleave(3)),
        )
        for column, (errors, groups) in enumerate(columns):
            self.squares[:, column] += torch.zeros_like(self.squares[:, 0]).index_add(0, groups, errors.square())
            self.absolutes[:, column] += torch.zeros_like(self.squares[:, 0]).index_add(0, groups, errors.abs())
            self.counts[:, column] += groups.bincount(minlength=len(self.counts))

    def compute(self) -> dict[str, Tensor]:
        """Return the errors by name."""
        rows = {"": [sums.sum(0) for sums in (self.squares, self.absolutes, self.counts)]}
        if len(self.group_names) > 1:
            for number, name in enumerate(self.group_names):
                rows[f"_{name}"] = [sums[number] for sums in (self.squares, self.absolutes, self.counts)]
        errors = {}
        for suffix, (squares, absolutes, counts) in rows.items():
            for column, quantity in enumerate(QUANTITIES):
                if counts[column] > 0:
                    errors[f"{quantity}_rmse{suffix}"] = MILLI * (squares[column] / counts[column]).sqrt()
                    errors[f"{quantity}_mae{suffix}"] = MILLI * absolutes[column] / counts[column]
        return errors
