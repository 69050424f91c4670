"""All pairs (i, k) of nodes of the same graph, for a batch of graphs, without padding: the layout of W and of rho.

A pair tensor is a matrix (P, C) with one row per pair. The rows of a node i are contiguous, ordered by k; nodes are in
the order of the batch. With n_b nodes in graph b, P = sum_b n_b^2, about half of what padding to the largest graph
takes.

    row of (i, k) = first_row[i] + k - start,     k in [start, stop) counted inside the graph of i

Columns k do not interact in rho, so a layout may be restricted to a range of them: large graphs are encoded in chunks.

Counts that decide how large tensors are come to the host together: twice per layout the host waits for the device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gather_sum(x: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
    """Sum runs of rows, Y_r = sum_t X[index[t]] over offsets[r] <= t < offsets[r + 1], without storing X[index]."""
    return torch.nn.functional.embedding_bag(index, x, offsets, mode="sum")


class NeighborSum(torch.autograd.Function):
    """Y = scale X + A X, where row r of A X sums the rows that `index` lists for r, and A is symmetric.

    One pass over memory instead of the four of separate operations, and a backward pass that is the same sum.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
        """Return Y."""
        ctx.save_for_backward(x, scale, index, offsets)
        return gather_sum(x, index, offsets).addcmul_(x, scale.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Return the gradients of X and scale."""
        x, scale, index, offsets = ctx.saved_tensors
        gradient = gradient.contiguous()
        # Over all pairs: half precision would overflow.
        scale_gradient = torch.dot(gradient.flatten().to(scale.dtype), x.flatten().to(scale.dtype))
        return NeighborSum.apply(gradient, scale, index, offsets), scale_gradient, None, None


class ColumnSum(torch.autograd.Function):
    """Sum contiguous runs of rows; `run` is the run of each row, `first` the first row of each run."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, run: Tensor) -> Tensor:
        """Return one row per run."""
        ctx.save_for_backward(run)
        return gather_sum(x, torch.arange(len(x), device=x.device), first)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the rows."""
        (run,) = ctx.saved_tensors
        return gradient[run], None, None


def exclusive_cumsum(counts: Tensor) -> Tensor:
    """Return where each run starts when runs of the given lengths follow each other."""
    return counts.cumsum(0) - counts


class NodePairs:
    """The pairs of a batch of undirected graphs.

    Args:
        edge_index: (2, E) int64, each edge in both directions.
        ptr: (B + 1,) int64, first node of each graph.
        start: first column.
        stop: one past the last column; None for all.
        padded: give every graph the columns of the largest, as the published code does; the rows (i, k) that are no
            pairs are 0 in W, take part in message passing and in batch statistics, and are left out of `sum_columns`.

    Raises:
        ValueError: the edges are not symmetric.
    """

    def __init__(
        self, edge_index: Tensor, ptr: Tensor, start: int = 0, stop: int | None = None, padded: bool = False
    ) -> None:
        self.edge_index = edge_index
        self.ptr = ptr
        self.start = start
        self.stop = stop
        self.sizes = ptr.diff()
        self.host_sizes: list[int] = self.sizes.tolist()
        counts = [len(range(size)[start:stop]) for size in self.host_sizes]
        widths = [max(counts)] * len(counts) if padded else counts
        num_nodes = sum(self.host_sizes)
        self.num_pairs = sum(size * width for size, width in zip(self.host_sizes, widths, strict=True))
        nodes = torch.arange(num_nodes, device=ptr.device)
        self.graph = torch.arange(len(counts), device=ptr.device).repeat_interleave(self.sizes, output_size=num_nodes)
        self.local = nodes - ptr[self.graph]
        self.columns, width = torch.tensor([counts, widths], device=ptr.device)[:, self.graph]
        self.first_row = exclusive_cumsum(width)
        self.node = nodes.repeat_interleave(width, output_size=self.num_pairs)
        self.pair_rows = (self.column - start < self.columns[self.node]).nonzero().flatten() if padded else None
        self._index_neighbors()

    @property
    def column(self) -> Tensor:
        """The k of each pair (i, k), counted inside its graph: (P,)."""
        return torch.arange(self.num_pairs, device=self.ptr.device) - self.first_row[self.node] + self.start

    @property
    def partner(self) -> Tensor:
        """The k of each pair (i, k), as a node of the batch: (P,)."""
        return self.ptr[self.graph[self.node]] + self.column

    def row_of(self, i: Tensor, k: Tensor) -> Tensor:
        """Return the rows of pairs (i, k), given as nodes of the batch."""
        return self.first_row[i] + self.local[k] - self.start

    @property
    def diagonal(self) -> Tensor:
        """Rows of the pairs (i, i): (N,), where no column was left out."""
        return self.first_row + self.local

    def _index_neighbors(self) -> None:
        """List, for each row (i, k) in turn, the rows (j, k) of the neighbours j of i."""
        source, target = self.edge_index
        num_nodes = len(self.graph)
        ordered, order = target.sort(stable=True)
        degree = torch.searchsorted(ordered, torch.arange(num_nodes + 1, device=ordered.device)).diff()
        self.row_degree = degree[self.node]
        self.offsets = exclusive_cumsum(self.row_degree)
        there, back = (source * num_nodes + target).sort().values, (target * num_nodes + source).sort().values
        total, one_way = torch.stack([self.row_degree.sum(), (there != back).sum()]).tolist()
        if one_way:
            raise ValueError(
                "edge_index is directed; SPE needs each edge in both directions: torch_geometric.utils.to_undirected"
            )
        rows = torch.arange(self.num_pairs, device=source.device)
        row = rows.repeat_interleave(self.row_degree, output_size=total)
        rank = torch.arange(total, device=source.device) - self.offsets[row]
        neighbor = source[order][exclusive_cumsum(degree)[self.node][row] + rank]
        self.sources = self.first_row[neighbor] + (rows - self.first_row[self.node])[row]

    def sum_neighbors(self, x: Tensor, scale: Tensor) -> Tensor:
        """Return scale times rows (i, k) plus the sum over the neighbours j of i of rows (j, k): (P, C) -> (P, C)."""
        return NeighborSum.apply(x, scale, self.sources, self.offsets)

    def sum_columns(self, x: Tensor) -> Tensor:
        """Return the sum over k of rows (i, k): (P, C) -> (N, C)."""
        if self.pair_rows is None:
            return ColumnSum.apply(x, self.first_row, self.node)
        return ColumnSum.apply(x[self.pair_rows], exclusive_cumsum(self.columns), self.node[self.pair_rows])
