import time

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from datamodules.graphs.batches import collate_graphs
from datamodules.graphs.tables import undirected_graph
from tests.datamodules.graphs.toys import random_graphs
from zoo.spectral.transforms import AddLaplacianSpectrum


@pytest.fixture(scope="module")
def graphs():
    return AddLaplacianSpectrum(8).transform_many(random_graphs(12))


def assert_equal(left, right):
    assert set(left.keys()) == set(right.keys())
    for key in left.keys():  # noqa: SIM118 - a Data iterates over pairs
        assert torch.equal(left[key], right[key]), key


def test_the_batch_is_torch_geometrics(graphs):
    batch, expected = collate_graphs(graphs), Batch.from_data_list(graphs)
    assert_equal(batch, expected)
    assert type(batch) is type(expected)
    assert batch.num_graphs == 12 and batch.num_nodes == expected.num_nodes


def test_the_batch_comes_apart_again(graphs):
    for graph, back in zip(graphs, collate_graphs(graphs).to_data_list(), strict=True):
        assert_equal(graph, back)


def test_graphs_are_not_changed(graphs):
    before = [graph.edge_index.clone() for graph in graphs]
    collate_graphs(graphs)
    collate_graphs(graphs[:1]).edge_index.fill_(0)
    assert all(map(torch.equal, before, (graph.edge_index for graph in graphs)))


def test_targets_may_be_absent(graphs):
    bare = [graph.clone() for graph in graphs[:3]]
    for graph in bare:
        del graph.y
    assert "y" not in collate_graphs(bare)


def test_spectra_of_different_width_are_padded():
    graphs = AddLaplacianSpectrum(None).transform_many(random_graphs(5))
    batch = collate_graphs(graphs)
    assert batch.eigvals.shape == (5, max(len(graph.x) for graph in graphs))
    assert batch.num_eigs.tolist() == [len(graph.x) for graph in graphs]
    start = batch.ptr[1]
    assert torch.equal(batch.eigvecs[:start, : len(graphs[0].x)], graphs[0].eigvecs)
    assert not batch.eigvecs[:start, len(graphs[0].x) :].any()


def test_edges_stay_within_their_graph(graphs):
    batch = collate_graphs(graphs)
    assert torch.equal(batch.batch[batch.edge_index[0]], batch.batch[batch.edge_index[1]])


def test_faster_than_torch_geometric():
    # A step on a GPU takes a few milliseconds; collation must not become the longer part.
    graphs = AddLaplacianSpectrum(8).transform_many(random_graphs(128))

    def fastest(collate):
        durations = []
        for _ in range(20):
            start = time.process_time()
            collate(graphs)
            durations.append(time.process_time() - start)
        return min(durations)

    assert fastest(collate_graphs) < fastest(Batch.from_data_list)


def test_an_isolated_node_and_a_graph_without_edges(graphs):
    empty = undirected_graph(np.zeros(3), np.zeros((0, 2)), np.zeros(0))
    empty.y = torch.zeros(1, 1)
    batch = collate_graphs([*graphs[:1], *AddLaplacianSpectrum(8).transform_many([empty])])
    assert batch.batch[-3:].tolist() == [1, 1, 1]
