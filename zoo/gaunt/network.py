r"""`GauntForceField`: energies, conservative forces and stresses of atoms by Gaunt tensor products.

    h_i = embedding of the element
    A_i = sum_j convolution(h_j, r_ij) / average number of neighbours          zoo.gaunt.interaction
    h_i <- Linear sum_n w_n P[f_{A_i}^n] + Linear_{z_i} h_i                    zoo.gaunt.many_body
    E   = sum_i [ E0_{z_i} + scale * (sum of readouts of h_i) + shift ],       F = -dE/dr

This is MACE (Batatia et al., NeurIPS 2022) with its symmetric contraction by powers on the sphere; and, other than in
the paper's released model, with its convolution by Gaunt products too, unless conv = "cg". The last layer of every
readout starts at zero: at first the energy is that of the isolated atoms.

Source: Luo, Chen, Krishnapriyan, ICLR 2024, arXiv 2401.10216, sections 3.3 and 4.2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from zoo.checks import require, require_above, require_choice, require_finite, require_positive
from zoo.gaunt.bracket import BracketTensorProduct
from zoo.gaunt.harmonics import dim, require_degree
from zoo.gaunt.interaction import CONVOLUTIONS, Edges, Interaction
from zoo.gaunt.linear import DegreeLinear
from zoo.gaunt.many_body import GauntManyBody
from zoo.gaunt.radial import RadialBasis
from zoo.registry import register

MAX_ELEMENT = 118


class Layer(nn.Module):
    """Interaction, many-body product and residual connection.

    Args:
        lmax_in: degree of the features.
        lmax_out: degree of the result.
        lmax_edge: degree of what atoms gather.
        correlation: order of the many-body product.
        channels: number C of channels.
        num_bessel: size of the radial basis.
        num_elements: number of elements.
        conv: one of `zoo.gaunt.interaction.CONVOLUTIONS`.
        rank: number of terms of the Gaunt convolution.
        pseudo_in: whether the features have pseudo-tensors beside them.
        pseudo_out: whether the result shall have.
    """

    def __init__(
        self,
        lmax_in: int,
        lmax_out: int,
        lmax_edge: int,
        correlation: int,
        channels: int,
        num_bessel: int,
        num_elements: int,
        conv: str,
        rank: int,
        pseudo_in: bool,
        pseudo_out: bool,
    ) -> None:
        super().__init__()
        self.lmax_out, self.lmax_skip = lmax_out, min(lmax_in, lmax_out)
        self.interaction = Interaction(lmax_in, lmax_edge, channels, num_bessel, conv, rank, pseudo_in, pseudo_out)
        self.many_body = GauntManyBody(lmax_edge, lmax_out, correlation, channels, num_elements)
        self.linear = DegreeLinear(channels, channels, lmax_out)
        self.skip = DegreeLinear(channels, channels, self.lmax_skip, num_elements)
        if pseudo_out:
            self.left, self.right = (DegreeLinear(channels, channels, lmax_edge) for _ in range(2))
            self.bracket = BracketTensorProduct(lmax_edge, lmax_edge, lmax_out, channels, normalize=True)
        self.pseudo_out = pseudo_out

    def forward(
        self, features: Tensor, pseudo: Tensor | None, elements: Tensor, edges: Edges, avg_num_neighbors: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return the new features (N, C, d(L_out)), and pseudo-tensors of the same shape or None."""
        gathered, turned = self.interaction(features, pseudo, edges)
        gathered = gathered / avg_num_neighbors
        result = self.linear(self.many_body(gathered, elements))
        kept = self.skip(features[..., : dim(self.lmax_skip)], elements)
        result = result + nn.functional.pad(kept, (0, result.size(-1) - kept.size(-1)))
        if not self.pseudo_out:
            return result, None
        new_pseudo = self.bracket(self.left(gathered), self.right(gathered))
        if turned is not None:
            new_pseudo = new_pseudo + turned[..., : dim(self.lmax_out)] / avg_num_neighbors
        return result, new_pseudo


