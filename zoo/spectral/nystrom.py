r"""Eigenfields at new points, by the equation that they satisfy at the old ones.

An eigenfield solves :math:`(d_i - \lambda m_i) u(i) = \sum_j w_{ij} R_{ij} u(j)`. Read at a new point, with edges to
points of the graph, it defines the value there; at a point of the graph with its own edges it is an identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree
from torch import Tensor

from zoo.checks import require
from zoo.spectral.connection import ConnectionLaplacian
from zoo.spectral.edge_weights import kernel_weights
from zoo.spectral.frames import nearest_orthogonal, principal_directions
from zoo.spectral.point_graph import Array, Indices, check_points, sum_at

LARGEST_SHARE = 0.9
"""Eigenfields whose eigenvalue exceeds this part of the degree are set to 0: noise would be amplified tenfold."""

SAME_POINT = 1e-12
"""Distance, in units of the extent of the points, below which a new point is an old one."""


@dataclass(frozen=True)
class Extension:
    """New points with edges to the points of a graph.

    Attributes:
        points: (m, D).
        frames: (m, D, d) tangent frames.
        source: (E,) int64, the new point of each edge, ascending.
        target: (E,) int64, the point of the graph.
        weights: (E,) > 0.
        transports: (E, d, d), from coordinates at the target to coordinates at the source.
        degree: (m,), the sum of the weights.
        mass: (m,), as that of the graph.
    """

    points: Array
    frames: Array
    source: Indices
    target: Indices
    weights: Array
    transports: Array
    degree: Array
    mass: Array

    def fields(self, eigvals: Array, eigvecs: Array) -> Array:
        """Return eigenfields of the connection Laplacian at the new points: (m, d, k) from (k,) and (n, d, k)."""
        moved = np.einsum("eab,ebk->eak", self.transports, eigvecs[self.target])
        return self._resolve(moved, eigvals)

    def functions(self, eigvals: Array, eigvecs: Array) -> Array:
        """Return eigenvectors of the graph Laplacian at the new points: (m, k) from (k,) and (n, k)."""
        return self._resolve(eigvecs[self.target][:, None], eigvals)[:, 0]

    def _resolve(self, moved: Array, eigvals: Array) -> Array:
        sums = sum_at(self.source, self.weights[:, None, None] * moved, len(self.points))
        left = self.degree[:, None] - eigvals * self.mass[:, None]
        kept = eigvals * self.mass[:, None] < LARGEST_SHARE * self.degree[:, None]
        factors = np.where(kept, 1 / np.where(kept, left, 1.0), 0.0)
        return sums * factors[:, None]


def extend(geometry: ConnectionLaplacian, points: Tensor | ArrayLike, n_neighbors: int = 10) -> Extension:
    """Connect new points to a point cloud.

    A new point that coincides with one of the cloud gets its edges and its frame, hence its eigenfields exactly.

    Args:
        geometry: the cloud, not a mesh with cotangent weights.
        points: (m, D).
        n_neighbors: number of neighbours of each new point; frames come from 1.5 times as many and the point itself.

    Raises:
        ValueError: the points are not finite or of another dimension, there are fewer points than neighbours, or the
            weights are those of a mesh.
    """
    new = check_points("points", points)
    ambient, n = geometry.points.shape[1], geometry.num_points
    require(new.shape[1] == ambient, "points.shape", new.shape, f"(m, {ambient}), as in the cloud")
    frame_size = int(1.5 * n_neighbors)
    plain = geometry.bandwidth is not None or bool((geometry.weights == 1).all())
    require(plain, "geometry", "a mesh with cotangent weights", "a point cloud: new points have no triangles")
    require(n >= frame_size, "n_neighbors", n_neighbors, f"at most {int(n / 1.5)}, of {n} points")
    distances, indices = KDTree(geometry.points).query(new, k=frame_size)
    extent = np.ptp(geometry.points, axis=0).max()
    known = distances[:, 0] <= SAME_POINT * extent
    frames = np.empty((len(new), ambient, geometry.dim))
    frames[known] = geometry.frames[indices[known, 0]]
    if not known.all():
        both = np.concatenate([geometry.points, new])
        neighborhoods = np.concatenate([n + np.arange(len(new))[:, None], indices], axis=1)[~known]
        frames[~known] = principal_directions(both, neighborhoods)[0][:, :, : geometry.dim]
    source, target, weights = _edges(geometry, new, known, indices[:, :n_neighbors].astype(np.int64))
    rotations = nearest_orthogonal(frames[source].transpose(0, 2, 1) @ geometry.frames[target])
    degree = np.bincount(source, weights=weights, minlength=len(new)).astype(np.float64)
    mass = np.ones(len(new)) if geometry.alpha is None else degree * geometry.mass.mean() / geometry.degree.mean()
    return Extension(new, frames, source, target, weights, rotations, degree, mass)


def _edges(
    geometry: ConnectionLaplacian, new: Array, known: np.ndarray, neighbors: Indices
) -> tuple[Indices, Indices, Array]:
    fresh = np.flatnonzero(~known)
    source, target = np.repeat(fresh, neighbors.shape[1]), neighbors[fresh].ravel()
    squares = ((new[source] - geometry.points[target]) ** 2).sum(1)
    weights = kernel_weights(squares, geometry.bandwidth)
    # Old points keep the edges that they have; few or none of the new ones are old.
    starts = np.concatenate([[0], np.cumsum(np.bincount(geometry.edge_index[0], minlength=geometry.num_points))])
    old = np.flatnonzero(known)
    own = neighbors[old, 0]
    counts = starts[own + 1] - starts[own]
    kept = np.repeat(starts[own], counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    if geometry.alpha is not None:
        weights = weights * _correction(geometry, source, target, weights, len(new))
    source = np.concatenate([source, np.repeat(old, counts)])
    target = np.concatenate([target, geometry.edge_index[1, kept]])
    weights = np.concatenate([weights, geometry.weights[kept]])
    order = np.argsort(source, kind="stable")
    return source[order], target[order], weights[order]


def _correction(geometry: ConnectionLaplacian, source: Indices, target: Indices, weights: Array, number: int) -> Array:
    """Return what the density correction multiplies the weights of new edges by."""
    assert geometry.alpha is not None  # asked by the caller
    squares = ((geometry.points[geometry.edge_index[0]] - geometry.points[geometry.edge_index[1]]) ** 2).sum(1)
    plain = kernel_weights(squares, geometry.bandwidth)
    density = 1 + np.bincount(geometry.edge_index[0], weights=plain, minlength=geometry.num_points)
    own = 1 + np.bincount(source, weights=weights, minlength=number)
    first, second = geometry.edge_index
    mean_degree = (plain / (density[first] * density[second]) ** geometry.alpha).sum() / geometry.num_points
    return (own[source] * density[target]) ** -geometry.alpha / mean_degree
