import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from scipy.stats import ortho_group

from datamodules.surfaces import shapes
from zoo.spectral import connection
from zoo.spectral.connection import connection_laplacian
from zoo.spectral.orientation import orient

SPHERE = connection_laplacian(shapes.sphere(2000), 48)
HARMONIC = {1: 6, 5: 10, 11: 14, 19: 18}  # l (l + 1) - 1 and 2 (2 l + 1)


def kernel(geometry, decay=1.0):
    """A spectral kernel in ambient coordinates, which depends on no choice of frames or eigenvectors."""
    fields = np.einsum("npd,ndk->npk", geometry.frames, geometry.eigvecs).reshape(-1, len(geometry.eigvals))
    return (fields * np.exp(-decay * geometry.eigvals)) @ fields.T


def test_flat_torus_has_its_analytic_spectrum():
    points = shapes.clifford_torus(20, 14)
    for frames in (None, shapes.clifford_frames(points)):
        geometry = connection_laplacian(points, None, n_neighbors=8, dim=2, frame_neighbors=1.0, frames=frames)
        np.testing.assert_allclose(geometry.eigvals, shapes.clifford_eigvals(20, 14), atol=1e-12)


def test_sphere_converges_to_the_bochner_laplacian():
    scalar, _ = SPHERE.scalar_eigenpairs(4)
    values, start = SPHERE.eigvals / (scalar[1:].mean() / 2), 0
    for (exact, multiplicity), allowed in zip(HARMONIC.items(), [0.01, 0.02, 0.02, 0.03], strict=True):
        cluster = values[start : start + multiplicity]
        assert abs(cluster.mean() / exact - 1) < allowed
        assert cluster.max() < values[start + multiplicity :].min(initial=np.inf)
        start += multiplicity


def test_units():
    # Unit weights on the flat torus: exact but for the curvature of edges; any length scale gives the same spectrum.
    points = shapes.clifford_torus(40, 40)
    geometry = connection_laplacian(3 * points, 12, n_neighbors=8, dim=2)
    expected = np.repeat([0, 1, 2], [2, 8, 2]) / 9
    np.testing.assert_allclose(geometry.physical_eigvals, expected, atol=0.01 / 9)
    assert abs(SPHERE.physical_eigvals[:6].mean() - 1) < 0.1


@pytest.mark.parametrize(
    "points", [shapes.sphere(300), shapes.moebius_strip(400), shapes.klein_bottle(500), shapes.torus(400)]
)
@pytest.mark.parametrize("weights", ["unit", "gaussian"])
def test_matrix_is_the_sum_of_squares_over_edges(points, weights):
    geometry = connection_laplacian(points, 8, dim=2, weights=weights)
    n, (source, target) = len(points), geometry.edge_index
    field = np.random.default_rng(0).standard_normal((n, 2))
    differences = field[source] - np.einsum("eab,eb->ea", geometry.transports, field[target])
    expected = (geometry.weights[:, None] * differences**2).sum() / 2
    assert field.ravel() @ (geometry.matrix @ field.ravel()) == pytest.approx(expected, rel=1e-12)
    assert abs(geometry.matrix - geometry.matrix.T).max() == 0
    vectors = geometry.eigvecs.reshape(2 * n, -1)
    np.testing.assert_allclose(geometry.matrix @ vectors, vectors * geometry.eigvals, atol=1e-10 * np.sqrt(2 * n))
    np.testing.assert_allclose(vectors.T @ vectors, 2 * n * np.eye(8), atol=1e-9 * n)


def test_gauge():
    geometry = connection_laplacian(shapes.torus(500), 20, snap_k=True)
    turns = ortho_group.rvs(2, size=500, random_state=0)
    turned = connection_laplacian(geometry.points, 20, frames=geometry.frames @ turns, snap_k=True)
    np.testing.assert_allclose(turned.eigvals, geometry.eigvals, atol=1e-11)
    np.testing.assert_allclose(kernel(turned), kernel(geometry), atol=1e-10)
    np.testing.assert_array_equal(turned.frames, geometry.frames @ turns)
    # Determinants of -1 are part of it: transports forced to be rotations belong to another bundle.
    assert (np.linalg.det(turned.transports) < 0).any()


def test_rigid_motion_permutation_and_scale():
    points = shapes.torus(400)
    geometry = connection_laplacian(points, 20, snap_k=True)
    turn, order = ortho_group.rvs(3, random_state=1), np.random.default_rng(1).permutation(400)
    moved = connection_laplacian(5 * points[order] @ turn.T + 2, 20, snap_k=True)
    np.testing.assert_allclose(moved.eigvals, geometry.eigvals, atol=1e-11)
    blocks = kernel(geometry).reshape(400, 3, 400, 3)[order][:, :, order]
    expected = np.einsum("ap,ipjq,bq->iajb", turn, blocks, turn).reshape(1200, 1200)
    np.testing.assert_allclose(kernel(moved), expected, atol=1e-9)


