import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.spe.graphs import batch_of, cycle, graph, random_graph
from zoo.spe.encoding import pair_tensor
from zoo.spe.pairs import NodePairs

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
GRAPHS = [random_graph(7, 3, 0), graph([], 1), cycle(4), graph([], 3), random_graph(7, 4, 1)]


def layout(start=0, stop=None, padded=False):
    batch = batch_of(*GRAPHS)
    return NodePairs(batch.edge_index, batch.ptr, start, stop, padded), batch


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


def test_padded_rows_are_those_of_the_largest_graph():
    pairs, batch = layout(padded=True)
    assert pairs.num_pairs == 7 * batch.num_nodes
    z = torch.randn(len(GRAPHS), batch.eigvals.size(1), 3, dtype=torch.float64)
    w = pair_tensor(z, batch.eigvecs, pairs).view(-1, 7, 3)
    valid = torch.arange(7) < batch.ptr.diff()[pairs.graph][:, None]
    torch.testing.assert_close(w[valid], pair_tensor(z, batch.eigvecs, layout()[0]), **EXACT)
    assert not w[~valid].any()
    x, one = torch.randn_like(w), torch.tensor(1.0, dtype=torch.float64)
    dense = torch.zeros(batch.num_nodes, batch.num_nodes, dtype=torch.float64)
    dense[batch.edge_index[0], batch.edge_index[1]] = 1
    expected = x + torch.einsum("ij,jkc->ikc", dense, x)
    torch.testing.assert_close(pairs.sum_neighbors(x.flatten(0, 1), one).view_as(x), expected, **EXACT)
    torch.testing.assert_close(pairs.sum_columns(x.flatten(0, 1)), (x * valid[:, :, None]).sum(1), **EXACT)


class Waits(TorchDispatchMode):
    """Record the operations whose result's size is only known to the device, for which the host has to wait."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.__name__.partition(".")[0]
        by_mask = name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        of_unknown_length = name == "repeat_interleave" and kwargs.get("output_size") is None
        if by_mask or of_unknown_length or name in ("_local_scalar_dense", "nonzero", "_unique2", "bincount", "equal"):
            self.found.append(name)
        return function(*args, **kwargs)


def test_no_operation_waits_for_the_device_to_tell_a_size():
    batch = batch_of(*GRAPHS)
    with Waits() as waits:
        pairs = NodePairs(batch.edge_index, batch.ptr)
        w = pair_tensor(torch.ones(len(GRAPHS), batch.eigvals.size(1), 2).double(), batch.eigvecs, pairs)
        pairs.sum_columns(pairs.sum_neighbors(w, torch.ones(()).double()))
    assert waits.found == []
    with Waits() as waits:
        batch.ptr.diff().unique(), w[w > 0]
    assert waits.found == ["_unique2", "index"]


@pytest.mark.parametrize("padded", [False, True])
def test_gradients_of_first_and_second_order(padded):
    pairs, _ = layout(padded=padded)
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
