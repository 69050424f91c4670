"""Orientation of tangent frames: can they be given one handedness, which flips do it, and which edges forbid it.

A graph of frames with transports of determinant +1 and -1 is orientable if flipping the handedness of some frames makes
all of them +1. It is exactly if the smallest eigenvalue of the signed Laplacian, degree minus the determinants, is 0.
On an orientable surface that is sampled well enough it is; thin sheets, whose two sides are joined by edges, break it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from zoo.spectral.eigensolver import lowest_eigenpairs
from zoo.spectral.point_graph import Array, Indices, degrees, edge_matrix


@dataclass(frozen=True)
class Orientation:
    """What is known of the handedness of frames.

    Attributes:
        signs: (n,) of +1 and -1, which frames to flip: the last column of those with -1 changes its sign.
        inconsistent: (F,) int64, positions of the edges whose determinant is still -1 after the flips.
        defect: smallest eigenvalue of the signed Laplacian; 0 if orientable (then it is not computed).
    """

    signs: Array
    inconsistent: Indices
    defect: float

    @property
    def orientable(self) -> bool:
        """Whether all transports have determinant +1 after the flips."""
        return not len(self.inconsistent)


def synchronize(edge_index: Indices, determinants: Array, confidence: Array, num_nodes: int) -> Orientation:
    """Find the flips that give as many transports as possible the determinant +1.

    Signs are carried along the spanning forest of the most confident edges. If edges outside of it disagree, signs of
    the lowest eigenvector of the signed Laplacian are tried, too.

    Args:
        edge_index: (2, E) undirected, sorted.
        determinants: (E,) of +1 and -1.
        confidence: (E,) in [0, 1], the agreement of tangent spaces: edges with more of it are trusted more.
        num_nodes: number of nodes n.
    """
    signs = _along_forest(edge_index, determinants, confidence, num_nodes)
    inconsistent = _disagreeing(edge_index, determinants, signs)
    if not inconsistent.size:
        return Orientation(signs, inconsistent, 0.0)
    degree = degrees(edge_index, np.ones_like(determinants), num_nodes)
    signed = edge_matrix(edge_index, determinants, num_nodes)
    values, vectors = lowest_eigenpairs((scipy.sparse.diags(degree) - signed).tocsr(), 1)
    spectral = np.where(vectors[:, 0] < 0, -1.0, 1.0)
    other = _disagreeing(edge_index, determinants, spectral)
    if other.size < inconsistent.size:
        signs, inconsistent = spectral, other
    return Orientation(signs, inconsistent, max(0.0, float(values[0])))


def _disagreeing(edge_index: Indices, determinants: Array, signs: Array) -> Indices:
    return np.flatnonzero(determinants * signs[edge_index[0]] * signs[edge_index[1]] < 0)


def _along_forest(edge_index: Indices, determinants: Array, confidence: Array, num_nodes: int) -> Array:
    doubt = 2.0 - confidence  # positive: a zero would be no edge
    forest = minimum_spanning_tree(edge_matrix(edge_index, doubt, num_nodes))
    product = edge_matrix(edge_index, determinants, num_nodes)
    number, labels = connected_components(forest, directed=False)
    # One root for all components, so that one search visits them all.
    roots = np.unique(labels, return_index=True)[1]
    rows, columns = forest.nonzero()
    rows, columns = np.concatenate([rows, np.full(number, num_nodes)]), np.concatenate([columns, roots])
    tree = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(num_nodes + 1, num_nodes + 1))
    _, parent = breadth_first_order(tree, num_nodes, directed=False)
    ancestor = parent.astype(np.int64)
    ancestor[num_nodes] = num_nodes
    ancestor[roots] = num_nodes
    inner = np.flatnonzero(ancestor[:num_nodes] < num_nodes)
    signs = np.ones(num_nodes + 1)
    signs[inner] = np.asarray(product[inner, ancestor[inner]]).ravel()
    # Each round doubles how far a node looks up the tree: the product of signs up to the root, in log2(depth) rounds.
    while (ancestor != num_nodes).any():
        signs, ancestor = signs * signs[ancestor], ancestor[ancestor]
    return signs[:num_nodes]


def orient(frames: Array, signs: Array) -> Array:
    """Return frames (n, D, d) whose last column is flipped where `signs` (n,) is -1."""
    oriented = frames.copy()
    oriented[:, :, -1] *= signs[:, None]
    return oriented
