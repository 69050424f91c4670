import numpy as np
import pytest
import scipy.linalg

from datamodules.surfaces import shapes
from zoo.spectral.connection import connection_laplacian
from zoo.spectral.diffusion import diffuse, random_vector_field, smooth_vector_field

GEOMETRY = connection_laplacian(shapes.torus(250), None)
MATRIX = GEOMETRY.matrix
VALUES = np.random.default_rng(0).standard_normal((500, 3))


@pytest.mark.parametrize("time", [1e-3, 0.3, 5.0, 100.0])
def test_diffusion_is_the_matrix_exponential(time):
    shifted = MATRIX.toarray() - GEOMETRY.eigvals[0] * np.eye(500)
    expected = scipy.linalg.expm(-time * shifted) @ VALUES
    np.testing.assert_allclose(diffuse(MATRIX, VALUES, time, GEOMETRY.eigvals[0]), expected, atol=1e-12)
    plain = scipy.linalg.expm(-time * MATRIX.toarray()) @ VALUES
    np.testing.assert_allclose(diffuse(MATRIX, VALUES, time), plain, atol=1e-12)


def test_semigroup_and_contraction():
    twice = diffuse(MATRIX, diffuse(MATRIX, VALUES, 0.7), 0.4)
    np.testing.assert_allclose(diffuse(MATRIX, VALUES, 1.1), twice, atol=1e-12)
    norms = [np.linalg.norm(diffuse(MATRIX, VALUES, time)) for time in (0.1, 1.0, 10.0)]
    assert np.linalg.norm(VALUES) > norms[0] > norms[1] > norms[2]


def test_long_times_project_on_the_lowest_eigenspace():
    values, vectors = np.linalg.eigh(MATRIX.toarray())
    lowest = vectors[:, values < values[0] + 1e-9]
    time = float(40 / (values[lowest.shape[1]] - values[0]))
    np.testing.assert_allclose(diffuse(MATRIX, VALUES, time, values[0]), lowest @ lowest.T @ VALUES, atol=1e-9)


def test_scalar_diffusion_keeps_constants():
    np.testing.assert_allclose(diffuse(GEOMETRY.scalar_matrix, np.ones(250), 30.0), 1, rtol=1e-12)


def test_smoothing_is_the_published_one():
    field = random_vector_field(GEOMETRY, seed=1)
    np.testing.assert_allclose(np.linalg.norm(field, axis=1), 1, rtol=1e-12)
    tangent = np.einsum("npd,np->nd", GEOMETRY.frames, field).ravel()
    time = 4.0
    direction = (scipy.linalg.expm(-time * MATRIX.toarray()) @ tangent).reshape(-1, 2)
    heat = scipy.linalg.expm(-time * GEOMETRY.scalar_matrix.toarray())
    length = (heat @ np.ones(250)) / (heat @ np.ones(250))
    expected = np.einsum("npd,nd->np", GEOMETRY.frames, direction / np.linalg.norm(direction, axis=1)[:, None])
    np.testing.assert_allclose(smooth_vector_field(GEOMETRY, field, time), expected * length[:, None], atol=1e-10)


def test_smoothing_depends_on_no_frames():
    turned = connection_laplacian(GEOMETRY.points, 2, frames=GEOMETRY.frames[:, :, ::-1])
    field = random_vector_field(GEOMETRY, seed=1)
    expected = smooth_vector_field(GEOMETRY, 2 * field, 100.0)
    np.testing.assert_allclose(smooth_vector_field(turned, 2 * field, 100.0), expected, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 2, rtol=1e-9)


def test_time_is_positive():
    with pytest.raises(ValueError, match="time=-1"):
        diffuse(MATRIX, VALUES, -1.0)
