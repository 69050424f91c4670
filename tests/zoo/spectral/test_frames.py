import numpy as np
import pytest
from scipy.stats import ortho_group

from datamodules.surfaces import shapes
from zoo.spectral.frames import (
    agreement,
    estimate_dimension,
    nearest_orthogonal,
    principal_directions,
    reverse_edges,
    transports,
)
from zoo.spectral.point_graph import nearest_neighbors, neighbor_graph

EXACT = {"rtol": 0, "atol": 1e-13}


def frames_of(points, dim, number=10):
    neighborhoods = np.concatenate([np.arange(len(points))[:, None], nearest_neighbors(points, number)[0]], axis=1)
    directions, values = principal_directions(points, neighborhoods)
    return directions[:, :, :dim], values


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_transport_is_the_polar_factor(dim):
    matrices = np.random.default_rng(0).standard_normal((50, dim, dim))
    left, _, right = np.linalg.svd(matrices)
    np.testing.assert_allclose(nearest_orthogonal(matrices), left @ right, **EXACT)


def test_transport_between_orthogonal_planes_is_orthogonal():
    np.testing.assert_array_equal(nearest_orthogonal(np.zeros((1, 2, 2)))[0], np.eye(2))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_transports_are_orthogonal_and_their_own_reverses(dim):
    points = np.random.default_rng(1).random((60, 3))
    frames, _ = frames_of(points, dim)
    edges = neighbor_graph(points, 6)
    rotations = transports(frames, edges)
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(dim), rotations.shape), **EXACT
    )
    reverse = reverse_edges(edges)
    np.testing.assert_array_equal(edges[::-1], edges[:, reverse])
    np.testing.assert_array_equal(rotations[reverse], rotations.transpose(0, 2, 1))


def test_frames_of_a_flat_torus_are_exact():
    points = shapes.clifford_torus(20, 14)
    frames, _ = frames_of(points, 2, number=8)
    exact = shapes.clifford_frames(points)
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), exact @ exact.transpose(0, 2, 1), **EXACT)


@pytest.mark.parametrize(
    ("points", "exact"),
    [
        (shapes.sphere(2000), shapes.sphere_frames(shapes.sphere(2000))),
        (shapes.torus(4000), shapes.torus_frames(shapes.torus(4000))),
        (shapes.ellipsoid(2000), shapes.ellipsoid_frames(shapes.ellipsoid(2000))),
    ],
)
def test_frames_span_the_tangent_planes(points, exact):
    frames, _ = frames_of(points, 2)
    np.testing.assert_allclose(
        exact.transpose(0, 2, 1) @ exact, np.broadcast_to(np.eye(2), (len(points), 2, 2)), **EXACT
    )
    cosines = np.linalg.svd(frames.transpose(0, 2, 1) @ exact, compute_uv=False)
    assert cosines.min() > 0.995


def test_dimension():
    # Cumulative shares (1/2, 1, 1) and (1, 1, 1): mean 3/4, deviation 1/4 after one direction.
    values = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert estimate_dimension(values, 0.5) == 1
    assert estimate_dimension(values, 0.51) == 2
    assert estimate_dimension(values, 1.0) == 3
    assert estimate_dimension(frames_of(shapes.sphere(500), 2)[1]) == 2
    assert estimate_dimension(frames_of(shapes.klein_bottle(1000), 2)[1], 0.7) == 2


def test_planar_points_are_of_two_dimensions():
    plane = np.concatenate([np.random.default_rng(2).random((100, 2)), np.zeros((100, 3))], axis=1)
    frames, values = frames_of(plane @ ortho_group.rvs(5, random_state=0), 2)
    assert estimate_dimension(values) == 2 and np.isfinite(frames).all()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_agreement_is_the_smallest_principal_cosine(dim):
    frames = ortho_group.rvs(4, size=12, random_state=1)[:, :, :dim]
    edges = np.argwhere(~np.eye(12, dtype=bool)).T
    expected = [np.linalg.svd(frames[i].T @ frames[j], compute_uv=False)[-1] for i, j in edges.T]
    np.testing.assert_allclose(agreement(frames, edges), expected, **EXACT)
