import numpy as np
import pytest
from scipy.spatial import ConvexHull

from datamodules.surfaces import shapes
from zoo.spectral.connection import connection_laplacian
from zoo.spectral.nystrom import extend


@pytest.mark.parametrize("options", [{}, {"weights": "gaussian"}, {"weights": "gaussian", "alpha": 1}])
@pytest.mark.parametrize("points", [shapes.torus(500), shapes.klein_bottle(600)])
def test_old_points_keep_their_eigenfields(points, options):
    geometry = connection_laplacian(points, 20, dim=2, **options)
    chosen = np.array([3, 499, 0, 3])
    extension = extend(geometry, points[chosen])
    fields = extension.fields(geometry.eigvals, geometry.eigvecs)
    np.testing.assert_allclose(fields, geometry.eigvecs[chosen], atol=1e-12 * np.abs(geometry.eigvecs).max() * 10)
    np.testing.assert_array_equal(extension.frames, geometry.frames[chosen])
    eigvals, functions = geometry.scalar_eigenpairs(10)
    np.testing.assert_allclose(extension.functions(eigvals, functions), functions[chosen], atol=1e-11)


@pytest.mark.parametrize("options", [{}, {"weights": "gaussian"}, {"weights": "gaussian", "alpha": 1}])
def test_new_points_continue_smooth_fields(options):
    geometry = connection_laplacian(shapes.sphere(2400), 16, **options)
    new = shapes.sphere(601)
    extension = extend(geometry, new)
    fields = np.einsum("mpd,mdk->mpk", extension.frames, extension.fields(geometry.eigvals, geometry.eigvecs))
    # The lowest six eigenfields span the projections of constants and the rotations.
    old = np.einsum("npd,ndk->npk", geometry.frames, geometry.eigvecs)[:, :, :6].reshape(-1, 6)

    def known(points):
        constants = np.eye(3)[None] - points[:, :, None] * points[:, None, :]
        rotations = np.stack([np.cross(axis, points) for axis in np.eye(3)], axis=2)
        return np.concatenate([constants, rotations], axis=2).reshape(-1, 6)

    combination = np.linalg.lstsq(old, known(geometry.points), rcond=None)[0]
    predicted, exact = fields[:, :, :6].reshape(-1, 6) @ combination, known(new)
    assert np.linalg.norm(predicted - exact) / np.linalg.norm(exact) < 0.06


def test_fields_that_would_be_amplified_are_dropped():
    geometry = connection_laplacian(shapes.sphere(60), None, n_neighbors=6)
    extension = extend(geometry, shapes.sphere(61), n_neighbors=6)
    fields = extension.fields(geometry.eigvals, geometry.eigvecs)
    dropped = geometry.eigvals >= 0.9 * 6
    assert dropped.any() and (fields[:, :, dropped] == 0).all() and (fields[:, :, ~dropped] != 0).any()


def test_bad_points_are_named():
    geometry = connection_laplacian(shapes.sphere(60), 4)
    with pytest.raises(ValueError, match=r"points.shape=\(5, 2\)"):
        extend(geometry, np.zeros((5, 2)))
    with pytest.raises(ValueError, match="n_neighbors=60"):
        extend(geometry, np.zeros((5, 3)), n_neighbors=60)
    mesh = connection_laplacian(geometry.points, 4, weights="cotan", faces=ConvexHull(geometry.points).simplices)
    with pytest.raises(ValueError, match="new points have no triangles"):
        extend(mesh, np.zeros((5, 3)))
