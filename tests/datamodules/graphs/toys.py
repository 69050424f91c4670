"""Small graphs to test with."""

import numpy as np
import torch
from torch_geometric.data import Data

from datamodules.graphs.tables import undirected_graph


def random_graphs(number: int, seed: int = 0) -> list[Data]:
    generator = np.random.default_rng(seed)
    graphs = []
    for _ in range(number):
        num_nodes = int(generator.integers(4, 9))
        edges = np.argwhere(np.triu(generator.random((num_nodes, num_nodes)) < 0.5, 1))
        graph = undirected_graph(generator.integers(0, 5, num_nodes), edges, generator.integers(1, 4, len(edges)))
        graph.y = torch.from_numpy(generator.normal(size=(1, 1)))
        graphs.append(graph)
    return graphs
