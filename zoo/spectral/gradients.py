"""Gradients of functions on a point cloud, by least squares along the edges in the tangent plane of each point."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from zoo.spectral.connection import ConnectionLaplacian
from zoo.spectral.point_graph import Array, sum_at


def gradients(geometry: ConnectionLaplacian, changes: Iterable[Array]) -> Array:
    """Return the gradients of functions in the tangent frames, (n, d, k).

    Args:
        geometry: the cloud.
        changes: k arrays (E,), by how much each function changes along each edge, from its source to its target; of
            phases, in (-pi, pi]. Asked for one at a time: those of all functions would fill the memory.
    """
    source, target = geometry.edge_index
    steps = np.einsum("epd,ep->ed", geometry.frames[source], geometry.points[target] - geometry.points[source])
    normal = sum_at(source, steps[:, :, None] * steps[:, None, :], geometry.num_points)
    right = [sum_at(source, steps * change[:, None], geometry.num_points) for change in changes]
    # Edges that miss a direction of the plane say nothing about it: the least of all solutions is 0 there.
    solved = np.linalg.pinv(normal, hermitian=True) @ np.stack(right, axis=2)
    return solved.astype(np.float64, copy=False)
