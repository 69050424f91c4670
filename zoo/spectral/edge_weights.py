"""Weights of the edges of a point cloud or a mesh, and the mass of its points."""

from __future__ import annotations

from typing import Literal

import numpy as np

from zoo.checks import require_above
from zoo.spectral.meshes import cotangent_weights, vertex_areas
from zoo.spectral.point_graph import Array, Indices, degrees

Weights = Literal["unit", "gaussian", "cotan"]


def kernel_weights(squared_distances: Array, bandwidth: float | None) -> Array:
    """Return the weights of edges of the squared lengths (E,): Gaussian, or one without a bandwidth."""
    return np.ones_like(squared_distances) if bandwidth is None else np.exp(-squared_distances / bandwidth)


def edge_weights(
    cloud: Array,
    graph: Indices,
    faces: Indices | None,
    weights: Weights,
    bandwidth: float | None,
    alpha: float | None,
) -> tuple[Array, Array, float | None]:
    """Return weights (E,), the mass (n,) of mean 1, and the bandwidth of Gaussian weights.

    Args: those of `zoo.spectral.connection.connection_laplacian`, checked there; the bandwidth is checked here.

    Raises:
        ValueError: the bandwidth is not > 0.
    """
    n, (source, target) = len(cloud), graph
    if weights == "cotan":
        assert faces is not None  # checked at the door
        areas = vertex_areas(cloud, faces)
        return cotangent_weights(cloud, faces, graph), areas / areas.mean(), None
    squares = ((cloud[source] - cloud[target]) ** 2).sum(1)
    if weights == "gaussian":
        bandwidth = float(np.median(squares)) if bandwidth is None else bandwidth
        require_above(0, bandwidth=bandwidth)
    values = kernel_weights(squares, bandwidth)
    if alpha is None:
        return values, np.ones(n), bandwidth
    density = 1 + degrees(graph, values, n)
    values = values / (density[source] * density[target]) ** alpha
    degree = degrees(graph, values, n)
    return values / degree.mean(), degree / degree.mean(), bandwidth
