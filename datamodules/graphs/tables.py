"""Many small graphs as flat arrays: how benchmarks on graphs lie on disk."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

Array = NDArray[Any]


@dataclass(frozen=True)
class GraphTable:
    """G graphs with N nodes and E undirected edges in all.

    Attributes:
        num_nodes: (G,) nodes of each graph.
        num_edges: (G,) edges of each graph.
        edges: (E, 2) end points, numbered within the graph, each edge once.
        y: (G, T) targets.
        splits: rows of the splits "train", "val" and "test".
        node_types: (N,), or None for graphs without.
        edge_types: (E,), or None for graphs without.
    """

    num_nodes: Array
    num_edges: Array
    edges: Array
    y: Array
    splits: dict[str, Array]
    node_types: Array | None = None
    edge_types: Array | None = None

    def split(self, name: str) -> list[Data]:
        """Return the graphs of a split with `x`, `edge_index`, `edge_attr` and `y`, see `datamodules.keys`."""
        first_node = np.insert(np.cumsum(self.num_nodes, dtype=np.int64), 0, 0)
        first_edge = np.insert(np.cumsum(self.num_edges, dtype=np.int64), 0, 0)
        node_types = np.zeros(first_node[-1]) if self.node_types is None else self.node_types
        edge_types = np.zeros(first_edge[-1]) if self.edge_types is None else self.edge_types
        graphs = []
        for row in self.splits[name]:
            nodes = slice(first_node[row], first_node[row + 1])
            edges = slice(first_edge[row], first_edge[row + 1])
            graph = undirected_graph(node_types[nodes], self.edges[edges], edge_types[edges])
            graph.y = torch.from_numpy(self.y[row].astype(np.float64))[None]
            graphs.append(graph)
        return graphs


def undirected_graph(node_types: Array, edges: Array, edge_types: Array) -> Data:
    """Return one graph with `x`, `edge_index` and `edge_attr`, see `datamodules.keys`.

    Args:
        node_types: (n,).
        edges: (E, 2), each edge once.
        edge_types: (E,).
    """
    one_way = torch.from_numpy(edges.astype(np.int64)).T
    types = torch.from_numpy(edge_types.astype(np.int64))
    return Data(
        x=torch.from_numpy(node_types.astype(np.int64)),
        edge_index=torch.cat([one_way, one_way.flip(0)], dim=1),
        edge_attr=torch.cat([types, types]),
    )


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write arrays to an npz file; the same arrays give the same bytes."""
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type] # numpy's keyword options are no names of ours


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """Read all arrays of an npz file, in which pickled objects are refused.

    Raises:
        ValueError: the file is no npz file of plain arrays, or lacks one of `names`.
        FileNotFoundError: there is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (ValueError, AttributeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as npz file of plain arrays: {error}") from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it must have {', '.join(names)}")
    return arrays
