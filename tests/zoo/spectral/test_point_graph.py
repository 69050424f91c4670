import networkx
import numpy as np
import pytest

from datamodules.surfaces import shapes
from tests.paths import SHARED
from zoo.spectral.point_graph import check_points, connect, farthest_points, nearest_neighbors, neighbor_graph


def grid(columns, rows):
    return np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), -1).reshape(-1, 2).astype(float)


def edges_by_hand(points, number):
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    last = np.sort(distances, axis=1)[:, number - 1 : number]
    near = distances <= last * (1 + 1e-9)
    return np.argwhere(near | near.T).T


@pytest.mark.parametrize("points", [shapes.sphere(80), grid(7, 6), np.random.default_rng(0).random((50, 5))])
@pytest.mark.parametrize("number", [1, 4, 10])
def test_graph_is_the_union_of_all_nearest(points, number):
    np.testing.assert_array_equal(neighbor_graph(points, number), edges_by_hand(points, number))


def test_ties_depend_on_no_order():
    points = grid(9, 9)
    order = np.random.default_rng(1).permutation(len(points))
    edges, shuffled = neighbor_graph(points, 3), neighbor_graph(points[order], 3)
    assert {*map(tuple, order[shuffled].T)} == {*map(tuple, edges.T)}
    without = neighbor_graph(points, 3, ties="index")
    assert without.shape[1] < edges.shape[1]


def test_everyone_may_be_a_neighbour():
    assert neighbor_graph(shapes.sphere(6), 5).shape == (2, 30)


def test_neighbours_ascend_and_leave_out_the_point():
    points = shapes.sphere(60)
    indices, distances = nearest_neighbors(points, 7)
    assert (np.diff(distances, axis=1) >= -1e-9).all() and (indices != np.arange(60)[:, None]).all()
    np.testing.assert_allclose(np.linalg.norm(points[indices] - points[:, None], axis=2), distances, rtol=1e-12)


def test_joining_is_a_minimum_spanning_tree_of_the_components():
    generator = np.random.default_rng(2)
    centres = np.array([[0, 0], [10, 0], [0, 25], [60, 3]])
    points = np.concatenate([centre + generator.random((12, 2)) for centre in centres])
    edges = neighbor_graph(points, 3)
    joined = connect(points, edges, "join")
    assert joined.shape[1] == edges.shape[1] + 2 * 3
    full = networkx.Graph()
    for i in range(48):
        for j in range(i):
            inside = i // 12 == j // 12
            full.add_edge(i, j, weight=0.0 if inside else float(np.linalg.norm(points[i] - points[j])))
    tree = networkx.minimum_spanning_tree(full)
    expected = {tuple(sorted(edge)) for edge in tree.edges if edge[0] // 12 != edge[1] // 12}
    added = {*map(tuple, joined.T)} - {*map(tuple, edges.T)}
    assert {tuple(sorted(edge)) for edge in added} == expected


def test_disconnected_clouds_are_refused_or_kept():
    points = np.concatenate([shapes.sphere(30), shapes.sphere(20) + 10])
    edges = neighbor_graph(points, 4)
    with pytest.raises(ValueError, match=r"2 components, of 30, 20 points; give more n_neighbors"):
        connect(points, edges)
    assert connect(points, edges, "keep") is edges


def test_farthest_points_are_apart_and_cover():
    points = np.random.default_rng(3).random((400, 2))
    chosen = farthest_points(points, 0.1)
    diameter = np.linalg.norm(points[:, None] - points, axis=2).max()
    apart = np.linalg.norm(points[chosen][:, None] - points[chosen], axis=2) + np.eye(len(chosen)) * 9
    assert chosen[0] == 0 and apart.min() >= 0.1 * diameter
    assert np.linalg.norm(points[:, None] - points[chosen], axis=2).min(1).max() < 0.1 * diameter


@pytest.mark.skipif(SHARED is None, reason="the mesh of the bunny is not there")
@pytest.mark.parametrize(("spacing", "number"), [(0.01, 2453), (0.015, 2176), (0.03, 783), (0.05, 308), (0.08, 120)])
def test_sampled_bunny_has_the_published_sizes(spacing, number):
    lines = (SHARED / "data/rvgp/bunny.obj").read_text().splitlines()
    points = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], dtype=float)
    assert len(farthest_points(points, spacing)) == number


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.array([[0.0, np.nan], [1, 2]]), "NaN or infinity in 1 rows, first in row 0"),
        (np.zeros(3), "points.shape=.*a matrix"),
        (np.array([["a"]]), "real numbers"),
    ],
)
def test_bad_points_are_named(points, message):
    with pytest.raises(ValueError, match=message):
        check_points("points", points)


def test_coinciding_points_are_named():
    points = np.concatenate([shapes.sphere(20), shapes.sphere(20)[3:4]])
    with pytest.raises(ValueError, match="2 rows that occur more than once, first row 3"):
        neighbor_graph(points, 4)


def test_too_few_points():
    with pytest.raises(ValueError, match="more than 10"):
        neighbor_graph(shapes.sphere(8), 10, ties="index")
