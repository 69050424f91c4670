"""SPE: a training step of the published ZINC network, ours against the layout of the published implementation."""

from __future__ import annotations

import networkx
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch_geometric.data import Batch, Data

from datamodules.graphs import ZINC
from tests.reference.spe_loop import looped_network
from trainers.benchmark import Case, Variant
from zoo.spe import SPEGINE
from zoo.spectral.transforms import AddLaplacianSpectrum


def molecules(count: int) -> Batch:
    """Return the first molecules of the official ZINC test set."""
    datamodule = ZINC(num_eigs=37, batch_size=count)
    datamodule.prepare_data()
    datamodule.setup("test")
    return next(iter(datamodule.test_dataloader()))


def random_graphs(count: int, num_nodes: int, num_eigs: int) -> Batch:
    """Return random 3-regular graphs, all of one size: no padding to save."""
    generator = torch.Generator().manual_seed(0)
    graphs = []
    for seed in range(count):
        edges = torch.tensor(list(networkx.random_regular_graph(3, num_nodes, seed=seed).edges)).T
        graphs.append(
            Data(
                x=torch.zeros(num_nodes, dtype=torch.long),
                edge_index=torch.cat([edges, edges.flip(0)], dim=1),
                edge_attr=torch.zeros(2 * edges.size(1), dtype=torch.long),
                y=torch.randn(1, 1, generator=generator),
            )
        )
    return Batch.from_data_list(AddLaplacianSpectrum(num_eigs).transform_many(graphs))


def variant(name: str, network: nn.Module, batch: Batch) -> Variant:
    """Return forward and backward pass in training mode; what must be equal is the prediction in evaluation mode."""

    def step() -> None:
        network.train()
        l1_loss(network(batch), batch.y.float()).backward()
        network.zero_grad()

    @torch.no_grad()
    def output() -> Tensor:
        return network.eval()(batch)

    return Variant(name, step, output)


def cases() -> list[Case]:
    """Return the workloads."""
    result = []
    for name, batch, num_eigs in (
        ("64 ZINC molecules, d 37", molecules(64), 37),
        ("4 random graphs, n 100, d 32", random_graphs(4, 100, 32), 32),
    ):
        torch.manual_seed(0)
        network = SPEGINE(num_eigs=num_eigs, random_epsilon=True)
        looped = variant("published layout", looped_network(network), batch)
        result.append(Case(f"SPE-GINE step, {name}", variant("ours", network, batch), [looped]))
    return result
