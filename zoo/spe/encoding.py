"""SPE: stable and expressive positional encodings (Huang et al., ICLR 2024, arXiv 2310.02579, equation 4).

    W_l = V diag(phi_l(Lambda)) V^T,   l = 1..M          PE = rho(W_1, .., W_M)

Lambda, V are the smallest d Laplacian eigenpairs. W does not depend on the signs of eigenvectors nor on the basis of a
repeated eigenspace, and, phi being continuous, it changes little when the graph does: eigenspaces are partitioned
softly.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch_geometric.data import Data

from zoo.checks import require_choice, require_positive, require_probability
from zoo.spe.chunks import sum_over_chunks
from zoo.spe.normalization import NORMS, BatchNorm1d
from zoo.spe.pairs import NodePairs
from zoo.spe.phi import ACTIVATIONS, PHIS, make_phi
from zoo.spe.rho import GINRho, MLPRho

RHO_NORMS = {"gin": "batch", "mlp": "layer"}  # the published norm of each rho


def pair_tensor(z: Tensor, eigvecs: Tensor, pairs: NodePairs) -> Tensor:
    """Return W_ikl = sum_j V_ij Z_jl V_kj for all pairs of nodes of the same graph.

    Args:
        z: phi of the eigenvalues, (B, d, M).
        eigvecs: eigenvectors V (N, d), zero where padded.
        pairs: which pairs, P of them.

    Returns:
        (P, M), same dtype as z.
    """
    products, rows = [], []
    by_size = sorted(Counter(pairs.host_sizes).items())
    graphs_by_size = pairs.sizes.argsort().split([count for _, count in by_size])
    # One batched product per distinct size: no padding to the largest graph.
    for (size, _), graphs in zip(by_size, graphs_by_size, strict=True):
        nodes = pairs.ptr[graphs, None] + torch.arange(size, device=graphs.device)
        v = eigvecs[nodes]  # (graphs of this size, size, d)
        v = v[:, :, : min(size, v.size(2))]
        columns = v[:, pairs.start : pairs.stop]
        outer = (v[:, :, None] * columns[:, None]).flatten(1, 2)  # (graphs, pairs of one graph, d)
        with torch.autocast(z.device.type, enabled=False):  # W sums cancelling terms: not in half precision
            products.append((outer @ z[graphs, : v.size(2)]).flatten(0, 1))
        rows.append(
            (pairs.first_row[nodes][:, :, None] + torch.arange(columns.size(1), device=graphs.device)).flatten()
        )
    return z.new_zeros(pairs.num_pairs, z.size(2)).index_copy(0, torch.cat(rows), torch.cat(products))


class SPE(nn.Module):
    """Positional encodings of nodes from the Laplacian spectrum.

    Args:
        num_eigs: number d of eigenpairs used, the smallest ones; None for all that the batch holds, which whole
            eigenspaces need: `AddLaplacianSpectrum(k, complete_eigenspace=True)` keeps more than k where k cuts one.
        pe_width: width p of the encoding; `num_eigs` if None.
        phi: name of phi, see `zoo.spe.phi`.
        phi_channels: number M of functions phi_l.
        phi_layers: layers of phi.
        phi_width: hidden width of phi.
        phi_batch_norm: batch normalisation in phi = "mlp".
        phi_activation: "relu" or "tanh".
        phi_final_activation: activation after the last layer of phi = "deepsets", as published.
        phi_heads: attention heads of phi = "transformer" and "bare_transformer".
        rho: name of rho, "gin" or "mlp", see `zoo.spe.rho`.
        rho_layers: layers of rho.
        rho_width: hidden width of rho.
        rho_norm: norm in the perceptrons of rho, "batch", "layer" or "none"; by default as published, "batch" in gin
            and "layer" in mlp.
        rho_batch_norm: batch normalisation between the layers of rho = "gin".
        rho_dropout: dropout probability in rho.
        random_epsilon: start eps of rho = "gin" from N(0, 1) as published, instead of 0.
        official_padding: in training, let the batch statistics of phi = "mlp" and of rho count zero padding, up to
            `num_eigs` eigenvalues and to the largest graph of the batch, as the published code does. A graph's
            encoding in training then depends on the sizes of the others. Evaluation is the same either way.
        column_chunk: columns k encoded at a time, so that memory grows with n * column_chunk instead of n^2;
            activations are recomputed in the backward pass. All at once if None. Training in chunks has no batch
            statistics over all pairs: it needs rho_norm "layer" or "none" and no rho_batch_norm.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        num_eigs: int | None = 37,
        pe_width: int | None = None,
        phi: str = "mlp",
        phi_channels: int = 16,
        phi_layers: int = 3,
        phi_width: int = 16,
        phi_batch_norm: bool = True,
        phi_activation: str = "relu",
        phi_final_activation: bool = False,
        phi_heads: int = 1,
        rho: str = "gin",
        rho_layers: int = 8,
        rho_width: int = 128,
        rho_norm: str | None = None,
        rho_batch_norm: bool = False,
        rho_dropout: float = 0.0,
        random_epsilon: bool = False,
        official_padding: bool = False,
        column_chunk: int | None = None,
    ) -> None:
        super().__init__()
        require_choice("phi", phi, PHIS)
        require_choice("phi_activation", phi_activation, ACTIVATIONS)
        require_choice("rho", rho, RHO_NORMS)
        rho_norm = RHO_NORMS[rho] if rho_norm is None else rho_norm
        require_choice("rho_norm", rho_norm, NORMS)
        require_probability(rho_dropout=rho_dropout)
        require_positive(phi_channels=phi_channels, phi_layers=phi_layers, phi_width=phi_width, phi_heads=phi_heads)
        require_positive(rho_layers=rho_layers, rho_width=rho_width)
        for name, value in (("num_eigs", num_eigs), ("pe_width", pe_width), ("column_chunk", column_chunk)):
            if value is not None:
                require_positive(**{name: value})
        width = num_eigs if pe_width is None else pe_width
        if width is None:
            raise ValueError("pe_width=None is not allowed with num_eigs=None; give the width of the encoding")
        if phi.endswith("transformer") and phi_width % phi_heads:
            raise ValueError(f"phi_heads={phi_heads!r} is not allowed; it must divide phi_width={phi_width}")
        self.num_eigs = num_eigs
        self.pe_width = width
        self.official_padding = official_padding
        self.column_chunk = column_chunk
        self.phi_channels = phi_channels
        self.phi = make_phi(
            phi,
            phi_channels,
            phi_layers,
            phi_width,
            phi_batch_norm,
            phi_activation,
            phi_final_activation,
            phi_heads,
            official_padding,
        )
        if rho == "gin":
            self.rho: nn.Module = GINRho(
                phi_channels,
                rho_width,
                self.pe_width,
                rho_layers,
                rho_norm,
                rho_batch_norm,
                rho_dropout,
                random_epsilon,
            )
        else:
            self.rho = MLPRho(phi_channels, rho_width, self.pe_width, rho_layers, rho_norm, rho_dropout)

    def spectrum(self, batch: Data) -> tuple[Tensor, Tensor]:
        """Return Z = phi(Lambda) (B, d, M) and V (N, d) of a batch, in the dtype of the parameters.

        Raises:
            ValueError: the batch has no spectrum, or one of fewer pairs than `num_eigs` and the nodes of a graph; or
                the parameters are of half precision.
        """
        for key in ("eigvals", "eigvecs", "num_eigs"):
            if key not in batch:
                raise ValueError(
                    f"the batch has no {key!r}; attach it with zoo.spectral.transforms.AddLaplacianSpectrum"
                )
        width = batch.eigvals.size(1)
        if self.num_eigs is not None and width < self.num_eigs and int(graph_pointer(batch).diff().max()) > width:
            raise ValueError(
                f"num_eigs={self.num_eigs} but the batch holds {width} eigenpairs per graph; "
                f"use AddLaplacianSpectrum(k={self.num_eigs})"
            )
        dtype = next((parameter.dtype for parameter in self.parameters()), batch.eigvecs.dtype)
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"parameters of {dtype} are not allowed, W would cancel; give float32 and use autocast")
        # Padded up to num_eigs too: "deepsets" sums over padding, which must not depend on the other graphs.
        padding = (0, max(0, (self.num_eigs or 0) - width))
        eigvals, eigvecs = (pad(batch[key][:, : self.num_eigs].to(dtype), padding) for key in ("eigvals", "eigvecs"))
        valid = torch.arange(eigvals.size(1), device=eigvals.device) < batch.num_eigs[:, None]
        with torch.autocast(eigvals.device.type, enabled=False):
            return self.phi(eigvals, valid), eigvecs

    def forward(self, batch: Data) -> Tensor:
        """Return the encodings PE (N, p) of a batch with `eigvals`, `eigvecs`, `num_eigs` and `edge_index`.

        Raises:
            ValueError: see `spectrum`; directed edges; training in chunks with batch statistics.
        """
        z, eigvecs = self.spectrum(batch)
        ptr = graph_pointer(batch)

        if self.column_chunk is None:
            pairs = NodePairs(batch.edge_index, ptr, padded=self.official_padding and self.training)
            return self.rho(pair_tensor(z, eigvecs, pairs), pairs)
        if self.training and any(isinstance(module, BatchNorm1d) for module in self.rho.modules()):
            raise ValueError(
                f"column_chunk={self.column_chunk} is not allowed in training with batch normalisation in rho, whose "
                "statistics would be those of a chunk; use rho_norm='layer' or 'none' and rho_batch_norm=False, or "
                "column_chunk=None"
            )
        chunk = self.column_chunk

        def encode(start: int, z: Tensor, eigvecs: Tensor) -> Tensor:
            pairs = NodePairs(batch.edge_index, ptr, start, start + chunk)
            return self.rho(pair_tensor(z, eigvecs, pairs), pairs)

        return sum_over_chunks(encode, range(0, int(ptr.diff().max()), chunk), (z, eigvecs), self.rho.parameters())


def graph_pointer(batch: Data) -> Tensor:
    """Return where the nodes of each graph start, (B + 1,), also for a single graph that was never batched."""
    if batch.get("ptr") is not None:
        return batch.ptr
    device = batch.edge_index.device
    if batch.get("batch") is None:
        return torch.tensor([0, batch.num_nodes], device=device)
    return pad(batch.batch.bincount().cumsum(0), (1, 0))
