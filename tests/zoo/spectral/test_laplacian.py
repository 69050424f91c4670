from functools import reduce

import networkx
import numpy as np
import pytest
import scipy.sparse
import torch
from torch_geometric.utils import get_laplacian, to_dense_adj

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.spe.graphs import bipartite, complete, cycle, graph, hypercube, path, random_graph, star, union
from zoo.spectral import laplacian as module
from zoo.spectral.laplacian import adjacency, end_of_eigenspace, fix_signs, laplacian, magnitudes, spectra

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def weights_of(data, edge_weight=None):
    return adjacency(data.edge_index, data.num_nodes, edge_weight)


def dense_laplacian(data, normalization, edge_weight=None):
    return torch.from_numpy(laplacian(weights_of(data, edge_weight), normalization).toarray())


@pytest.mark.parametrize("normalization", ["sym", "rw", None])
@pytest.mark.parametrize("data", [cycle(7), star(4), random_graph(12, 3, 0), union(path(4), graph([], 2))])
def test_laplacian_is_torch_geometrics(data, normalization):
    index, weight = get_laplacian(
        data.edge_index, normalization=normalization, dtype=torch.float64, num_nodes=data.num_nodes
    )
    expected = to_dense_adj(index, edge_attr=weight, max_num_nodes=data.num_nodes)[0]
    torch.testing.assert_close(dense_laplacian(data, normalization), expected, **EXACT)


