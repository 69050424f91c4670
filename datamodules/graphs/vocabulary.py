"""What the integers on nodes and edges mean, and graphs built from parts that are not trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch_geometric.data import Data

from datamodules.graphs.tables import Array, undirected_graph

MAX_NODES = 5_000  # of one graph; the dense decomposition of a larger one takes minutes and gigabytes


@dataclass(frozen=True)
class Vocabulary:
    """Names of the types of nodes and edges, by number. A single name means that there are no types.

    Attributes:
        atom_types: names of the types in `x`.
        bond_types: names of the types in `edge_attr`.
    """

    atom_types: tuple[str, ...] = ("node",)
    bond_types: tuple[str, ...] = ("edge",)

    def graph(self, name: str, num_nodes: int, edges: Array, atoms: Array | None, bonds: Array | None) -> Data:
        """Return a graph with `x`, `edge_index` and `edge_attr` after checking every part of it.

        Args:
            name: what messages call the graph.
            num_nodes: number of nodes n.
            edges: (E, 2) integers, each edge once.
            atoms: (n,) integers; None where there are no types.
            bonds: (E,) integers; None where there are no types.

        Raises:
            ValueError: a part is not as it should be.
        """
        check_size(name, num_nodes, len(edges))
        check_edges(name, num_nodes, edges)
        if len(np.unique(np.sort(edges, axis=1), axis=0)) < len(edges):
            raise ValueError(f"{name}: an edge appears twice; give each once")
        atoms = _checked_types(name, "atom_types", atoms, num_nodes, self.atom_types)
        bonds = _checked_types(name, "bond_types", bonds, len(edges), self.bond_types)
        return undirected_graph(atoms, edges, bonds)


def check_size(name: str, num_nodes: int, num_edges: int) -> None:
    """Raise a ValueError unless a simple graph can have so many nodes and edges."""
    if not 0 < num_nodes <= MAX_NODES:
        raise ValueError(f"{name}: num_nodes={num_nodes} is not allowed; give 1 to {MAX_NODES} nodes")
    if num_edges > num_nodes * (num_nodes - 1) // 2:
        raise ValueError(f"{name}: {num_edges} edges are more than {num_nodes} nodes can have; give each once")


def check_edges(name: str, num_nodes: int, edges: Array) -> None:
    """Raise a ValueError unless all edges (E, 2) join two different nodes of the graph."""
    outside = edges[((edges < 0) | (edges >= num_nodes)).any(axis=1)]
    if len(outside):
        raise ValueError(f"{name}: edge {outside[0].tolist()} is not allowed; nodes are 0 to {num_nodes - 1}")
    loops = edges[edges[:, 0] == edges[:, 1]]
    if len(loops):
        raise ValueError(f"{name}: edge {loops[0].tolist()} is a self-loop; leave it out")


def _checked_types(name: str, kind: str, types: Array | None, number: int, names: tuple[str, ...]) -> Array:
    if types is None and len(names) == 1:
        return np.zeros(number, dtype=np.int64)
    allowed = ", ".join(f"{position} ({name})" for position, name in enumerate(names))
    if types is None or len(types) != number:
        found = "none" if types is None else len(types)
        raise ValueError(f"{name}: {number} {kind} are needed, found {found}; allowed: {allowed}")
    unknown = types[(types < 0) | (types >= len(names))]
    if len(unknown):
        raise ValueError(f"{name}: {kind} holds {unknown[0]}; allowed: {allowed}")
    return types
