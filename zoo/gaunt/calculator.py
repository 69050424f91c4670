"""`GauntCalculator`: a trained force field for ASE's molecular dynamics, relaxations and everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor

from zoo.checks import require
from zoo.gaunt.network import GauntForceField
from zoo.spectral.neighbors import neighbor_list


class GauntCalculator(Calculator):
    """Energies, forces and stresses of atoms by a force field.

    Args:
        network: the force field; it is itself moved to `device` and `dtype`, and set to evaluation.
        device: where to compute.
        dtype: "float32", or "float64" for relaxations to small forces; None for that of the network.
        **options: see `ase.calculators.calculator.Calculator`.

    Raises:
        ValueError: an argument is out of its range; when it computes, an element is unknown to the network.

    Example:
        >>> from ase.build import molecule
        >>> atoms = molecule("H2O")
        >>> atoms.calc = GauntCalculator(GauntForceField([1, 8], channels=4))
        >>> atoms.get_forces().shape
        (3, 3)
    """

    implemented_properties = [  # noqa: RUF012 - as in ASE's base class
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
    ]

    def __init__(self, network: GauntForceField, device: str = "cpu", dtype: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        require(dtype in (None, "float32", "float64"), "dtype", dtype, "'float32', 'float64' or None")
        self.network = network.to(device).eval()
        if dtype is not None:
            self.network = self.network.to(getattr(torch, dtype))
        self.device = torch.device(device)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute everything for some atoms; ASE calls it. Energies in eV, lengths in Angstrom."""
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        periodic = bool(atoms.pbc.any()) and atoms.cell.rank == 3
        with torch.no_grad():
            result = self.network(self._batch(atoms), compute_stress=bool(periodic))
        energy = result["energy"].item()
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": result["node_energy"].cpu().numpy(),
            "forces": result["forces"].double().cpu().numpy(),
        }
        if "stress" in result:
            self.results["stress"] = full_3x3_to_voigt_6_stress(result["stress"][0].double().cpu().numpy())

    def _batch(self, atoms: Atoms) -> dict[str, Tensor]:
        pos = torch.from_numpy(atoms.positions)
        cell = torch.from_numpy(atoms.cell.array)
        first, second, third = (bool(flag) for flag in atoms.pbc)
        edge_index, shifts = neighbor_list(pos, self.network.r_max, cell, (first, second, third))
        number = len(atoms)
        batch = {
            "numbers": torch.from_numpy(atoms.numbers.astype("int64")),
            "pos": pos,
            "edge_index": edge_index,
            "shifts": shifts,
            "batch": torch.zeros(number, dtype=torch.int64),
            "ptr": torch.tensor([0, number]),
            "cell": cell[None],
        }
        return {name: tensor.to(self.device) for name, tensor in batch.items()}
