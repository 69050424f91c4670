"""Neighbour graphs of point clouds: who is near whom, undirected, with ties resolved by a rule and not by chance.

Graphs have edges in both directions, sorted by source and then by target, without loops: `(2, E)` int64, the
`edge_index` of torch_geometric. Everything is vectorised; no step looks at one edge at a time.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

from zoo.checks import require, require_above, require_choice, require_positive

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Ties = Literal["all", "index"]
Disconnected = Literal["raise", "join", "keep"]

SAME_DISTANCE = 1e-9
"""Relative difference below which two distances are a tie: rounding of coordinates in float64, and of files."""


def check_points(name: str, points: Tensor | ArrayLike) -> Array:
    """Return points as a float64 array (n, D).

    Raises:
        ValueError: it is no matrix, or an entry is NaN or infinite; the first bad row is named.
    """
    array = points.detach().cpu().numpy() if isinstance(points, Tensor) else np.asarray(points)
    require(array.ndim == 2 and array.size > 0, f"{name}.shape", array.shape, "a matrix (n, D), one row for each point")
    require(array.dtype.kind in "fiu", f"{name}.dtype", str(array.dtype), "real numbers")
    array = np.ascontiguousarray(array, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise ValueError(f"{name} holds NaN or infinity in {bad.size} rows, first in row {bad[0]}; leave them out")
    return array


def nearest_neighbors(points: Array, number: int) -> tuple[Indices, Array]:
    """Return the nearest other points of each point, by distance and then by index.

    Args:
        points: (n, D).
        number: how many, from 1 to n - 1.

    Returns:
        Indices (n, number) and distances (n, number), ascending.

    Raises:
        ValueError: there are too few points, or two of them coincide.
    """
    require_positive(number=number)
    require(len(points) > number, "points", f"{len(points)} points", f"more than {number}, the number of neighbours")
    distances, indices = KDTree(points).query(points, k=number + 1)
    twins = np.flatnonzero(distances[:, 1] == 0)
    if twins.size:
        raise ValueError(
            f"points holds {twins.size} rows that occur more than once, first row {twins[0]}; keep one of each "
            "(numpy.unique(points, axis=0, return_index=True)) and average the vectors there"
        )
    # Without coinciding points each is the nearest to itself. Ties are put in the order of their indices.
    indices, distances = indices[:, 1:].astype(np.int64), distances[:, 1:]
    order = np.lexsort((indices, _rounded(distances)), axis=1)
    return np.take_along_axis(indices, order, 1), np.take_along_axis(distances, order, 1)


def nearest_with_ties(points: Array, number: int) -> tuple[Indices, NDArray[np.bool_]]:
    """Return the nearest other points of each point, and all that are as near as the last of them.

    Args:
        points: (n, D).
        number: how many without ties, from 1 to n - 1.

    Returns:
        Indices (n, M), by distance, M as large as it takes for the point with the most ties; and which of them count.

    Raises:
        ValueError: there are too few points, or two of them coincide.
    """
    most = len(points) - 1
    asked = max(number, min(most, number + 1))
    while True:
        indices, distances = nearest_neighbors(points, asked)
        chosen = distances <= distances[:, number - 1 : number] * (1 + SAME_DISTANCE)
        if asked >= most or not chosen[:, -1].any():
            return indices, chosen
        asked = min(most, 2 * asked)


def neighbor_graph(points: Array, n_neighbors: int = 10, ties: Ties = "all") -> Indices:
    """Return the undirected graph with an edge wherever one of two points is among the nearest of the other.

    Args:
        points: (n, D), all different.
        n_neighbors: number of neighbours of each point.
        ties: "all" adds every point as near as the last neighbour, which makes the graph independent of the order of
            the points; "index" takes exactly `n_neighbors`.

    Returns:
        (2, E) int64.

    Raises:
        ValueError: an argument is out of its range, there are too few points, or two of them coincide.
    """
    require_choice("ties", ties, ("all", "index"))
    require_positive(n_neighbors=n_neighbors)
    if ties == "all":
        indices, chosen = nearest_with_ties(points, n_neighbors)
    else:
        indices = nearest_neighbors(points, n_neighbors)[0]
        chosen = np.ones_like(indices, dtype=bool)
    sources = np.broadcast_to(np.arange(len(points))[:, None], indices.shape)
    return undirected(np.stack([sources[chosen], indices[chosen]]), len(points))


def undirected(edge_index: Indices, num_nodes: int) -> Indices:
    """Return edges (2, E) in both directions, once each, sorted, without loops."""
    source, target = edge_index[:, edge_index[0] != edge_index[1]]
    keys = np.unique(np.concatenate([source * num_nodes + target, target * num_nodes + source]))
    return np.stack([keys // num_nodes, keys % num_nodes])


def edge_matrix(edge_index: Indices, values: NDArray[Any], num_nodes: int) -> scipy.sparse.csr_matrix:
    """Return values (E,) of edges as a sparse matrix (n, n)."""
    return scipy.sparse.csr_matrix((values, (edge_index[0], edge_index[1])), shape=(num_nodes, num_nodes))


def degrees(edge_index: Indices, values: Array, num_nodes: int) -> Array:
    """Return the sums (n,) of the values (E,) of all edges with the same source."""
    return np.bincount(edge_index[0], weights=values, minlength=num_nodes).astype(np.float64)


def components(edge_index: Indices, num_nodes: int) -> tuple[int, Indices]:
    """Return the number of components of a graph, and of which of them each node is, (n,)."""
    ones = np.ones(edge_index.shape[1])
    number, labels = connected_components(edge_matrix(edge_index, ones, num_nodes), directed=False)
    return int(number), labels


def sum_at(source: Indices, values: Array, num_nodes: int) -> Array:
    """Return the sums (n, ...) of the values (E, ...) of all edges with the same source."""
    edges = np.arange(len(source))
    incidence = scipy.sparse.csr_matrix((np.ones(len(source)), (source, edges)), shape=(num_nodes, len(source)))
    return (incidence @ values.reshape(len(source), -1)).reshape(num_nodes, *values.shape[1:])


def connect(points: Array, edge_index: Indices, disconnected: Disconnected = "raise") -> Indices:
    """Deal with a graph of several components, between which nothing could be predicted.

    Args:
        points: (n, D).
        edge_index: (2, E).
        disconnected: "raise" refuses it; "join" adds the shortest edges that connect it; "keep" leaves it as it is.

    Raises:
        ValueError: the graph is not connected, and is to be.
    """
    require_choice("disconnected", disconnected, ("raise", "join", "keep"))
    number, labels = components(edge_index, len(points))
    if number == 1 or disconnected == "keep":
        return edge_index
    if disconnected == "raise":
        sizes = np.sort(np.bincount(labels))[::-1]
        raise ValueError(
            f"the neighbour graph has {number} components, of {', '.join(map(str, sizes[:5]))}"
            f"{', ...' if number > 5 else ''} points; give more n_neighbors, disconnected='join' to add the shortest "
            "edges between them, or disconnected='keep' (components without labels are then predicted as 0)"
        )
    # Boruvka's algorithm on components: each is joined to its nearest point elsewhere until one is left.
    while number > 1:
        added = [_nearest_elsewhere(points, labels == label) for label in range(number)]
        edge_index = undirected(np.concatenate([edge_index, np.array(added).T], axis=1), len(points))
        number, labels = components(edge_index, len(points))
    return edge_index


def _nearest_elsewhere(points: Array, inside: NDArray[np.bool_]) -> tuple[int, int]:
    own, other = np.flatnonzero(inside), np.flatnonzero(~inside)
    distances, nearest = KDTree(points[other]).query(points[own])
    best = int(distances.argmin())
    return int(own[best]), int(other[nearest[best]])


def _rounded(distances: Array) -> Array:
    """Return distances to nine significant digits, so that ties compare as equal."""
    with np.errstate(divide="ignore"):
        digits = np.where(distances > 0, np.floor(np.log10(distances)), 0.0)
    scale = 10.0 ** (9 - digits)
    return np.round(distances * scale) / scale


def farthest_points(points: Array, spacing: float, start: int = 0) -> Indices:
    """Return indices of points that are at least `spacing` apart, in units of the diameter, and cover the rest.

    Furthest point sampling: begin with one point and add the one farthest from all chosen ones, until it is nearer than
    `spacing` times the largest distance between two points.

    Args:
        points: (n, D).
        spacing: > 0, relative to the diameter.
        start: the first point.

    Returns:
        (m,) int64, in the order in which they were chosen.

    Raises:
        ValueError: an argument is out of its range.
    """
    require_above(0, spacing=spacing)
    require(0 <= start < len(points), "start", start, f"an index from 0 to {len(points) - 1}")
    least = spacing * _diameter(points)
    chosen = [start]
    distances = np.linalg.norm(points - points[start], axis=1)
    while distances.max() >= least and len(chosen) < len(points):
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen, dtype=np.int64)


def _diameter(points: Array) -> float:
    # Rows in chunks: n^2 distances of 1e5 points would not fit in memory.
    squares = (points**2).sum(1)
    chunk = max(1, 10**7 // len(points))
    largest = 0.0
    for first in range(0, len(points), chunk):
        part = slice(first, first + chunk)
        products = squares[part, None] + squares - 2 * points[part] @ points.T
        largest = max(largest, float(products.max()))
    return float(np.sqrt(largest))
