import pytest
import torch
import torch.multiprocessing
from torch import distributed, nn

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, synchronize

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
ROWS = (5, 12)  # of the two ranks: not the same number


def example():
    generator = torch.Generator().manual_seed(0)
    rows = 3 + torch.randn(sum(ROWS), 4, generator=generator, dtype=torch.float64)
    targets = torch.randn(sum(ROWS), 4, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, generator=generator, dtype=torch.float64)
    return rows, targets, weight


def steps(norm, rows, targets):
    """Two training passes; return outputs, gradients and buffers. The loss is a sum: ranks add up to one process."""
    rows = rows.clone().requires_grad_()
    for factor in (1.0, 2.0):
        output = norm(factor * rows)
        ((output - targets) ** 3).sum().backward()
    return {
        "output": output.detach(),
        "rows": rows.grad,
        "weight_gradient": norm.weight.grad,
        "bias_gradient": norm.bias.grad,
        **norm.state_dict(),
    }


def make(kind):
    norm = kind(4).double()
    norm.weight.data.copy_(example()[2])
    return norm


def seen_as_rows(norm):
    """Let a norm of images or volumes see rows: each is an image of one pixel, or a volume of one voxel."""
    forward, axes = norm.forward, {BatchNorm1d: 0, BatchNorm2d: 2, BatchNorm3d: 3}[type(norm)]
    norm.forward = lambda rows: forward(rows[(..., *[None] * axes)]).flatten(1)
    return norm


def run_rank(rank, folder, kind):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        rows, targets, _ = example()
        part = slice(0, ROWS[0]) if rank == 0 else slice(ROWS[0], None)
        norm = seen_as_rows(make(kind))
        results = steps(norm, rows[part], targets[part])
        results["evaluated"] = norm.eval()(rows[part]).detach()
        torch.save(results, f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [BatchNorm1d, BatchNorm2d, BatchNorm3d])
def test_two_processes_equal_one(tmp_path, kind):
    torch.multiprocessing.start_processes(run_rank, args=(str(tmp_path), kind), nprocs=2, start_method="fork")
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    rows, targets, _ = example()
    norm = make(nn.BatchNorm1d)
    expected = steps(norm, rows, targets)
    expected["evaluated"] = norm.eval()(rows).detach()
    for name in ("output", "rows", "evaluated"):
        torch.testing.assert_close(torch.cat([results[name] for results in ranks]), expected[name], **EXACT)
    for name in ("weight_gradient", "bias_gradient"):
        torch.testing.assert_close(ranks[0][name] + ranks[1][name], expected[name], **EXACT)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(ranks[0][name], expected[name], **EXACT)
        assert torch.equal(ranks[0][name], ranks[1][name])


def test_synchronising_a_network_changes_nothing_on_one_process():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.BatchNorm1d(16)).double()
    images = torch.randn(5, 3, 4, 4, dtype=torch.float64)
    before, names = network(images), list(network.state_dict())
    assert synchronize(network) is network
    assert [type(module) for module in network][1::2] == [BatchNorm2d, BatchNorm1d]
    assert list(network.state_dict()) == names
    assert torch.equal(network(images), before)


def test_norms_of_volumes_are_synchronised_and_change_nothing_on_one_process():
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2)).double()
    volumes = torch.randn(3, 1, 4, 4, 4, dtype=torch.float64)
    before = network(volumes)
    assert type(synchronize(network)[1]) is BatchNorm3d and torch.equal(network(volumes), before)


def test_batch_statistics_of_one_rank_are_not_those_of_both():
    """Negative control for the test above."""
    rows, _, _ = example()
    alone = make(nn.BatchNorm1d)(rows[: ROWS[0]])
    assert not torch.allclose(alone, make(nn.BatchNorm1d)(rows)[: ROWS[0]], atol=1e-3)


def test_one_process_is_torchs():
    rows, targets, _ = example()
    ours, theirs = (steps(make(kind), rows, targets) for kind in (BatchNorm1d, nn.BatchNorm1d))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