class Readout(nn.Module):
    """A linear function of scalars, zero at first.

    Args:
        width: number of scalars.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        """Return one number for each node: (N, width) -> (N,)."""
        return features @ self.weight


@register("gaunt-force-field")
class GauntForceField(nn.Module):
    """The potential energy of atoms as a function of their positions, invariant under all symmetries of space.

    Args:
        elements: atomic numbers that the network knows.
        r_max: cutoff radius in Angstrom.
        num_bessel: size of the radial basis.
        cutoff_power: power p of the envelope at the cutoff.
        channels: number C of channels.
        lmax_edge: largest degree of filters, and of what atoms gather; >= 1.
        lmax_hidden: largest degree of features between layers, >= 0.
        correlation: nu, number of neighbours that interact at once, per layer.
        num_layers: number of layers.
        readout_width: width of the last readout.
        conv: "gaunt", "gaunt+bracket" or "cg", see `zoo.gaunt.interaction`.
        conv_rank: number of terms of the Gaunt convolution.
        atomic_energies: E0 of each of `elements` in eV; zeros by default.
        scale: eV per unit of the readouts.
        shift: eV per atom.
        avg_num_neighbors: what sums over neighbours are divided by.

    Attributes:
        atomic_energies: (number of elements,), float64 whatever the dtype of the network: energies of molecules have
            more digits than float32.

    Raises:
        ValueError: an argument is out of its range.
    """

    lookup: Tensor
    atomic_energies: Tensor
    scale: Tensor
    shift: Tensor
    avg_num_neighbors: Tensor

    # Weights that are made in inference mode could give no forces; checkpoints are verified there after a test.
    @torch.inference_mode(mode=False)
    def __init__(
        self,
        elements: list[int],
        r_max: float = 5.0,
        num_bessel: int = 8,
        cutoff_power: int = 5,
        channels: int = 128,
        lmax_edge: int = 3,
        lmax_hidden: int = 2,
        correlation: int = 3,
        num_layers: int = 2,
        readout_width: int = 16,
        conv: str = "gaunt",
        conv_rank: int = 1,
        atomic_energies: list[float] | None = None,
        scale: float = 1.0,
        shift: float = 0.0,
        avg_num_neighbors: float = 1.0,
    ) -> None:
        super().__init__()
        allowed = all(type(number) is int and 1 <= number <= MAX_ELEMENT for number in elements)
        distinct = bool(elements) and len(set(elements)) == len(elements)
        require(allowed and distinct, "elements", elements, f"distinct atomic numbers from 1 to {MAX_ELEMENT}")
        require_positive(num_bessel=num_bessel, cutoff_power=cutoff_power, channels=channels, lmax_edge=lmax_edge)
        require_positive(correlation=correlation, num_layers=num_layers, readout_width=readout_width)
        require_positive(conv_rank=conv_rank)
        require_degree(lmax_hidden=lmax_hidden)
        require_choice("conv", conv, CONVOLUTIONS)
        require_above(0, r_max=r_max, scale=scale, avg_num_neighbors=avg_num_neighbors)
        require_finite(shift=shift)
        energies = [0.0] * len(elements) if atomic_energies is None else list(atomic_energies)
        require(len(energies) == len(elements), "atomic_energies", atomic_energies, f"{len(elements)} numbers")
        self.elements, self.r_max, self.conv = list(elements), r_max, conv

        lookup = torch.full((MAX_ELEMENT + 1,), -1)
        lookup[elements] = torch.arange(len(elements))
        self.register_buffer("lookup", lookup, persistent=False)
        self.register_buffer("atomic_energies", torch.tensor(energies, dtype=torch.float64))
        for name, value in (("scale", scale), ("shift", shift), ("avg_num_neighbors", avg_num_neighbors)):
            self.register_buffer(name, torch.tensor(float(value)))

        self.basis = RadialBasis(r_max, num_bessel, cutoff_power)
        self.embedding = nn.Parameter(torch.randn(len(elements), channels))
        self.layers, self.readouts = nn.ModuleList(), nn.ModuleList()
        for number in range(num_layers):
            first, last = number == 0, number == num_layers - 1
            bracket = conv == "gaunt+bracket" and lmax_hidden > 0
            self.layers.append(
                Layer(
                    lmax_in=0 if first else lmax_hidden,
                    lmax_out=0 if last else lmax_hidden,
                    lmax_edge=lmax_edge,
                    correlation=correlation,
                    channels=channels,
                    num_bessel=num_bessel,
                    num_elements=len(elements),
                    conv=conv,
                    rank=conv_rank,
                    pseudo_in=bracket and not first,
                    pseudo_out=bracket and not last,
                )
            )
            output = Readout(readout_width if last else channels)
            hidden = [nn.Linear(channels, readout_width, bias=False), nn.SiLU()] if last else []
            self.readouts.append(nn.Sequential(*hidden, output))
        self.register_load_state_dict_post_hook(_round_constants)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        exact = self.atomic_energies
        super()._apply(fn, recurse)
        self.atomic_energies = exact.to(self.atomic_energies.device)
        return self

    @torch.inference_mode(mode=False)
    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy whose weights are no inference tensors either."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def node_energies(self, elements: Tensor, vectors: Tensor, edge_index: Tensor) -> Tensor:
        """Return the interaction energies of atoms in eV, without E0: (N,) in the dtype of the vectors.

        Args:
            elements: index of each atom's element in `elements`, (N,) int64.
            vectors: from source to target of each edge, (E, 3) in Angstrom.
            edge_index: source and target of each edge, (2, E) int64.
        """
        lengths = torch.linalg.vector_norm(vectors, dim=-1)
        edges = Edges(edge_index, vectors, self.basis(lengths))
        features, pseudo = self.embedding[elements].unsqueeze(-1), None
        total = torch.zeros_like(features[:, 0, 0])
        for layer, readout in zip(self.layers, self.readouts, strict=True):
            features, pseudo = layer(features, pseudo, elements, edges, self.avg_num_neighbors)
            total = total + readout(features[..., 0])
        return self.scale * total + self.shift

    def forward(self, batch: Mapping[str, Tensor], compute_stress: bool = False) -> dict[str, Tensor]:
        """Return energies and forces of a batch of structures.

        Gradients with respect to parameters can be taken of everything if they are enabled outside.

        Args:
            batch: `numbers` (N,) int64, `pos` (N, 3) in Angstrom, `edge_index` (2, E) int64 source and target, `shifts`
                (E, 3) Angstrom, added to pos[target] - pos[source]; `batch` (N,) int64 structure of each atom, `ptr`
                (B + 1,) int64 their first atoms; `cell` (B, 3, 3) Angstrom, for stress. Edges must reach to `r_max`;
                longer ones have no effect.
            compute_stress: also return the stress.

        Returns:
            `energy` (B,) eV, float64; `interaction_energy` (B,), the same without E0, in the network's dtype;
            `node_energy` (N,) eV, float64; `forces` (N, 3) eV/Angstrom; and `stress` (B, 3, 3) eV/Angstrom^3, the
            derivative by the strain over the volume.

        Raises:
            ValueError: an atom's element is unknown; or stress is asked for without cells.
        """
        numbers = batch["numbers"]
        with_gradients = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        # Forces are derivatives, also where the caller wants none: Lightning validates in inference mode. And energies
        # are differences of large numbers: not in half precision.
        precise = torch.autocast(numbers.device.type, enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), precise:
            given = {name: tensor.clone() if tensor.is_inference() else tensor for name, tensor in batch.items()}
            elements = self.lookup[given["numbers"].clamp(0, MAX_ELEMENT)]
            if bool((elements < 0).any()):
                unknown = sorted(set(numbers[elements < 0].tolist()))
                raise ValueError(f"numbers holds {unknown}; the network knows the atomic numbers {self.elements}")
            graphs = given["ptr"].numel() - 1
            dtype = self.embedding.dtype
            pos = given["pos"].to(dtype).detach().requires_grad_()
            strain = pos.new_zeros(graphs, 3, 3, requires_grad=compute_stress)
            moved, shifts = pos, given["shifts"].to(dtype)
            source, target = given["edge_index"]
            if compute_stress:
                symmetric = (strain + strain.mT) / 2
                moved = pos + torch.einsum("ni,nij->nj", pos, symmetric[given["batch"]])
                shifts = shifts + torch.einsum("ei,eij->ej", shifts, symmetric[given["batch"][source]])
            node_energy = self.node_energies(elements, moved[target] - moved[source] + shifts, given["edge_index"])
            interaction = node_energy.new_zeros(graphs).index_add(0, given["batch"], node_energy)
            wanted = [pos, strain] if compute_stress else [pos]
            gradients = torch.autograd.grad(
                interaction.sum(), wanted, create_graph=with_gradients, allow_unused=True, materialize_grads=True
            )
            isolated = self.atomic_energies[elements]
            node_total = isolated + node_energy.double()
            result = {
                "energy": node_total.new_zeros(graphs).index_add(0, given["batch"], node_total),
                "interaction_energy": interaction,
                "node_energy": node_total,
                "forces": -gradients[0],
            }
            if compute_stress:
                result["stress"] = gradients[1] / _volumes(given)[:, None, None]
            return result if with_gradients else {name: tensor.detach() for name, tensor in result.items()}


def _round_constants(network: nn.Module, _: object) -> None:
    """Give constants, which no checkpoint holds, the precision of the parameters that were loaded."""
    network.to(next(network.parameters()).dtype)


def _volumes(batch: Mapping[str, Tensor]) -> Tensor:
    cell = batch.get("cell")
    if cell is None or bool((torch.linalg.det(cell.double()) == 0).any()):
        raise ValueError("compute_stress=True needs structures with three cell vectors in 'cell'")
    return torch.linalg.det(cell.double()).abs()
