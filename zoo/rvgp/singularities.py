r"""Singularities of vector fields on oriented triangulated surfaces, by the Poincare-Hopf index.

With :math:`\theta_i` the angle of the vector in the frame of point i, and :math:`\rho_{ij}` the angle of the transport
from j to i, the field turns around a triangle by

.. math:: 2\pi\,index(ijk) = \sum_{edges} wrap(\theta_j + \rho_{ij} - \theta_i) - wrap(\sum_{edges} \rho_{ij}),

an exact integer for any vectors. The sum over a closed surface is its Euler characteristic, whatever the field is:
where the indices lie, and their signs, is what a field decides. Index +1 is a source, a sink or a centre; -1 a saddle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.checks import require
from zoo.spectral.frames import nearest_orthogonal
from zoo.spectral.meshes import check_faces
from zoo.spectral.point_graph import Array, Indices, nearest_neighbors

TYPES = ("source", "sink", "centre", "saddle")


@dataclass(frozen=True)
class Singularities:
    """Triangles around which a field turns.

    Attributes:
        faces: (S,) int64, rows of the triangles.
        index: (S,) int64, the indices, not 0.
        positions: (S, D), the centres of the triangles.
        kinds: a name of `TYPES` for each, "" where it is none of them.
    """

    faces: Indices
    index: Indices
    positions: Array
    kinds: list[str]


def face_indices(frames: Array, faces: Indices, tangent: Array) -> Array:
    """Return the Poincare-Hopf index of each triangle, (F,) float64, integers but for rounding.

    Args:
        frames: (n, D, 2) of one orientation.
        faces: (F, 3), each in the sense of that orientation; the other sense changes nothing but the sign.
        tangent: (n, 2) vectors in the frames, none of them 0.
    """
    angles = np.arctan2(tangent[:, 1], tangent[:, 0])
    turn, holonomy = np.zeros(len(faces)), np.zeros(len(faces))
    for corner in range(3):
        i, j = faces[:, corner], faces[:, (corner + 1) % 3]
        products = frames[i].transpose(0, 2, 1) @ frames[j]
        rho = np.arctan2(products[:, 1, 0] - products[:, 0, 1], products[:, 0, 0] + products[:, 1, 1])
        turn += _wrap(angles[j] + rho - angles[i])
        holonomy += rho
    return (turn - _wrap(holonomy)) / (2 * math.pi)


def find_singularities(points: Array, frames: Array, faces: Indices, tangent: Array) -> Singularities:
    """Return where a field has singularities, and of what kind.

    Args:
        points: (n, D).
        frames: (n, D, 2) of one orientation.
        faces: (F, 3); their senses are made those of the frames.
        tangent: (n, 2) vectors in the frames.

    Raises:
        ValueError: a vector is 0, frames are not of two dimensions or of different orientations.
    """
    require(frames.shape[2] == 2, "frames.shape", frames.shape, "(n, D, 2): indices are those of surfaces")
    zero = np.flatnonzero((tangent == 0).all(axis=1))
    require(not zero.size, "tangent", f"the vector 0 at point {zero[:1]}", "vectors with a direction")
    faces = orient_faces(points, frames, check_faces(faces, len(points)))
    index = face_indices(frames, faces, tangent).round().astype(np.int64)
    found = np.flatnonzero(index)
    kinds = [
        _kind(points, frames, face, tangent, int(value)) for face, value in zip(faces[found], index[found], strict=True)
    ]
    return Singularities(found, index[found], points[faces[found]].mean(axis=1), kinds)


def orient_faces(points: Array, frames: Array, faces: Indices) -> Indices:
    """Return triangles (F, 3) whose corners turn as their frames do.

    Raises:
        ValueError: the frames at the corners of a triangle are of different orientations.
    """
    first, second, third = (frames[faces[:, corner]] for corner in range(3))
    for other in (second, third):
        determinant = np.linalg.det(nearest_orthogonal(first.transpose(0, 2, 1) @ other))
        bad = np.flatnonzero(determinant < 0)
        require(not bad.size, "frames", f"different orientations in face {bad[:1]}", "frames of one orientation")
    left, right = points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
    left, right = (np.einsum("fpd,fp->fd", first, side) for side in (left, right))
    turned = left[:, 0] * right[:, 1] - left[:, 1] * right[:, 0] < 0
    return np.where(turned[:, None], faces[:, ::-1], faces)


def local_triangulation(points: Array, frames: Array, n_neighbors: int = 12) -> Indices:
    """Return triangles (F, 3) of a point cloud: Delaunay in the tangent plane of each point, where all corners agree.

    It covers well-sampled smooth surfaces; where the points of a triangle see different ones a hole is left.
    """
    from scipy.spatial import Delaunay

    neighbors, _ = nearest_neighbors(points, n_neighbors)
    votes: dict[tuple[int, ...], int] = {}
    for center in range(len(points)):
        around = np.concatenate([[center], neighbors[center]])
        flat = (points[around] - points[center]) @ frames[center]
        for triangle in Delaunay(flat).simplices:
            if 0 in triangle:
                key = tuple(sorted(around[triangle].tolist()))
                votes[key] = votes.get(key, 0) + 1
    return np.array(sorted(key for key, count in votes.items() if count == 3), dtype=np.int64).reshape(-1, 3)


def match_singularities(
    found: Singularities, true_positions: Array, true_index: Indices, radius: float
) -> tuple[int, int, int]:
    """Return how many true singularities were found, how many were true, and how many were found in all.

    A singularity is found if one of the same index lies within `radius`; each counts once, the nearest pairs first.
    """
    distances = np.linalg.norm(found.positions[:, None] - true_positions, axis=2)
    distances[found.index[:, None] != true_index] = np.inf
    matched = 0
    while distances.size and distances.min() <= radius:
        row, column = np.unravel_index(distances.argmin(), distances.shape)
        distances[row], distances[:, column] = np.inf, np.inf
        matched += 1
    return matched, len(true_index), len(found.index)


def _wrap(angle: Array) -> Array:
    """Return angles in (-pi, pi]."""
    return math.pi - np.remainder(math.pi - angle, 2 * math.pi)


def _kind(points: Array, frames: Array, face: NDArray[np.int64], tangent: Array, index: int) -> str:
    """Name a singularity after the Jacobian of the field, linear in the triangle."""
    frame = frames[face[0]]
    places = (points[face] - points[face].mean(axis=0)) @ frame
    rotations = nearest_orthogonal(frame.T @ frames[face])
    vectors = np.einsum("fab,fb->fa", rotations, tangent[face])
    jacobian = np.linalg.lstsq(places, vectors - vectors.mean(axis=0), rcond=None)[0].T
    if index == -1:
        return "saddle"
    if index != 1:
        return ""
    divergence, curl = np.trace(jacobian), jacobian[1, 0] - jacobian[0, 1]
    if abs(curl) > abs(divergence):
        return "centre"
    return "source" if divergence > 0 else "sink"