def test_full_frames_repeat_the_graph_laplacian():
    points = np.random.default_rng(2).random((150, 3))
    geometry = connection_laplacian(points, None, dim=3)
    expected = np.repeat(np.linalg.eigvalsh(geometry.scalar_matrix.toarray()), 3)
    np.testing.assert_allclose(geometry.eigvals, expected, atol=1e-12)


def test_circle_has_the_spectrum_of_its_graph():
    angle = 2 * np.pi * np.arange(60) / 60
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    geometry = connection_laplacian(circle, None, n_neighbors=4, dim=1)
    np.testing.assert_allclose(geometry.eigvals, np.linalg.eigvalsh(geometry.scalar_matrix.toarray()), atol=1e-12)


@pytest.mark.parametrize("points", [shapes.sphere(900), shapes.torus(900), shapes.ellipsoid(500)])
def test_eigenvalues_of_oriented_surfaces_are_double(points):
    geometry = connection_laplacian(points, 20)
    assert geometry.orientation.orientable
    assert (np.linalg.det(geometry.transports) > 0).all()
    real = np.linalg.eigvalsh(geometry.matrix.toarray())
    np.testing.assert_allclose(real[::2], real[1::2], atol=1e-11)
    np.testing.assert_allclose(geometry.eigvals, real[:20], atol=1e-11)
    assert geometry.diagnostics().doubling_defect == 0


@pytest.mark.parametrize("points", [shapes.moebius_strip(1200), shapes.klein_bottle(1500)])
def test_one_sided_surfaces_are_recognised(points):
    geometry = connection_laplacian(points, 4, dim=2)
    report = geometry.diagnostics()
    assert not report.orientable and report.inconsistent_edges > 0 and report.orientation_defect > 1e-3
    source, target = geometry.edge_index
    signed = np.diag(geometry.degree)
    signed[source, target] -= np.linalg.det(geometry.transports)
    assert report.orientation_defect == pytest.approx(np.linalg.eigvalsh(signed)[0], rel=1e-8)


def test_random_flips_are_found():
    geometry = connection_laplacian(shapes.torus(600), 2)
    flips = np.where(np.random.default_rng(3).random(600) < 0.5, -1.0, 1.0)
    flipped = connection_laplacian(geometry.points, 2, frames=orient(geometry.frames, flips))
    assert flipped.orientation.orientable
    assert abs((flipped.orientation.signs * flips).sum()) == 600


def test_short_circuits_are_reported():
    # A sheet folded by a right angle: only edges across the fold join planes that share one direction alone.
    flat = shapes.sphere(900) * np.array([1.0, 1.0, 0.0])
    flat = flat[shapes.sphere(900)[:, 2] > 0]
    folded = np.where(flat[:, :1] > 0, flat, flat[:, [2, 1, 0]])
    assert connection_laplacian(flat, 2, dim=2).diagnostics().short_circuits.shape[1] == 0
    edges = connection_laplacian(folded, 2, dim=2).diagnostics().short_circuits
    assert edges.shape[1] > 0 and np.abs(folded[edges][..., [0, 2]]).max() < 0.3


def test_density_is_corrected():
    # Points on the circle, three times as dense on one side: only alpha = 1 finds 0, 1, 1, 4, 4.
    share = np.arange(1500) / 1500
    angle = np.interp(share, np.linspace(0, 1, 4001), _inverse_angle(np.linspace(0, 1, 4001)))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    expected = np.array([1, 1, 4, 4, 9, 9.0])

    def error(alpha):
        options = {"n_neighbors": 40, "dim": 1, "weights": "gaussian", "alpha": alpha, "bandwidth": 0.02**2}
        values = connection_laplacian(circle, 7, **options).eigvals
        return np.abs(values[1:] / values[1:3].mean() - expected).max()

    assert error(1) < 0.02 < 0.1 < error(0)


def _inverse_angle(share):
    angle = np.linspace(0, 2 * np.pi, 20001)
    return np.interp(share, (angle + 0.5 * np.sin(angle)) / (2 * np.pi), angle)


def test_generalised_eigenvectors_are_orthonormal_in_the_mass():
    geometry = connection_laplacian(shapes.torus(400), 6, weights="gaussian", alpha=0.5)
    weighted = geometry.mass[:, None, None] * geometry.eigvecs
    gram = weighted.reshape(800, -1).T @ geometry.eigvecs.reshape(800, -1)
    np.testing.assert_allclose(gram, 800 * np.eye(6), atol=1e-8)
    assert geometry.mass.mean() == pytest.approx(1) and geometry.mass.std() > 0.01


