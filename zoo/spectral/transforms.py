"""`AddLaplacianSpectrum`: attach eigenvalues and eigenvectors of the graph Laplacian to torch_geometric graphs."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict

import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from zoo.spectral.laplacian import (
    Normalization,
    adjacency,
    check_nodes,
    check_normalization,
    end_of_eigenspace,
    magnitudes,
    spectra,
)


class AddLaplacianSpectrum(BaseTransform):
    """Add the smallest Laplacian eigenpairs of a graph, the eigenvalue 0 included. The same graph gives the same bits.

    Adds `eigvals` (1, k) ascending, `eigvecs` (n, k) in columns, both zero-padded where n < k, and `num_eigs` (1,)
    int64, the number of valid pairs, min(n, k). Batches of torch_geometric then hold (B, k), (N, k) and (B,); where
    widths differ (`k=None` or `complete_eigenspace=True`), pass the graphs through `pad_spectra` before batching them.

    Weights in `edge_weight`, in any unit, are used; without them every edge has weight 1.

    Any function of eigenvectors that is to be well defined must use whole eigenspaces. A k that cuts a repeated
    eigenvalue is therefore reported by a warning, and avoided by `complete_eigenspace`.

    Args:
        k: number of pairs; None for all n of each graph.
        normalization: "sym", "rw" or None (D - A), see `zoo.spectral.laplacian`.
        dtype: dtype of the result; the decomposition itself is always done in float64.
        complete_eigenspace: round k up, per graph, to the end of a repeated eigenvalue at the cut.

    Raises:
        ValueError: k < 1, unknown normalization, or dtype is not a floating dtype. When called: the graph is directed
        or empty.
    """

    def __init__(
        self,
        k: int | None = None,
        normalization: Normalization = "sym",
        dtype: torch.dtype = torch.float64,
        complete_eigenspace: bool = False,
    ) -> None:
        check_normalization(normalization)
        if k is not None and k < 1:
            raise ValueError(f"k={k!r} is not allowed; give a number of eigenpairs >= 1, or None for all")
        if not dtype.is_floating_point:
            raise ValueError(f"dtype={dtype!r} is not allowed; give a floating dtype, for instance torch.float64")
        self.k = k
        self.normalization = normalization
        self.dtype = dtype
        self.complete_eigenspace = complete_eigenspace

    def forward(self, data: Data) -> Data:
        """Add the spectrum to the given object itself; calling the transform works on a shallow copy."""
        (data,) = self._attach([data])
        return data

    def transform_many(self, graphs: list[Data]) -> list[Data]:
        """Return shallow copies of many graphs with their spectra, graphs of one size decomposed together."""
        return self._attach([copy.copy(data) for data in graphs])

    def _attach(self, graphs: list[Data]) -> list[Data]:
        by_size: dict[int, list[Data]] = defaultdict(list)
        for data in graphs:
            if not data.num_nodes:
                raise ValueError("num_nodes=0 is not allowed: a graph without nodes has no spectrum")
            by_size[data.num_nodes].append(data)
        cuts = 0
        for size, group in by_size.items():
            weights = _union(group, size)
            pairs = spectra(weights, len(group), self.k, self.normalization)
            scales = magnitudes(weights, len(group), self.normalization)
            for data, (eigvals, eigvecs), scale in zip(group, pairs, scales.tolist(), strict=True):
                wanted = size if self.k is None else min(size, self.k)
                complete = end_of_eigenspace(eigvals, wanted, scale)
                kept = complete if self.complete_eigenspace else wanted
                cuts += kept < complete
                width = kept if self.k is None else max(self.k, kept)
                device = data.edge_index.device
                data.eigvals = _pad_columns(eigvals[None, :kept].to(device, self.dtype), width)
                data.eigvecs = _pad_columns(eigvecs[:, :kept].to(device, self.dtype), width)
                data.num_eigs = torch.tensor([kept], device=device)
        if cuts:
            warnings.warn(
                f"k={self.k} cuts a repeated eigenspace in {cuts} of {len(graphs)} graph(s): what is computed from the "
                "kept part depends on the choice of basis; use complete_eigenspace=True or another k",
                stacklevel=3,
            )
        return graphs

    def __repr__(self) -> str:
        """Return the call that builds the transform."""
        return (
            f"{type(self).__name__}(k={self.k}, normalization={self.normalization!r}, dtype={self.dtype}, "
            f"complete_eigenspace={self.complete_eigenspace})"
        )


def _union(graphs: list[Data], size: int) -> scipy.sparse.csr_matrix:
    """Return the weight matrix of the disjoint union of graphs of one size."""
    edges = torch.cat([data.edge_index for data in graphs], dim=1).cpu()
    check_nodes(edges, size)
    num_edges = [data.edge_index.size(1) for data in graphs]
    first_node = size * torch.arange(len(graphs)).repeat_interleave(torch.tensor(num_edges))
    weights = [_weights(data, count) for data, count in zip(graphs, num_edges, strict=True)]
    return adjacency(edges + first_node, size * len(graphs), torch.cat(weights))


def _weights(data: Data, num_edges: int) -> Tensor:
    weight = data.get("edge_weight")
    if weight is None:
        return torch.ones(num_edges, dtype=torch.float64)
    if weight.numel() != num_edges:
        raise ValueError(f"edge_weight has {weight.numel()} values; give {num_edges}, one per edge")
    return weight.detach().reshape(-1).double().cpu()


def _pad_columns(matrix: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(matrix, (0, width - matrix.size(1))).contiguous()


def pad_spectra(graphs: list[Data]) -> list[Data]:
    """Return graphs whose `eigvals` and `eigvecs` are zero-padded to the widest of the list, ready to be batched.

    Args:
        graphs: graphs with spectra from `AddLaplacianSpectrum`; left unchanged.
    """
    width = max(data.eigvals.size(1) for data in graphs)
    padded = [copy.copy(data) for data in graphs]
    for data in padded:
        data.eigvals, data.eigvecs = _pad_columns(data.eigvals, width), _pad_columns(data.eigvecs, width)
    return padded
