r"""Tangent frames of a point cloud, its dimension, and the orthogonal maps between the frames of neighbours.

The frame :math:`T_i \in R^{D x d}` at a point spans the directions in which its neighbourhood extends most: leading
left singular vectors of the centred points. What is fixed by the data is the space that a frame spans; the frame itself
is a choice of coordinates (a gauge), and :math:`T_i Q_i` with orthogonal :math:`Q_i` is as good.

Parallel transport between neighbours is the orthogonal matrix nearest to :math:`T_i^T T_j = A S B^T`, which is
:math:`R_{ij} = A B^T`: it turns coordinates at j into coordinates at i. Determinants may be -1, as frames have random
handedness. Source: Singer and Wu, "Vector diffusion maps and the connection Laplacian", CPAM 65 (2012).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.checks import require, require_positive
from zoo.spectral.point_graph import Array, Indices

ROWS = 65536
"""Points decomposed at once, which bounds the memory of large clouds."""


def principal_directions(
    points: Array, neighborhoods: Indices, members: NDArray[np.bool_] | None = None
) -> tuple[Array, Array]:
    """Return the principal directions of the neighbourhood of each point.

    Args:
        points: (n, D).
        neighborhoods: (n, K) indices, the point itself usually among them.
        members: (n, K), which of them count; all if None.

    Returns:
        Orthonormal directions (n, D, r) in columns, r = min(D, K), and singular values (n, r), descending.
    """
    directions, values = [], []
    for first in range(0, len(points), ROWS):
        cloud = points[neighborhoods[first : first + ROWS]]
        share = np.ones(cloud.shape[:2]) if members is None else members[first : first + ROWS].astype(np.float64)
        mean = (share[:, :, None] * cloud).sum(axis=1) / share.sum(axis=1)[:, None]
        centred = share[:, :, None] * (cloud - mean[:, None])
        _, singular, right = np.linalg.svd(centred, full_matrices=False)
        directions.append(right.transpose(0, 2, 1))
        values.append(singular)
    return np.concatenate(directions), np.concatenate(values)


def estimate_dimension(singular_values: Array, explained_variance: float = 0.8) -> int:
    """Return how many directions it takes to explain a part of the variance at almost all points.

    The cumulative shares of variance are averaged over points, less their standard deviation; the dimension is the
    first number of directions for which this reaches `explained_variance`, all of them if it never does.

    Args:
        singular_values: (n, r), descending.
        explained_variance: in (0, 1].

    Raises:
        ValueError: an argument is out of its range.
    """
    allowed = 0 < explained_variance <= 1
    require(allowed, "explained_variance", explained_variance, "a number in (0, 1]")
    variance = singular_values**2
    shares = np.cumsum(variance / variance.sum(axis=1, keepdims=True), axis=1)
    explained = shares.mean(axis=0) - shares.std(axis=0)
    enough = np.flatnonzero(explained >= explained_variance)
    if explained_variance == 1 or not enough.size:
        return singular_values.shape[1]
    return int(enough[0]) + 1


def check_frames(frames: Array, points: Array) -> None:
    """Raise a ValueError unless frames (n, D, d) are orthonormal and fit the points (n, D)."""
    n, ambient = points.shape
    fits = frames.ndim == 3 and frames.shape[:2] == (n, ambient) and 1 <= frames.shape[2] <= ambient
    require(fits, "frames.shape", frames.shape, f"({n}, {ambient}, d) with d from 1 to {ambient}")
    error = np.abs(frames.transpose(0, 2, 1) @ frames - np.eye(frames.shape[2])).max()
    require(bool(error < 1e-8), "frames", f"columns that are off orthonormality by {error:.1e}", "orthonormal columns")


def check_dimension(dim: int, points: Array, neighborhood: int) -> None:
    """Raise a ValueError unless neighbourhoods of so many points can span `dim` directions."""
    require_positive(dim=dim)
    most = min(points.shape[1], neighborhood - 1)
    require(dim <= most, "dim", dim, f"an integer from 1 to {most}: coordinates, and neighbours less one, bound it")


def transports(frames: Array, edge_index: Indices) -> Array:
    """Return the transport R_ij along each edge (i, j), from coordinates at j to coordinates at i.

    Args:
        frames: (n, D, d) orthonormal.
        edge_index: (2, E), every edge in both directions, sorted.

    Returns:
        (E, d, d) orthogonal matrices; R_ji is the transpose of R_ij to the last bit.
    """
    source, target = edge_index
    half = np.flatnonzero(source < target)
    result = np.empty((edge_index.shape[1], frames.shape[2], frames.shape[2]))
    for first in range(0, len(half), ROWS):
        part = half[first : first + ROWS]
        result[part] = nearest_orthogonal(frames[source[part]].transpose(0, 2, 1) @ frames[target[part]])
    result[reverse_edges(edge_index)[half]] = result[half].transpose(0, 2, 1)
    return result


def reverse_edges(edge_index: Indices) -> Indices:
    """Return, for each edge of a sorted undirected graph, the position of the same edge in the other direction."""
    source, target = edge_index
    order = np.lexsort((source, target))
    reverse = np.empty_like(order)
    reverse[order] = np.arange(len(order))
    return reverse


def nearest_orthogonal(matrices: Array) -> Array:
    """Return the orthogonal matrix nearest to each of (E, d, d): A B^T of the singular value decomposition A S B^T.

    In two dimensions it is, of the nearest rotation and the nearest reflection, the one with the sign of the
    determinant, in closed form.
    """
    if matrices.shape[-1] == 1:
        return np.where(matrices < 0, -1.0, 1.0)
    if matrices.shape[-1] > 2:
        left, _, right = np.linalg.svd(matrices)
        return left @ right
    (a, b), (c, d) = matrices.transpose(1, 2, 0)
    sign = np.where(a * d - b * c < 0, -1.0, 1.0)
    cosine, sine = a + sign * d, c - sign * b
    length = np.hypot(cosine, sine)
    # Frames at right angles share no direction: any orthogonal matrix is nearest, take the identity.
    flat = length == 0
    length[flat], cosine[flat] = 1.0, 1.0
    cosine, sine = cosine / length, sine / length
    return np.stack([cosine, -sign * sine, sine, sign * cosine], axis=-1).reshape(-1, 2, 2)


def agreement(frames: Array, edge_index: Indices) -> Array:
    """Return the smallest cosine of the principal angles between the tangent spaces of each edge, (E,) in [0, 1].

    1 where they are parallel; small on edges that join two sheets, or cross a sharp bend.
    """
    source, target = edge_index
    result = np.empty(edge_index.shape[1])
    for first in range(0, len(result), ROWS):
        part = slice(first, first + ROWS)
        result[part] = _smallest_singular_value(frames[source[part]].transpose(0, 2, 1) @ frames[target[part]])
    return np.minimum(result, 1.0)


def _smallest_singular_value(matrices: Array) -> Array:
    if matrices.shape[-1] != 2:
        return np.linalg.svd(matrices, compute_uv=False)[:, -1].astype(np.float64)
    (a, b), (c, d) = matrices.transpose(1, 2, 0)
    rotation, reflection = np.hypot(a + d, c - b), np.hypot(a - d, c + b)
    return (np.abs(rotation - reflection) / 2).astype(np.float64)
