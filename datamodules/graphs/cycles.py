"""Exact numbers of short simple cycles through each node of a graph, by enumeration.

A cycle is found once: written down from its smallest node, in the direction in which the second node is smaller than
the last. All paths u_0 u_1 ... u_l with u_i > u_0 are grown together, one node at a time; those with joined ends and
u_1 < u_l are the cycles of length l + 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LENGTHS = (3, 4, 5, 6)


def node_cycle_counts(edges: NDArray[np.integer], num_nodes: int) -> NDArray[np.int64]:
    """Count the cycles of length 3, 4, 5 and 6 through each node.

    Time and memory grow with the number of paths of five edges: meant for sparse graphs, and for many small ones as one
    disconnected graph.

    Args:
        edges: (E, 2) end points of undirected edges, each edge once, no self-loops.
        num_nodes: number of nodes n.

    Returns:
        (n, 4) counts. A graph has (sum of a column) / length cycles.
    """
    edges = edges.astype(np.int64)
    directed = np.concatenate([edges, edges[:, ::-1]])
    keys = np.sort(directed[:, 0] * num_nodes + directed[:, 1])
    sources, neighbours = np.divmod(keys, max(num_nodes, 1))
    first = np.searchsorted(sources, np.arange(num_nodes + 1))

    paths = directed[directed[:, 0] < directed[:, 1]]
    counts = np.zeros((num_nodes, len(LENGTHS)), dtype=np.int64)
    for column in range(len(LENGTHS)):
        paths = _grow(paths, first, neighbours)
        start, second, last = paths[:, 0], paths[:, 1], paths[:, -1]
        cycles = paths[(second < last) & _contains(keys, last * num_nodes + start)]
        counts[:, column] = np.bincount(cycles.reshape(-1), minlength=num_nodes)
    return counts


def _grow(paths: NDArray[np.int64], first: NDArray[np.int64], neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    last = paths[:, -1]
    degrees = first[last + 1] - first[last]
    parent = np.repeat(np.arange(len(paths)), degrees)
    position = np.arange(len(parent)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    new = neighbours[first[last[parent]] + position]
    fresh = new > paths[parent, 0]
    for column in range(1, paths.shape[1]):
        fresh &= new != paths[parent, column]
    return np.column_stack([paths[parent[fresh]], new[fresh]])


def _contains(ascending: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(ascending):
        return np.zeros(len(values), dtype=bool)
    return ascending[np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)] == values
