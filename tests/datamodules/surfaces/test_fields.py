import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.special import sph_harm_y

from datamodules.surfaces import shapes
from datamodules.surfaces.fields import SINGULAR_FIELDS, singular_field, smooth_ambient_field
from datamodules.surfaces.harmonics import random_sphere_field, solid_harmonics, vector_harmonics
from zoo.rvgp.singularities import find_singularities
from zoo.spectral.connection import connection_laplacian

GENERATOR = np.random.default_rng(0)
PLACES = GENERATOR.standard_normal((40, 3))
PLACES /= np.linalg.norm(PLACES, axis=1, keepdims=True)


def quadrature(degree):
    """Points and weights on the sphere that integrate polynomials of this degree exactly."""
    heights, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    angle = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    z, phi = (grid.ravel() for grid in np.meshgrid(heights, angle, indexing="ij"))
    radius = np.sqrt(1 - z**2)
    points = np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=1)
    return points, np.repeat(weights * 2 * np.pi / (degree + 1), degree + 1)


def test_harmonics_are_those_of_scipy():
    found = solid_harmonics(PLACES, 6)
    theta, phi = np.arccos(PLACES[:, 2]), np.arctan2(PLACES[:, 1], PLACES[:, 0])
    for degree in range(7):
        for order in range(degree + 1):
            value = sph_harm_y(degree, order, theta, phi) * (-1) ** order * (np.sqrt(2) if order else 1)
            np.testing.assert_allclose(found[:, degree * (degree + 1) + order], value.real, atol=1e-12)
            if order:
                np.testing.assert_allclose(found[:, degree * (degree + 1) - order], value.imag, atol=1e-12)


def test_vector_harmonics_are_orthonormal_and_tangent():
    points, weights = quadrature(12)
    psi, xi, degrees = vector_harmonics(points, 5)
    both = np.concatenate([psi, xi], axis=2)
    gram = np.einsum("n,npa,npb->ab", weights, both, both)
    np.testing.assert_allclose(gram, np.eye(2 * len(degrees)), atol=1e-12)
    np.testing.assert_allclose(np.einsum("npk,np->nk", both, points), 0, atol=1e-13)
    assert degrees.tolist() == [1] * 3 + [2] * 5 + [3] * 7 + [4] * 9 + [5] * 11


def test_gradients_are_differences():
    psi, _, degrees = vector_harmonics(PLACES, 4)
    step = 1e-6 * GENERATOR.standard_normal((40, 3))
    step -= (step * PLACES).sum(1, keepdims=True) * PLACES

    def scalar(points):
        return solid_harmonics(points / np.linalg.norm(points, axis=1, keepdims=True), 4)[:, 1:]

    difference = (scalar(PLACES + step) - scalar(PLACES - step)) / 2
    expected = np.einsum("npk,np->nk", psi, step) * np.sqrt(degrees * (degrees + 1))
    np.testing.assert_allclose(difference, expected, atol=1e-14)


def test_harmonics_are_eigenfields_of_the_connection_laplacian():
    geometry = connection_laplacian(shapes.sphere(3000), 2)
    psi, xi, degrees = vector_harmonics(geometry.points, 2)
    scale = geometry.scalar_eigenpairs(4)[0][1:].mean() / 2
    for fields in (psi, xi):
        tangent = np.einsum("npd,npk->ndk", geometry.frames, fields).reshape(6000, -1)
        quotients = (tangent * (geometry.matrix @ tangent)).sum(0) / (tangent**2).sum(0)
        np.testing.assert_allclose(quotients / scale, degrees * (degrees + 1) - 1, rtol=0.15)


def test_random_fields_have_mean_square_one_and_are_the_same_at_any_points():
    points, weights = quadrature(20)
    powers = [
        (weights * (random_sphere_field(points, 10, seed) ** 2).sum(1)).sum() / (4 * np.pi) for seed in range(200)
    ]
    assert np.mean(powers) == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose(random_sphere_field(points[5:9], 10, 3), random_sphere_field(points, 10, 3)[5:9])


@pytest.mark.parametrize("name", SINGULAR_FIELDS)
def test_singularities_are_where_they_are_said_to_be(name):
    field = singular_field(name)
    np.testing.assert_allclose(field.vectors(field.positions), 0, atol=1e-15)
    assert field.index.sum() == 2
    geometry = connection_laplacian(shapes.sphere(1500), 2)
    vectors = field.vectors(geometry.points)
    np.testing.assert_allclose((vectors * geometry.points).sum(1), 0, atol=1e-15)
    tangent = np.einsum("npd,np->nd", geometry.frames, vectors)
    found = find_singularities(geometry.points, geometry.frames, ConvexHull(geometry.points).simplices, tangent)
    nearest = np.linalg.norm(found.positions[:, None] - field.positions, axis=2)
    assert len(found.index) == len(field.index) and nearest.min(1).max() < 0.05
    np.testing.assert_array_equal(found.index, field.index[nearest.argmin(1)])


def test_smooth_fields_are_tangent_and_of_unit_size():
    points = shapes.torus(800)
    frames = shapes.torus_frames(points)
    field = smooth_ambient_field(points, frames, seed=1)
    assert (field**2).sum(1).mean() == pytest.approx(1)
    normal = field - np.einsum("npd,nqd,nq->np", frames, frames, field)
    np.testing.assert_allclose(normal, 0, atol=1e-13)
    # In any unit of length, and about any origin.
    np.testing.assert_allclose(smooth_ambient_field(7 * points + 2, frames, seed=1), field, atol=1e-12)


def test_unknown_fields_are_refused():
    with pytest.raises(ValueError, match="name='vortex'"):
        singular_field("vortex")