@pytest.mark.parametrize("normalization", ["sym", "rw", None])
def test_weighted_laplacian_is_torch_geometrics(normalization):
    data = random_graph(10, 4, 1)
    half = torch.rand(data.num_edges // 2, dtype=torch.float64) + 0.1
    weight = torch.cat([half, half])
    index, values = get_laplacian(data.edge_index, weight, normalization, torch.float64, data.num_nodes)
    expected = to_dense_adj(index, edge_attr=values, max_num_nodes=data.num_nodes)[0]
    torch.testing.assert_close(dense_laplacian(data, normalization, weight), expected, **EXACT)


@pytest.mark.parametrize(("normalization", "value"), [("sym", 1.0), ("rw", 1.0), (None, 0.0)])
def test_isolated_node(normalization, value):
    assert dense_laplacian(union(path(3), graph([], 1)), normalization)[3, 3] == value


KNOWN = {
    "complete": (complete(6), [0.0] + [6 / 5] * 5),
    "cycle": (cycle(9), sorted(1 - np.cos(2 * np.pi * np.arange(9) / 9))),
    "star": (star(5), [0.0] + [1.0] * 4 + [2.0]),
    "path": (path(7), 1 - np.cos(np.pi * np.arange(7) / 6)),
    "hypercube": (hypercube(4), np.repeat(np.arange(5) / 2, [1, 4, 6, 4, 1])),
    "bipartite": (bipartite(3, 4), [0.0] + [1.0] * 5 + [2.0]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_spectra(name):
    data, expected = KNOWN[name]
    ((eigvals, _),) = spectra(weights_of(data), 1, None)
    torch.testing.assert_close(eigvals, torch.tensor(np.array(expected)), **EXACT)


@pytest.mark.parametrize("normalization", ["sym", "rw", None])
def test_eigenpairs_solve_the_eigenproblem(normalization):
    data = union(random_graph(11, 3, 2), graph([], 1))
    weights = weights_of(data)
    ((eigvals, eigvecs),) = spectra(weights, 1, None, normalization)
    matrix = torch.from_numpy(laplacian(weights, normalization).toarray())
    torch.testing.assert_close(matrix @ eigvecs, eigvecs * eigvals, **EXACT)
    degree = (
        torch.tensor(weights.sum(axis=1)).clamp(min=1).squeeze() if normalization == "rw" else torch.ones(12).double()
    )
    torch.testing.assert_close(eigvecs.T @ (degree[:, None] * eigvecs), torch.eye(12).double(), **EXACT)


def test_graphs_decomposed_together_equal_graphs_alone():
    graphs = [random_graph(13, 3, seed) for seed in range(4)]
    for (values, vectors), one in zip(
        spectra(weights_of(reduce(union, graphs)), 4, None), map(weights_of, graphs), strict=True
    ):
        ((alone_values, alone_vectors),) = spectra(one, 1, None)
        assert torch.equal(values, alone_values)
        assert torch.equal(vectors, alone_vectors)


def test_signs_are_fixed():
    eigvecs = torch.linalg.qr(torch.randn(3, 9, 9).double()).Q
    flipped = eigvecs * torch.where(torch.rand(3, 1, 9) < 0.5, -1.0, 1.0)
    assert not torch.equal(eigvecs, flipped)
    assert torch.equal(fix_signs(eigvecs), fix_signs(flipped))


def test_signs_of_antisymmetric_vectors_do_not_depend_on_rounding():
    vector = torch.tensor([[0.5], [-0.5], [0.5], [-0.5]]).double()
    noise = 1e-13 * torch.tensor([[-1.0], [1.0], [2.0], [3.0]]).double()
    torch.testing.assert_close(fix_signs(vector + noise), fix_signs(-vector + noise), **EXACT)


SPARSE = {
    "random": random_graph(700, 4, 3),
    "cycle": cycle(700),  # every inner eigenvalue is double
    "many equal parts": graph([(7 * g + i, 7 * g + (i + 1) % 7) for g in range(100) for i in range(7)], 700),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_solver_agrees_with_the_dense_one(name, monkeypatch):
    weights = weights_of(SPARSE[name])
    ((values, vectors),) = spectra(weights, 1, 12)
    monkeypatch.setattr(module, "SPARSE_SIZE", 10**6)
    ((dense_values, dense_vectors),) = spectra(weights, 1, 12)
    torch.testing.assert_close(values[:12], dense_values[:12], rtol=0, atol=1e-10)
    end = end_of_eigenspace(dense_values, 12)
    assert end_of_eigenspace(values, 12) == end
    projection, expected = (v[:, :end] @ v[:, :end].T for v in (vectors, dense_vectors))
    torch.testing.assert_close(projection, expected, rtol=0, atol=1e-9)


def test_missed_copies_are_noticed(monkeypatch):
    weights = weights_of(SPARSE["many equal parts"])
    matrix = laplacian(weights)
    assert module.count_below(matrix, 1e-3) == 100  # one eigenvalue 0 per part
    values, vectors = module.all_eigenpairs(matrix.toarray())
    kept = torch.cat([torch.arange(7), torch.arange(100, 150)])  # what Lanczos returns when it misses 93 copies
    monkeypatch.setattr(module, "smallest_eigenpairs", lambda matrix, k: (values[kept][:k], vectors[:, kept[:k]]))
    assert int((spectra(weights, 1, 12)[0][0] < 1e-3).sum()) == 100


def test_a_failure_of_the_sparse_solver_leaves_it_to_the_dense_one(monkeypatch):
    def fail(matrix, k):
        raise scipy.sparse.linalg.ArpackError(3)

    weights = weights_of(SPARSE["cycle"])
    ((expected, _),) = spectra(weights, 1, None)
    monkeypatch.setattr(module, "smallest_eigenpairs", fail)
    ((values, _),) = spectra(weights, 1, 12)
    torch.testing.assert_close(values, expected, **EXACT)


def test_sparse_solver_is_used_and_deterministic(monkeypatch):
    weights = weights_of(SPARSE["random"])
    dense_solver, calls = module.all_eigenpairs, []
    monkeypatch.setattr(module, "all_eigenpairs", lambda matrix: calls.append(1) or dense_solver(matrix))
    first, second = spectra(weights, 1, 8)[0], spectra(weights, 1, 8)[0]
    assert not calls
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_end_of_eigenspace():
    eigvals = torch.tensor([0.0, 1.0, 1.0, 1.0, 2.0]).double()
    assert [end_of_eigenspace(eigvals, k) for k in range(6)] == [0, 1, 4, 4, 4, 5]


@pytest.mark.parametrize("unit", [1e-12, 1e12])
@pytest.mark.parametrize("name", ["cycle", "random"])
def test_the_unit_of_weights_is_only_a_factor(unit, name):
    """Also for the sparse solver, whose shift and whose idea of a repeated eigenvalue are relative."""
    data = SPARSE[name]
    ((expected, vectors),) = spectra(weights_of(data), 1, 12, None)
    scaled = weights_of(data, torch.full((data.num_edges,), unit, dtype=torch.float64))
    ((values, scaled_vectors),) = spectra(scaled, 1, 12, None)
    torch.testing.assert_close(values / unit, expected, rtol=0, atol=1e-9)
    projections = [v @ v.T for v in (scaled_vectors, vectors)]
    torch.testing.assert_close(*projections, rtol=0, atol=1e-9)


def test_magnitudes():
    weights = weights_of(union(union(star(4), cycle(5)), graph([], 5)))
    assert magnitudes(weights, 3, None).tolist() == [4.0, 2.0, 1.0]
    assert magnitudes(weights, 3, "sym").tolist() == [1.0, 1.0, 1.0]
    assert end_of_eigenspace(torch.tensor([0.0, 1e-9, 2e-9]).double(), 1, 1e-9) == 1
    assert end_of_eigenspace(torch.tensor([0.0, 1e-9, 2e-9]).double(), 1) == 3


def test_one_way_edges_of_small_weight_are_refused_too():
    with pytest.raises(ValueError, match="edge_index is directed"):
        adjacency(torch.tensor([[0, 1], [1, 2]]), 3, torch.tensor([1e-14, 1e-14]))


def test_self_loops_are_dropped_and_repeated_edges_add_up():
    data = path(3)
    doubled = torch.cat([data.edge_index, data.edge_index, torch.tensor([[0], [0]])], dim=1)
    expected = 2 * weights_of(data).toarray()
    assert (adjacency(doubled, 3).toarray() == expected).all()


@pytest.mark.parametrize(
    ("edges", "weight", "message"),
    [
        ([[0, 1], [1, 2]], None, "edge_index is directed.*to_undirected"),
        ([[0, 1], [1, 0]], [1.0, 2.0], "edge_index is directed"),
        ([[0, 1], [1, 0]], [-1.0, -1.0], "edge_weight"),
        ([[0, 1], [1, 0]], [1.0], "edge_weight"),
        ([[0, 1], [1, 0]], [float("nan")] * 2, "edge_weight"),
        ([[0, 9], [9, 0]], None, "edge_index holds nodes 0..9; allowed: 0..2"),
    ],
)
def test_bad_graphs_are_refused(edges, weight, message):
    with pytest.raises(ValueError, match=message):
        adjacency(torch.tensor(edges), 3, None if weight is None else torch.tensor(weight))


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="normalization='symmetric'"):
        laplacian(scipy.sparse.identity(3, format="csr"), "symmetric")


def test_agrees_with_networkx():
    data = random_graph(15, 4, 5)
    nx_graph = networkx.Graph(data.edge_index.T.tolist())
    expected = networkx.normalized_laplacian_matrix(nx_graph, nodelist=range(15)).toarray()
    torch.testing.assert_close(dense_laplacian(data, "sym"), torch.from_numpy(expected), **EXACT)