def test_cotangent_weights_of_the_octahedron():
    points = np.concatenate([np.eye(3), -np.eye(3)])
    faces = [[a, b, c] for a in (0, 3) for b in (1, 4) for c in (2, 5)]
    geometry = connection_laplacian(points, 3, weights="cotan", faces=faces, frames=shapes.sphere_frames(points))
    # Equilateral triangles: cot(60 degrees) for two triangles, halved.
    np.testing.assert_allclose(geometry.weights, 1 / np.sqrt(3), rtol=1e-12)
    np.testing.assert_allclose(geometry.scale, np.sqrt(3) / 2 * 8 / 6, rtol=1e-12)  # the area of a vertex


def test_cotangent_weights_converge():
    points = shapes.sphere(1000)
    geometry = connection_laplacian(points, 16, weights="cotan", faces=ConvexHull(points).simplices, dim=2)
    np.testing.assert_allclose(geometry.physical_eigvals, np.repeat([1, 5], [6, 10]), rtol=0.03)


def test_complex_and_real_solvers_agree():
    points = shapes.torus(1000)
    geometry = connection_laplacian(points, 30, snap_k=True)
    vectors = geometry.eigvecs.reshape(2000, -1)
    residual = geometry.matrix @ vectors - vectors * geometry.eigvals
    assert np.abs(residual).max() < 1e-10 * np.sqrt(2000)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(geometry.matrix.toarray())[: len(geometry.eigvals)], geometry.eigvals, atol=1e-11
    )


def test_numpy_and_torch_and_lists_are_the_same():
    points = shapes.sphere(100)
    expected = connection_laplacian(points, 4).eigvals
    np.testing.assert_array_equal(connection_laplacian(torch.from_numpy(points), 4).eigvals, expected)
    np.testing.assert_array_equal(connection_laplacian(points.tolist(), 4).eigvals, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 201}, "k=201"),
        ({"k": 0}, "k=0"),
        ({"n_neighbors": 0}, "n_neighbors=0"),
        ({"dim": 4}, "dim=4"),
        ({"weights": "heat"}, "weights='heat'"),
        ({"weights": "cotan"}, "faces=None"),
        ({"alpha": 1}, "alpha=1"),
        ({"bandwidth": 1.0}, "bandwidth=1.0"),
        ({"weights": "gaussian", "bandwidth": -1.0}, "bandwidth=-1.0"),
        ({"explained_variance": 0.0}, "explained_variance=0.0"),
        ({"frames": np.ones((100, 3, 2))}, "orthonormal"),
        ({"frames": np.ones((90, 3, 2))}, "frames.shape"),
        ({"edge_index": [[0, 1], [1, 100]]}, "nodes 0 to 100"),
        ({"edge_index": [[0, 1], [1, 2]]}, "components"),
        ({"faces": [[0, 1, 1]]}, "a point twice"),
        ({"faces": [[0, 1, 100]]}, "points 0 to 100"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        connection_laplacian(shapes.sphere(100), **{"k": 4, **arguments})


@pytest.mark.parametrize("n_neighbors", [2, 3, 10])
def test_ties_do_not_tilt_frames(n_neighbors):
    angle = 2 * np.pi * np.arange(40) / 40
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    frames = connection_laplacian(circle, 2, n_neighbors=n_neighbors, dim=1).frames[:, :, 0]
    np.testing.assert_allclose((frames * circle).sum(1), 0, atol=1e-12)


def test_eigenpairs_of_the_graph_laplacian_are_solved_for_once(monkeypatch):
    geometry = connection_laplacian(shapes.sphere(120), 4)
    values, vectors = geometry.scalar_eigenpairs(5)
    monkeypatch.setattr(connection, "lowest_eigenpairs", None)
    again = geometry.scalar_eigenpairs(5)
    assert again[0] is values and again[1] is vectors
    with pytest.raises(TypeError):
        geometry.scalar_eigenpairs(6)


def test_triangles_without_area_are_refused():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0.1], [1, 1, 0], [2, 1, 0.1]])
    faces = np.array([[0, 1, 3], [1, 4, 3], [0, 1, 2], [1, 2, 4], [2, 5, 4]])
    options = {"dim": 2, "n_neighbors": 3, "frame_neighbors": 1, "weights": "cotan"}
    with pytest.raises(ValueError, match=r"faces=.row \[2\] with three points on a line"):
        connection_laplacian(points, 4, faces=faces, **options)
    assert connection_laplacian(points, 4, faces=faces[[0, 1, 3, 4]], **options).weights.max() < 2
