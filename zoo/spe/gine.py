"""The GINE base network of the SPE paper, with SPE at the input (Huang et al., arXiv 2310.02579, section 5)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from zoo.checks import require_choice, require_positive, require_probability
from zoo.registry import register
from zoo.spe.encoding import SPE, graph_pointer
from zoo.spe.mlp import MLP
from zoo.spe.normalization import NORMS


class GINELayer(nn.Module):
    """Message passing with bonds, h_i <- MLP((1 + eps) h_i + sum_{j in N(i)} ReLU(h_j + e_ij)), e a table of bonds."""

    def __init__(
        self, width: int, num_bond_types: int, norm: str, dropout: float, random_epsilon: bool, mlp_layers: int = 3
    ) -> None:
        super().__init__()
        self.bonds = nn.Embedding(num_bond_types, width)
        self.epsilon = nn.Parameter(torch.randn(()) if random_epsilon else torch.zeros(()))
        self.mlp = MLP(width, width, width, mlp_layers, norm, dropout)

    def forward(self, h: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Return updated node features (N, D)."""
        source, target = edge_index
        messages = torch.relu(h[source] + self.bonds(edge_attr))
        return self.mlp(((1 + self.epsilon) * h).index_add(0, target, messages.to(h.dtype)))


def pool_nodes(h: Tensor, batch: Data, pool: str) -> Tensor:
    """Return the "mean" or sum ("add") of node features (N, D) over each graph: (B, D)."""
    sizes = graph_pointer(batch).diff()
    graph = torch.arange(len(sizes), device=h.device).repeat_interleave(sizes, output_size=h.size(0))
    total = h.new_zeros(len(sizes), h.size(1)).index_add(0, graph, h)
    return total / sizes[:, None] if pool == "mean" else total


@register("spe-gine")
class SPEGINE(nn.Module):
    """Graph regression by GINE layers on atom embeddings and positional encodings.

        h = Embedding(x) + Linear(PE)
        h <- MLP((1 + eps) h + sum_j ReLU(h_j + e_ij)) + h       num_layers times
        y = MLP(pool(h))

    Takes a torch_geometric batch with x (N,), edge_index (2, E), edge_attr (E,), eigvals (B, d), eigvecs (N, d) and
    num_eigs (B,), see `AddLaplacianSpectrum`; returns (B, num_targets). It cannot be exported by torch.export: indices
    of pairs of nodes are computed from the sizes of the graphs.

    With the defaults and `random_epsilon=True` it is the published network of 651,495 parameters, less the 26,661 of a
    perceptron that the published rho holds but never uses.

    Args:
        num_atom_types: number of node types in `x`.
        num_bond_types: number of edge types in `edge_attr`.
        num_targets: number of outputs per graph.
        width: width D of the node features.
        num_layers: number of GINE layers.
        pe: "spe", or "none" for the same network without positional encodings.
        inject: where encodings enter: "input", as in the published results, or "every_layer", as in the last published
            code, where each layer works on h + MLP(PE) in addition.
        aggregate: how they enter at the input: "add" is h + Linear(PE), "concat" is Linear([h, Linear(PE)]).
        pool: "mean" or "add" over the nodes of a graph.
        residual: add the input of each layer to its output.
        norm: norm in the perceptrons, "batch", "layer" or "none".
        dropout: probability in the perceptrons of the base network.
        random_epsilon: start every eps, also that of rho, from N(0, 1) as published, instead of 0.
        **spe: arguments of `zoo.spe.encoding.SPE`; unused without positional encodings.

    Raises:
        ValueError: an argument is out of its range.
        TypeError: unknown argument.
    """

    def __init__(
        self,
        num_atom_types: int = 28,
        num_bond_types: int = 4,
        num_targets: int = 1,
        width: int = 128,
        num_layers: int = 4,
        pe: str = "spe",
        inject: str = "input",
        aggregate: str = "add",
        pool: str = "mean",
        residual: bool = True,
        norm: str = "batch",
        dropout: float = 0.0,
        random_epsilon: bool = False,
        **spe: Any,
    ) -> None:
        super().__init__()
        require_positive(num_atom_types=num_atom_types, num_bond_types=num_bond_types, num_targets=num_targets)
        require_positive(width=width, num_layers=num_layers)
        require_choice("pe", pe, ("spe", "none"))
        require_choice("inject", inject, ("input", "every_layer"))
        require_choice("aggregate", aggregate, ("add", "concat"))
        require_choice("pool", pool, ("mean", "add"))
        require_choice("norm", norm, NORMS)
        require_probability(dropout=dropout)
        self.pool = pool
        self.residual = residual
        self.aggregate = aggregate
        self.atoms = nn.Embedding(num_atom_types, width)
        self.layers = nn.ModuleList(
            GINELayer(width, num_bond_types, norm, dropout, random_epsilon) for _ in range(num_layers)
        )
        self.readout = MLP(width, width, num_targets, norm=norm, dropout=dropout)
        encoding = SPE(random_epsilon=random_epsilon, **spe)  # built in any case, so that no bad argument passes
        self.spe = encoding if pe == "spe" else None
        if self.spe is not None:
            self.embed_pe = nn.Linear(self.spe.pe_width, width)
            if aggregate == "concat":
                self.join = nn.Linear(2 * width, width)
            if inject == "every_layer":
                self.inject_pe = nn.ModuleList(
                    MLP(self.spe.pe_width, width, width, norm=norm, dropout=dropout) for _ in range(num_layers)
                )
        self.inject_everywhere = self.spe is not None and inject == "every_layer"

    def forward(self, batch: Data) -> Tensor:
        """Return predictions (B, num_targets) for a batch of graphs."""
        h = self.atoms(batch.x)
        if self.spe is not None:
            pe = self.spe(batch)
            embedded = self.embed_pe(pe)
            h = self.join(torch.cat([h, embedded], dim=1)) if self.aggregate == "concat" else h + embedded
        for number, layer in enumerate(self.layers):
            injected = h + self.inject_pe[number](pe) if self.inject_everywhere else h
            update = layer(injected, batch.edge_index, batch.edge_attr)
            h = update + h if self.residual else update
        return self.readout(pool_nodes(h, batch, self.pool))
