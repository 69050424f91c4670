import pytest
import torch

from tests.tolerances import tolerance
from tests.zoo.spe.graphs import batch_of, cycle, graph, random_graph
from zoo.spe.pairs import NodePairs
from zoo.spe.rho import GINRho, MLPRho

CLOSE = tolerance(torch.float64)


def example():
    batch = batch_of(random_graph(7, 3, 0), cycle(4), graph([], 2))
    pairs = NodePairs(batch.edge_index, batch.ptr)
    return torch.randn(pairs.num_pairs, 3, dtype=torch.float64), pairs, batch


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("training", [False, True])
def test_gin_by_its_definition(norm, layers, training):
    """Column by column X <- MLP((1 + eps) X + A X); the network joins linear maps and must not differ."""
    w, pairs, _ = example()
    rho = GINRho(3, 8, 5, layers, norm, random_epsilon=True).double().train(training)
    x = w
    for epsilon, mlp in zip(rho.epsilon, rho.mlps, strict=True):
        x = mlp(pairs.sum_neighbors(x, 1 + epsilon))
    expected = pairs.sum_columns(x)
    torch.testing.assert_close(rho(w, pairs), expected, **CLOSE)
    gradients = [torch.autograd.grad(output.square().sum(), rho.parameters()) for output in (rho(w, pairs), expected)]
    for joined, separate in zip(*gradients, strict=True):
        torch.testing.assert_close(joined, separate, **CLOSE)


def test_norm_between_layers_and_dropout():
    w, pairs, _ = example()
    rho = GINRho(3, 8, 5, 3, batch_norm=True, dropout=0.5).double()
    assert len(rho.norms) == 2
    assert not torch.equal(rho(w, pairs), rho(w, pairs))  # dropout is alive
    rho.eval()
    assert torch.equal(rho(w, pairs), rho(w, pairs))


def test_epsilon_starts_at_zero_or_random():
    assert not GINRho(3, 8, 5, 3).epsilon.any()
    assert GINRho(3, 8, 5, 3, random_epsilon=True).epsilon.all()


def test_mlp_is_a_sum_over_columns():
    w, pairs, batch = example()
    rho = MLPRho(3, 8, 5, layers=3, norm="layer", dropout=0.0).double()
    expected = torch.stack([rho.mlp(w[pairs.node == node]).sum(0) for node in range(batch.num_nodes)])
    torch.testing.assert_close(rho(w, pairs), expected, **CLOSE)
