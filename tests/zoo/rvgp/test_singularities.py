import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.stats import ortho_group

from datamodules.surfaces import shapes
from zoo.rvgp.singularities import (
    _wrap,
    face_indices,
    find_singularities,
    local_triangulation,
    match_singularities,
    orient_faces,
)
from zoo.spectral.connection import connection_laplacian

GEOMETRY = connection_laplacian(shapes.sphere(2000), 2)
POINTS, FRAMES = GEOMETRY.points, GEOMETRY.frames
FACES = ConvexHull(POINTS).simplices
X, Y, Z = POINTS.T
ZERO = np.zeros(2000)
FIELDS = {
    "rotation": (np.stack([-Y, X, ZERO], 1), {("centre", 1): 2}),
    "dipole": (np.array([0.0, 0, 1]) - Z[:, None] * POINTS, {("source", 1): 1, ("sink", 1): 1}),
    "saddles": (np.stack([Y, X, ZERO], 1), {("source", 1): 2, ("sink", 1): 2, ("saddle", -1): 2}),
}


def tangent(field, frames=FRAMES):
    return np.einsum("npd,np->nd", frames, field)


@pytest.mark.parametrize("name", FIELDS)
def test_known_singularities_are_found(name):
    field, expected = FIELDS[name]
    found = find_singularities(POINTS, FRAMES, FACES, tangent(field))
    counts = {}
    for kind, index in zip(found.kinds, found.index.tolist(), strict=True):
        counts[kind, index] = counts.get((kind, index), 0) + 1
    assert counts == expected
    poles = np.abs(np.abs(found.positions[:, 2]) - 1) < 0.01
    assert (poles == [kind in ("centre", "saddle") or name == "dipole" for kind in found.kinds]).all()


def test_indices_are_integers_that_sum_to_the_euler_characteristic():
    field = np.random.default_rng(0).standard_normal((2000, 2))
    index = face_indices(FRAMES, orient_faces(POINTS, FRAMES, FACES), field)
    np.testing.assert_allclose(index, index.round(), atol=1e-12)
    assert index.sum() == pytest.approx(2, abs=1e-9)


def test_torus_has_sum_zero():
    columns, rows = 24, 14
    u, v = np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij")
    corner = lambda i, j: (i % columns) * rows + j % rows  # noqa: E731
    a, b, c, d = corner(u, v), corner(u + 1, v), corner(u + 1, v + 1), corner(u, v + 1)
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    ring = 1 + 0.4 * np.cos(2 * np.pi * v / rows)
    angle = 2 * np.pi * u / columns
    points = np.stack([ring * np.cos(angle), ring * np.sin(angle), 0.4 * np.sin(2 * np.pi * v / rows)], -1)
    points = points.reshape(-1, 3)
    frames = shapes.torus_frames(points)
    index = face_indices(
        frames, orient_faces(points, frames, faces), np.random.default_rng(1).standard_normal((336, 2))
    )
    np.testing.assert_allclose(index, index.round(), atol=1e-12)
    assert index.sum() == pytest.approx(0, abs=1e-9) and (index.round() != 0).any()


def test_indices_depend_on_no_frames():
    turns = ortho_group.rvs(2, size=2000, random_state=0)
    turns[:, :, 1] *= np.linalg.det(turns)[:, None]
    field = FIELDS["saddles"][0]
    expected = find_singularities(POINTS, FRAMES, FACES, tangent(field))
    found = find_singularities(POINTS, FRAMES @ turns, FACES[:, ::-1], tangent(field, FRAMES @ turns))
    np.testing.assert_array_equal(found.index, expected.index)
    assert found.kinds == expected.kinds


def test_point_clouds_are_triangulated():
    triangles = local_triangulation(POINTS, FRAMES)
    hull = {tuple(sorted(face)) for face in FACES.tolist()}
    assert len(hull & {*map(tuple, triangles.tolist())}) > 0.99 * len(hull)
    found = find_singularities(POINTS, FRAMES, triangles, tangent(FIELDS["saddles"][0]))
    assert sorted(found.index.tolist()) == [-1, -1, 1, 1, 1, 1]


def test_angles_wrap_into_one_turn():
    np.testing.assert_allclose(
        _wrap(np.array([0.0, np.pi, -np.pi, 4.0, -7.0])), [0, np.pi, np.pi, 4 - 2 * np.pi, 2 * np.pi - 7]
    )


def test_each_singularity_is_matched_once():
    found = find_singularities(POINTS, FRAMES, FACES, tangent(FIELDS["saddles"][0]))
    assert match_singularities(found, found.positions, found.index, 0.01) == (6, 6, 6)
    assert match_singularities(found, found.positions, -found.index, 0.5) == (0, 6, 6)
    assert match_singularities(found, found.positions[[0, 0]], found.index[[0, 0]], 0.01) == (1, 2, 6)
    assert match_singularities(found, np.zeros((0, 3)), np.zeros(0, dtype=int), 0.01) == (0, 0, 6)


def test_bad_fields_are_refused():
    with pytest.raises(ValueError, match="the vector 0 at point"):
        find_singularities(POINTS, FRAMES, FACES, np.zeros((2000, 2)))
    flipped = FRAMES.copy()
    flipped[7] *= [1, -1]
    with pytest.raises(ValueError, match="different orientations"):
        find_singularities(POINTS, flipped, FACES, tangent(FIELDS["rotation"][0]))
    with pytest.raises(ValueError, match="indices are those of surfaces"):
        find_singularities(POINTS, FRAMES[:, :, :1], FACES, np.ones((2000, 1)))
