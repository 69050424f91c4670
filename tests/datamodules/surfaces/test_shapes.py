import numpy as np
import pytest

from datamodules.surfaces import shapes
from zoo.spectral.frames import principal_directions
from zoo.spectral.point_graph import nearest_neighbors

FRAMED = {
    "sphere": (shapes.sphere(1500), shapes.sphere_frames),
    "torus": (shapes.torus(3000), shapes.torus_frames),
    "ellipsoid": (shapes.ellipsoid(1500), shapes.ellipsoid_frames),
    "flat torus": (shapes.clifford_torus(40, 30), shapes.clifford_frames),
}


@pytest.mark.parametrize("name", FRAMED)
def test_frames_are_orthonormal_and_tangent(name):
    points, frames_of = FRAMED[name]
    frames = frames_of(points)
    np.testing.assert_allclose(frames.transpose(0, 2, 1) @ frames, np.tile(np.eye(2), (len(points), 1, 1)), atol=1e-14)
    neighbors, _ = nearest_neighbors(points, 8)
    directions, _ = principal_directions(points, np.concatenate([np.arange(len(points))[:, None], neighbors], axis=1))
    cosines = np.linalg.svd(frames.transpose(0, 2, 1) @ directions[:, :, :2], compute_uv=False)
    assert cosines.min() > 0.99


def test_points_satisfy_their_equations():
    x, y, z = shapes.torus(500).T
    np.testing.assert_allclose((np.hypot(x, y) - 1) ** 2 + z**2, 0.16, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(shapes.sphere(500), axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(((shapes.ellipsoid(500) / [1, 0.8, 0.6]) ** 2).sum(1), 1, atol=1e-14)
    a, b, c, d = shapes.klein_bottle(500).T
    np.testing.assert_allclose((np.hypot(a, b) - 1) ** 2 + c**2 + d**2, 0.16, atol=1e-14)


@pytest.mark.parametrize("make", [shapes.sphere, shapes.torus, shapes.moebius_strip, shapes.klein_bottle])
def test_points_are_spread_evenly(make):
    nearest = nearest_neighbors(make(2000), 1)[1]
    assert nearest.min() > 0.1 * np.median(nearest)


def test_torus_is_uniform_in_area():
    points = shapes.torus(20000)
    outside = (np.hypot(points[:, 0], points[:, 1]) > 1).mean()
    # The share of the area outside of the circle in the middle of the tube is 1/2 + r / (pi R).
    assert outside == pytest.approx(0.5 + 0.4 / np.pi, abs=2e-3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="n=0"):
        shapes.sphere(0)
    with pytest.raises(ValueError, match="major="):
        shapes.torus(10, major=0.3)
    with pytest.raises(ValueError, match="axes="):
        shapes.ellipsoid(10, axes=(1.0, 0.0, 1.0))
