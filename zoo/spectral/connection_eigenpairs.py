r"""The matrix of a connection Laplacian and its lowest eigenpairs, from edges, weights and transports.

On an oriented surface a vector is a complex number and a transport a phase: the matrix is Hermitian of half the size,
and each of its eigenvalues counts twice.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from zoo.checks import require, require_positive
from zoo.spectral.eigensolver import lowest_eigenpairs
from zoo.spectral.orientation import Orientation
from zoo.spectral.point_graph import Array, Indices, degrees, edge_matrix


def assemble(edge_index: Indices, weights: Array, rotations: Array, num_points: int) -> scipy.sparse.csr_matrix:
    """Return the connection Laplacian of edges with weights (E,) and transports (E, d, d): (n d, n d)."""
    dim = rotations.shape[1]
    source, target = edge_index
    counts = np.bincount(source, minlength=num_points)
    starts = np.concatenate([[0], np.cumsum(counts)])
    shape = (num_points * dim, num_points * dim)
    blocks = scipy.sparse.bsr_matrix((-weights[:, None, None] * rotations, target, starts), shape=shape)
    degree = degrees(edge_index, weights, num_points)
    return (blocks.tocsr() + scipy.sparse.diags(np.repeat(degree, dim))).tocsr()


def connection_eigenpairs(
    graph: Indices,
    weights: Array,
    rotations: Array,
    mass: Array,
    orientation: Orientation,
    flip: bool,
    k: int | None,
    snap: bool,
) -> tuple[Array, Array]:
    """Return the lowest eigenpairs of L u = lambda M u: (m,) ascending and (n, d, m), scaled so that u^T M u = n d.

    Args:
        graph: (2, E).
        weights: (E,).
        rotations: (E, d, d).
        mass: (n,), the diagonal of M.
        orientation: of the frames.
        flip: whether the frames are still to be flipped to be of one handedness; eigenvectors are in the frames given.
        k: how many; all n d if None.
        snap: add eigenpairs until the next gap.

    Raises:
        ValueError: k is out of its range.
    """
    n, dim = len(mass), rotations.shape[1]
    k = n * dim if k is None else k
    require_positive(k=k)
    require(k <= n * dim, "k", k, f"an integer from 1 to {n * dim}, points times dimension; or None for all")
    if dim == 2 and orientation.orientable:
        signs = orientation.signs if flip else np.ones(n)
        values, vectors = _complex_eigenpairs(graph, weights, flipped(rotations, graph, signs), mass, k, snap)
        vectors[:, 1] *= signs[:, None]
    else:
        matrix = assemble(graph, weights, rotations, n)
        values, flat = lowest_eigenpairs(matrix, k, np.repeat(mass, dim), snap)
        vectors = np.real(flat).reshape(n, dim, -1)
    return values, np.ascontiguousarray(vectors) * np.sqrt(n * dim)


def _complex_eigenpairs(
    graph: Indices, weights: Array, rotations: Array, mass: Array, k: int, snap: bool
) -> tuple[Array, Array]:
    """Solve for z = v_1 + i v_2 on an oriented surface: half of the size, and every eigenvalue twice in real terms."""
    n, half = len(mass), (k + 1) // 2
    phases = weights * (rotations[:, 0, 0] + 1j * rotations[:, 1, 0])
    degree = degrees(graph, weights, n)
    hermitian = (scipy.sparse.diags(degree) - edge_matrix(graph, phases, n)).tocsr()
    values, vectors = lowest_eigenpairs(hermitian, half, mass, snap)
    turned = 1j * vectors
    pairs = np.stack([np.stack([vectors.real, vectors.imag], 1), np.stack([turned.real, turned.imag], 1)], axis=-1)
    count = 2 * len(values) if snap else k
    return np.repeat(values, 2)[:count], pairs.reshape(n, 2, -1)[:, :, :count].copy()


def flipped(rotations: Array, edge_index: Indices, signs: Array) -> Array:
    """Return transports between frames whose last column is flipped where signs are -1."""
    result = rotations.copy()
    result[:, -1, :] *= signs[edge_index[0], None]
    result[:, :, -1] *= signs[edge_index[1], None]
    return result
