"""rho: node encodings from the pair tensor W, equivariant to permutations of nodes (phi in the paper's code).

Both variants map rows W_ik (P, M) to PE (N, p) and treat the columns k alike and separately before they sum over k:

    gin   T layers  X <- MLP((1 + eps) X + sum_{j in N(i)} X_j)  along i,  then  PE_i = sum_k X_ik
    mlp   PE_i = sum_k MLP(W_ik)

Column k of gin is a message passing network on the graph with node k marked by real numbers. Norms take their
statistics over the pairs of the batch, which hold no padding.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from zoo.spe.mlp import MLP
from zoo.spe.normalization import BatchNorm1d
from zoo.spe.pairs import NodePairs


class GINRho(nn.Module):
    """A graph isomorphism network along the first axis of W.

    Args:
        in_features: number of channels M of W.
        width: width of all layers but the last.
        out_features: width of the encoding p.
        layers: number of layers T.
        norm: norm inside the perceptrons, "batch", "layer" or "none".
        batch_norm: batch normalisation between the layers.
        dropout: probability, in the perceptrons.
        random_epsilon: draw eps from N(0, 1) as the published code does, instead of starting from 0.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        out_features: int,
        layers: int = 8,
        norm: str = "batch",
        batch_norm: bool = False,
        dropout: float = 0.0,
        random_epsilon: bool = False,
    ) -> None:
        super().__init__()
        widths = [in_features, *[width] * (layers - 1), out_features]
        self.mlps = nn.ModuleList(MLP(a, width, b, norm=norm, dropout=dropout) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm1d(width) for _ in range(layers - 1)) if batch_norm else None
        self.epsilon = nn.Parameter(torch.randn(layers) if random_epsilon else torch.zeros(layers))
        self.joins_linears = not batch_norm and dropout == 0

    def forward(self, w: Tensor, pairs: NodePairs) -> Tensor:
        """Return PE (N, p) from W (P, M)."""
        if self.joins_linears:
            return self._forward_joined(w, pairs)
        x = w
        for layer, mlp in enumerate(self.mlps):
            if self.norms is not None and layer > 0:
                x = self.norms[layer - 1](x)
            x = mlp(pairs.sum_neighbors(x, 1 + self.epsilon[layer]))
        return pairs.sum_columns(x)

    def _forward_joined(self, w: Tensor, pairs: NodePairs) -> Tensor:
        """Return the same with a third fewer matrix products over all pairs.

        Between the last linear map of a layer, X = H C^T + 1 c^T, and the first of the next, A and a, lie only sums
        over rows, S = 1 + eps + adjacency:  S X A^T + 1 a^T = (S H) (A C)^T + (S 1) (A c)^T + 1 a^T.  The very last
        linear map commutes with the sum over k.
        """
        mlps = cast("list[MLP]", list(self.mlps))
        h = mlps[0].first(pairs.sum_neighbors(w, 1 + self.epsilon[0]))
        for layer, (mlp, following) in enumerate(pairwise(mlps), start=1):
            scale = 1 + self.epsilon[layer]
            summed = pairs.sum_neighbors(mlp.between(h), scale)
            last, first = mlp.last, following.first
            row_sums = scale + pairs.row_degree  # S 1
            offsets = torch.stack([first.weight @ last.bias, first.bias])
            h = summed @ (first.weight @ last.weight).T
            h = h.addmm_(torch.stack([row_sums, torch.ones_like(row_sums)], dim=1).to(h.dtype), offsets.to(h.dtype))
        last = mlps[-1].last
        return pairs.sum_columns(mlps[-1].between(h)) @ last.weight.T + pairs.columns[:, None] * last.bias


class MLPRho(nn.Module):
    """A perceptron on every entry of W, without message passing."""

    def __init__(
        self,
        in_features: int,
        width: int,
        out_features: int,
        layers: int,
        norm: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.mlp = MLP(in_features, width, out_features, layers, norm, dropout)

    def forward(self, w: Tensor, pairs: NodePairs) -> Tensor:
        """Return PE (N, p) from W (P, M)."""
        return pairs.sum_columns(self.mlp(w))
