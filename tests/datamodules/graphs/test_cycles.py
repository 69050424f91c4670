"""The counter against known graphs, brute force, trace formulas and an independent file."""

from itertools import combinations, permutations

import networkx as nx
import numpy as np
import pytest

from datamodules.graphs.cycles import LENGTHS, node_cycle_counts
from tests.paths import SHARED


def counts_of(graph: nx.Graph) -> list[int]:
    edges = np.array(graph.edges).reshape(-1, 2)
    through_node = node_cycle_counts(edges, graph.number_of_nodes())
    assert (through_node.sum(0) % LENGTHS == 0).all()
    return (through_node.sum(0) // LENGTHS).tolist()


def random_graphs() -> list[nx.Graph]:
    return [
        nx.gnp_random_graph(n, p, seed=seed) for seed, (n, p) in enumerate([(7, 0.5), (8, 0.4), (9, 0.6), (12, 0.3)])
    ]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (nx.complete_graph(4), [4, 3, 0, 0]),
        (nx.complete_graph(6), [20, 45, 72, 60]),
        (nx.cycle_graph(5), [0, 0, 1, 0]),
        (nx.cycle_graph(6), [0, 0, 0, 1]),
        (nx.petersen_graph(), [0, 0, 12, 10]),
        (nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3)), [2, 0, 0, 0]),
        (nx.path_graph(6), [0, 0, 0, 0]),
        (nx.empty_graph(3), [0, 0, 0, 0]),
    ],
)
def test_known_graphs(graph, expected):
    assert counts_of(graph) == expected


@pytest.mark.parametrize("graph", random_graphs()[:3])
def test_brute_force_over_all_node_tuples(graph):
    expected = np.zeros((len(graph), len(LENGTHS)), dtype=int)
    for column, length in enumerate(LENGTHS):
        for nodes in combinations(graph, length):
            first, *rest = nodes
            orders = [order for order in permutations(rest) if order[0] < order[-1]]
            number = sum(nx.is_path(graph, [first, *order, first]) for order in orders)
            expected[list(nodes), column] += number
    assert expected.any()
    np.testing.assert_array_equal(node_cycle_counts(np.array(graph.edges), len(graph)), expected)


@pytest.mark.parametrize("graph", random_graphs())
def test_networkx(graph):
    lengths = [len(cycle) for cycle in nx.simple_cycles(graph, length_bound=6)]
    assert counts_of(graph) == [lengths.count(length) for length in LENGTHS]


@pytest.mark.parametrize("graph", random_graphs())
def test_trace_formulas(graph):
    adjacency = nx.to_numpy_array(graph)
    degrees = adjacency.sum(0)
    power = [np.linalg.matrix_power(adjacency, exponent) for exponent in range(6)]
    three = np.trace(power[3]) / 6
    four = (np.trace(power[4]) - 2 * (degrees**2).sum() + degrees.sum()) / 8
    five = (np.trace(power[5]) - 5 * np.trace(power[3]) - 5 * ((degrees - 2) * np.diag(power[3])).sum()) / 10
    assert counts_of(graph)[:3] == [three, four, five]


def test_renumbering_nodes_renumbers_the_counts():
    graph = random_graphs()[3]
    edges, order = np.array(graph.edges), np.random.default_rng(0).permutation(len(graph))
    counts = node_cycle_counts(edges, len(graph))
    np.testing.assert_array_equal(node_cycle_counts(order[edges], len(graph))[order], counts)


@pytest.mark.skipif(SHARED is None, reason="the published graphs are not at hand")
def test_published_graphs():
    with np.load(SHARED / "data" / "spe" / "substructure_count.npz") as file:
        nodes, edges = int(file["num_nodes"][:500].sum()), int(file["num_edges"][:500].sum())
        first_node = np.cumsum(file["num_nodes"][:500], dtype=int) - file["num_nodes"][:500]
        global_edges = file["edge_uv"][:edges] + np.repeat(first_node, file["num_edges"][:500])[:, None]
        expected = file["node_cycle_counts"][:nodes]
    np.testing.assert_array_equal(node_cycle_counts(global_edges, nodes), expected)
