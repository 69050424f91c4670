"""A graph transformer whose absolute and relative positional encodings both come from SPE's pair tensor W.

Node i starts from rho(W)_i and W_ii; attention between i and j is biased by W_ij. This network is not in the SPE paper,
which motivates graph transformers but tests GINE; its frame is GraphGPS's (Rampasek et al., arXiv 2205.12454), its use
of pair features GRIT's (Ma et al., arXiv 2305.17589), whose random walks are the case phi_l = (1 - Lambda)^l of W.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention
from torch_geometric.data import Data

from zoo.checks import require_choice, require_positive, require_probability
from zoo.registry import register
from zoo.spe.encoding import SPE, graph_pointer, pair_tensor
from zoo.spe.gine import GINELayer, pool_nodes
from zoo.spe.mlp import MLP
from zoo.spe.normalization import NORMS, make_norm
from zoo.spe.pairs import NodePairs


class PaddedGraphs:
    """Nodes and pairs of a batch in tensors padded to the largest graph, as fused attention wants them.

    Args:
        pairs: all pairs of the batch.
    """

    def __init__(self, pairs: NodePairs) -> None:
        self.shape = (len(pairs.host_sizes), max(pairs.host_sizes))
        self.node_slot = pairs.graph * self.shape[1] + pairs.local
        self.pair_slot = self.node_slot[pairs.node] * self.shape[1] + pairs.column
        valid = torch.arange(self.shape[1], device=pairs.ptr.device) < pairs.sizes[:, None]
        # A padded query attends to everything: with no key at all its softmax, which nobody reads, would be nan.
        self.forbidden = (valid[:, :, None] & ~valid[:, None, :]).flatten()

    def nodes(self, x: Tensor) -> Tensor:
        """Pad node features (N, C) with zeros: (B, n, C)."""
        graphs, n = self.shape
        return x.new_zeros(graphs * n, x.size(1)).index_copy(0, self.node_slot, x).view(graphs, n, -1)

    def unpad(self, x: Tensor) -> Tensor:
        """Return the rows (N, C) of padded (B, n, C) that are nodes."""
        return x.flatten(0, 1)[self.node_slot]

    def pairs(self, x: Tensor) -> Tensor:
        """Pad pair features (P, C) with zeros: (B, n, n, C)."""
        graphs, n = self.shape
        return x.new_zeros(graphs * n * n, x.size(1)).index_copy(0, self.pair_slot, x).view(graphs, n, n, -1)

    def bias(self, scores: Tensor) -> Tensor:
        """Turn scores of pairs (P, heads) into an additive attention mask (B, heads, n, n), -inf at padded keys."""
        graphs, n = self.shape
        mask = torch.zeros_like(self.forbidden, dtype=scores.dtype).masked_fill(self.forbidden, -math.inf)
        mask = mask[:, None].expand(-1, scores.size(1)).index_copy(0, self.pair_slot, scores)
        return mask.view(graphs, n, n, -1).permute(0, 3, 1, 2)


class PairAttention(nn.Module):
    """Multi-head self-attention biased, and optionally modulated, by pair features.

        s_ij = q_i . k_j / sqrt(D / heads) + U e_ij        h_i <- O sum_j softmax_j(s_ij) (v_j [+ R e_ij])

    Args:
        width: width D of nodes.
        pair_width: width of pair features.
        heads: number of heads.
        value_modulation: add R e_ij to the values.
        attention_dropout: probability that an attention weight is dropped.
    """

    def __init__(
        self, width: int, pair_width: int, heads: int, value_modulation: bool, attention_dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = attention_dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.score = nn.Linear(pair_width, heads, bias=False)
        self.value = nn.Linear(pair_width, width, bias=False) if value_modulation else None
        self.mix = nn.Linear(width, width)

    def forward(self, h: Tensor, e: Tensor, padded: PaddedGraphs) -> Tensor:
        """Return the update (N, D) of node features (N, D) given pair features (P, pair_width)."""
        heads = padded.nodes(self.query_key_value(h)).unflatten(2, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        bias = padded.bias(self.score(e)).to(query.dtype)
        rate = self.attention_dropout if self.training else 0.0
        if self.value is None:
            mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=rate)
        else:
            # Fused attention does not give its weights away, and values that differ by pair need them.
            scores = query @ key.transpose(2, 3) / math.sqrt(query.size(3)) + bias
            weights = dropout(scores.softmax(dim=-1), rate, self.training)
            attended = torch.einsum("bhij,bije->bhie", weights, padded.pairs(e).to(weights.dtype))
            modulation = self.value.weight.unflatten(0, (self.heads, -1))
            mixed = weights @ value + torch.einsum("bhie,hce->bhic", attended, modulation.to(weights.dtype))
        return self.mix(padded.unpad(mixed.transpose(1, 2).flatten(2)))


class PairUpdate(nn.Module):
    """e_ij <- e_ij + MLP(LayerNorm(e_ij + A h_i + B h_j)): pair features follow their nodes."""

    def __init__(self, width: int, pair_width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, pair_width, bias=False)
        self.second = nn.Linear(width, pair_width, bias=False)
        self.norm = nn.LayerNorm(pair_width)
        self.mlp = MLP(pair_width, pair_width, pair_width, layers=2, norm="none")

    def forward(self, e: Tensor, h: Tensor, pairs: NodePairs) -> Tensor:
        """Return updated pair features (P, pair_width)."""
        return e + self.mlp(self.norm(e + self.first(h)[pairs.node] + self.second(h)[pairs.partner]))


class TransformerBlock(nn.Module):
    """Pre-norm block: optional GINE on the bonds, attention between all nodes of a graph, feed-forward network."""

    def __init__(
        self,
        width: int,
        pair_width: int,
        heads: int,
        num_bond_types: int,
        local: bool,
        value_modulation: bool,
        pair_update: bool,
        norm: str,
        dropout: float,
        attention_dropout: float,
        random_epsilon: bool,
    ) -> None:
        super().__init__()
        if local:
            self.local_norm = make_norm(norm, width)
            self.local = GINELayer(width, num_bond_types, norm, dropout, random_epsilon, mlp_layers=2)
        self.attention_norm = make_norm(norm, width)
        self.attention = PairAttention(width, pair_width, heads, value_modulation, attention_dropout)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            make_norm(norm, width), MLP(width, 2 * width, width, layers=2, norm="none", dropout=dropout)
        )
        self.pair_update = PairUpdate(width, pair_width) if pair_update else None
        self.has_local = local

    def forward(
        self, h: Tensor, e: Tensor, batch: Data, pairs: NodePairs, padded: PaddedGraphs
    ) -> tuple[Tensor, Tensor]:
        """Return updated node features (N, D) and pair features (P, pair_width)."""
        if self.has_local:
            h = h + self.local(self.local_norm(h), batch.edge_index, batch.edge_attr)
        h = h + self.dropout(self.attention(self.attention_norm(h), e, padded))
        h = h + self.feed_forward(h)
        return h, e if self.pair_update is None else self.pair_update(e, h, pairs)


@register("spe-transformer")
class SPETransformer(nn.Module):
    """Graph regression by a transformer on atoms, with W as absolute and relative positional encoding.

        h_i  = AtomEmbedding(x_i) + Linear(rho(W)_i) + Linear(W_ii)
        e_ij = BondEmbedding(bond_ij or none) + MLP(LayerNorm(W_ij))
        num_layers blocks of [GINE on bonds], attention biased by e, feed-forward network, [update of e]
        y = MLP(pool(norm(h))),  widths D -> D/2 -> D/4 -> num_targets

    Takes the same batch as `SPEGINE` and returns (B, num_targets). It cannot be exported by torch.export: indices of
    pairs of nodes are computed from the sizes of the graphs.

    Args:
        num_atom_types: number of node types in `x`.
        num_bond_types: number of edge types in `edge_attr`.
        num_targets: number of outputs per graph.
        width: width D of node features, at least 4.
        num_layers: number of blocks.
        num_heads: attention heads; must divide `width`.
        pair_width: width of pair features e.
        local: give each block a GINE branch on the bonds, as GraphGPS does.
        value_modulation: let e_ij change the values too, as GRIT does; attention is then not fused.
        pair_update: update e in every block.
        pool: "mean" or "add" over the nodes of a graph.
        norm: norm of node features, "batch", "layer" or "none".
        dropout: probability in branches and perceptrons.
        attention_dropout: probability that an attention weight is dropped.
        random_epsilon: start every eps of GIN and GINE from N(0, 1) instead of 0.
        rho_layers: layers of rho.
        rho_width: width of rho.
        **spe: further arguments of `zoo.spe.encoding.SPE`.

    Raises:
        ValueError: an argument is out of its range, or phi has one channel or constant ones: LayerNorm(W_ij) vanishes.
        TypeError: unknown argument.
    """

    def __init__(
        self,
        num_atom_types: int = 28,
        num_bond_types: int = 4,
        num_targets: int = 1,
        width: int = 64,
        num_layers: int = 10,
        num_heads: int = 8,
        pair_width: int = 32,
        local: bool = True,
        value_modulation: bool = False,
        pair_update: bool = False,
        pool: str = "add",
        norm: str = "batch",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        random_epsilon: bool = False,
        rho_layers: int = 4,
        rho_width: int = 32,
        **spe: Any,
    ) -> None:
        super().__init__()
        require_positive(num_atom_types=num_atom_types, num_bond_types=num_bond_types, num_targets=num_targets)
        require_positive(num_layers=num_layers, num_heads=num_heads, pair_width=pair_width, width=width)
        if width < 4 or width % num_heads:
            raise ValueError(f"width={width!r} is not allowed; give a multiple of num_heads={num_heads}, at least 4")
        require_choice("pool", pool, ("mean", "add"))
        require_choice("norm", norm, NORMS)
        require_probability(dropout=dropout, attention_dropout=attention_dropout)
        if spe.get("column_chunk") is not None:
            raise ValueError(
                f"column_chunk={spe['column_chunk']!r} is not allowed; attention needs all pairs at once: give None"
            )
        if spe.get("official_padding"):
            raise ValueError("official_padding=True is not allowed; it is for the published networks: give False")
        self.pool = pool
        self.spe = SPE(rho_layers=rho_layers, rho_width=rho_width, random_epsilon=random_epsilon, **spe)
        channels = self.spe.phi_channels
        if channels < 2 or spe.get("phi") == "constant":
            name = "phi='constant'" if spe.get("phi") == "constant" else f"phi_channels={channels}"
            raise ValueError(f"{name} is not allowed; relative encodings need two or more channels that differ")
        self.atoms = nn.Embedding(num_atom_types, width)
        self.bonds = nn.Embedding(num_bond_types + 1, pair_width)  # the last row is "no bond"
        self.embed_pe = nn.Linear(self.spe.pe_width, width)
        self.embed_return = nn.Linear(channels, width)
        self.embed_pair = nn.Sequential(
            nn.LayerNorm(channels), MLP(channels, pair_width, pair_width, layers=2, norm="none")
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                pair_width,
                num_heads,
                num_bond_types,
                local,
                value_modulation,
                pair_update and number < num_layers - 1,  # nobody would read the last one
                norm,
                dropout,
                attention_dropout,
                random_epsilon,
            )
            for number in range(num_layers)
        )
        self.norm = make_norm(norm, width)
        self.readout = nn.Sequential(
            nn.Linear(width, width // 2),
            nn.ReLU(),
            nn.Linear(width // 2, width // 4),
            nn.ReLU(),
            nn.Linear(width // 4, num_targets),
        )

    def forward(self, batch: Data) -> Tensor:
        """Return predictions (B, num_targets) for a batch of graphs."""
        pairs = NodePairs(batch.edge_index, graph_pointer(batch))
        padded = PaddedGraphs(pairs)
        w = pair_tensor(*self.spe.spectrum(batch), pairs)
        h = self.atoms(batch.x) + self.embed_pe(self.spe.rho(w, pairs)) + self.embed_return(w[pairs.diagonal])
        bond = torch.full_like(pairs.node, self.bonds.num_embeddings - 1)
        bond[pairs.row_of(batch.edge_index[1], batch.edge_index[0])] = batch.edge_attr
        e = self.bonds(bond) + self.embed_pair(w)
        for block in self.blocks:
            h, e = block(h, e, batch, pairs, padded)
        return self.readout(pool_nodes(self.norm(h), batch, self.pool))
