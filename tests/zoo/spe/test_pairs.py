import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.spe.graphs import batch_of, cycle, graph, random_graph
from zoo.spe.pairs import NodePairs

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
GRAPHS = [random_graph(7, 3, 0), graph([], 1), cycle(4), graph([], 3), random_graph(7, 4, 1)]


def layout(start=0, stop=None):
    batch = batch_of(*GRAPHS)
    return NodePairs(batch.edge_index, batch.ptr, start, stop), batch


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 3), (2, 5), (6, 9)])
def test_rows_are_the_pairs(start, stop):
    pairs, batch = layout(start, stop)
    expected = [
        (int(begin) + i, k)
        for begin, size in zip(batch.ptr, batch.ptr.diff().tolist(), strict=False)
        for i in range(size)
        for k in range(size)[start:stop]
    ]
    assert list(zip(pairs.node.tolist(), pairs.column.tolist(), strict=True)) == expected
    assert torch.equal(pairs.row_of(pairs.node, pairs.partner), torch.arange(pairs.num_pairs))


@pytest.mark.parametrize(("start", "stop"), [(0, None), (2, 5)])
def test_sums_against_loops(start, stop):
    pairs, batch = layout(start, stop)
    x = torch.randn(pairs.num_pairs, 3, dtype=torch.float64)
    scale = torch.tensor(1.7, dtype=torch.float64)
    row = {pair: r for r, pair in enumerate(zip(pairs.node.tolist(), pairs.column.tolist(), strict=True))}
    neighbors, columns = scale * x, torch.zeros(batch.num_nodes, 3, dtype=torch.float64)
    for (i, k), r in row.items():
        columns[i] += x[r]
        for j in batch.edge_index[0, batch.edge_index[1] == i].tolist():
            neighbors[r] += x[row[j, k]]
    torch.testing.assert_close(pairs.sum_neighbors(x, scale), neighbors, **EXACT)
    torch.testing.assert_close(pairs.sum_columns(x), columns, **EXACT)


def test_gradients_of_first_and_second_order():
    pairs, _ = layout()
    x = torch.randn(pairs.num_pairs, 2, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    for function, inputs in ((pairs.sum_neighbors, (x, scale)), (pairs.sum_columns, (x,))):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


def test_repeated_edges_count_twice():
    data = cycle(4)
    doubled = data.edge_index.repeat(1, 2)
    x, zero = torch.randn(16, 2, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    once, twice = (
        NodePairs(edges, torch.tensor([0, 4])).sum_neighbors(x, zero) for edges in (data.edge_index, doubled)
    )
    torch.testing.assert_close(twice, 2 * once, **EXACT)


def test_directed_edges_are_refused():
    with pytest.raises(ValueError, match="edge_index is directed"):
        NodePairs(torch.tensor([[0, 1], [1, 2]]), torch.tensor([0, 3]))
