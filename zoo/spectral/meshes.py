"""What triangles say about a surface: its edges, cotangent weights and the areas that belong to its vertices.

Source: Pinkall and Polthier, "Computing discrete minimal surfaces and their conjugates", Experimental Math. 2 (1993).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from zoo.checks import require
from zoo.spectral.point_graph import Array, Indices, undirected

FLAT = 1e-7
"""Twice the area of a triangle, in units of its longest side squared, below which it is only rounding."""


def check_faces(faces: Tensor | ArrayLike, num_points: int) -> Indices:
    """Return triangles as an int64 array (F, 3).

    Raises:
        ValueError: it is no such array, names a point that does not exist, or one point twice.
    """
    array = faces.detach().cpu().numpy() if isinstance(faces, Tensor) else np.asarray(faces)
    fits = array.ndim == 2 and array.shape[-1] == 3 and array.dtype.kind in "iu" and len(array) > 0
    require(fits, "faces", f"{array.dtype} {array.shape}", "integers (F, 3), three points for each triangle")
    inside = bool(array.min() >= 0 and array.max() < num_points)
    require(inside, "faces", f"points {array.min()} to {array.max()}", f"points from 0 to {num_points - 1}")
    twice = np.flatnonzero((array == np.roll(array, 1, axis=1)).any(axis=1))
    require(not twice.size, "faces", f"row {twice[:1]} with a point twice", "three different points in each row")
    return array.astype(np.int64)


def mesh_edges(faces: Indices, num_points: int) -> Indices:
    """Return the edges of triangles, (2, E) in both directions, sorted."""
    return undirected(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T, num_points)


def cotangent_weights(points: Array, faces: Indices, edge_index: Indices) -> Array:
    """Return half of the sum of the cotangents of the angles opposite to each edge, (E,), at least 0.

    Negative weights, of edges that are not Delaunay, would make Laplacians indefinite; they are set to 0.

    Args:
        points: (n, D).
        faces: (F, 3).
        edge_index: (2, E), from `mesh_edges`.

    Raises:
        ValueError: the points of a triangle lie on a line, where cotangents are infinite.
    """
    n = len(points)
    double = 2 * triangle_areas(points, faces)
    sides = points[faces] - points[np.roll(faces, 1, axis=1)]
    flat = np.flatnonzero(double <= FLAT * (sides**2).sum(2).max(1))
    require(not flat.size, "faces", f"row {flat[:1]} with three points on a line", "triangles that have an area")
    keys = edge_index[0] * n + edge_index[1]
    weights = np.zeros(edge_index.shape[1])
    for corner in range(3):
        apex, one, other = (faces[:, (corner + shift) % 3] for shift in range(3))
        half = ((points[one] - points[apex]) * (points[other] - points[apex])).sum(1) / double / 2
        for source, target in ((one, other), (other, one)):
            edge = np.searchsorted(keys, source * n + target)
            weights += np.bincount(edge, weights=half, minlength=len(weights))
    return np.maximum(weights, 0.0)


def triangle_areas(points: Array, faces: Indices) -> Array:
    """Return the areas of triangles (F, 3), (F,)."""
    left, right = points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
    inner = (left * right).sum(1)
    return np.sqrt(np.maximum((left**2).sum(1) * (right**2).sum(1) - inner**2, 0.0)) / 2


def vertex_areas(points: Array, faces: Indices) -> Array:
    """Return a third of the area of all triangles around each point, (n,)."""
    thirds = np.repeat(triangle_areas(points, faces) / 3, 3)
    return np.bincount(faces.ravel(), weights=thirds, minlength=len(points)).astype(np.float64)
