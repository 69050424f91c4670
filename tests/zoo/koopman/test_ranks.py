"""Losses and their gradients are those of the global batch, however processes share it."""

import pytest
import torch
import torch.multiprocessing
from torch import distributed

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import random_snapshots
from tests.zoo.koopman.test_losses import LOSSES
from zoo.koopman.autoencoder import LuschAutoencoder
from zoo.koopman.autoencoder_loss import autoencoder_errors
from zoo.koopman.ranks import largest_over_ranks

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
ROWS = (9, 31)  # of the two ranks: not the same number


def gradients(loss, psi_x, psi_y, weights):
    """Return a loss and its gradient with respect to a linear map that both dictionaries share."""
    generator = torch.Generator().manual_seed(5)
    parameters = torch.randn(6, 4, dtype=psi_x.dtype, generator=generator, requires_grad=True)
    value = loss(psi_x @ parameters, psi_y @ parameters, weights)
    value.backward()
    return value.detach(), parameters.grad


def errors_of_autoencoder(states, weights):
    torch.manual_seed(0)
    network = LuschAutoencoder(2, pairs=1, real=1, widths=(5,), auxiliary_widths=(4,), dt=0.1).double()
    errors = autoencoder_errors(network, states, 2, weights)
    errors.total(0.1, 0.3).backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    return errors.total(0.1, 0.3).detach(), gradient


def example():
    states = torch.randn(40, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    return {
        "real": random_snapshots(dtype=torch.float64),
        "complex": random_snapshots(),
        "states": (states, random_snapshots()[2]),
    }


def everything(part):
    data = {name: [entry[part] for entry in entries] for name, entries in example().items()}
    results = {
        f"{name} {kind}": gradients(loss, *data[kind]) for name, loss in LOSSES.items() for kind in ("real", "complex")
    }
    unweighted = gradients(lambda x, y, w: LOSSES["whitened_residual"](x, y, None), *data["real"])
    return {**results, "unweighted": unweighted, "autoencoder": errors_of_autoencoder(*data["states"])}


def run_rank(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    try:
        results = everything(slice(0, ROWS[0]) if rank == 0 else slice(ROWS[0], None))
        tie = torch.tensor([2.0, 3.0][rank], requires_grad=True)
        largest = largest_over_ranks(tie)
        largest.backward()
        results["largest"] = (largest.detach(), tie.grad)
        torch.save(results, f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()


@pytest.mark.timeout(120)
def test_two_processes_have_the_loss_and_the_mean_gradient_of_one(tmp_path):
    torch.multiprocessing.start_processes(run_rank, args=(str(tmp_path),), nprocs=2, start_method="fork")
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    (one, nothing), (same, two) = first.pop("largest"), second.pop("largest")
    assert (one, same, nothing, two) == (3.0, 3.0, 0.0, 2.0)
    for name, (value, gradient) in everything(slice(None)).items():
        torch.testing.assert_close(first[name][0], value, **EXACT, msg=lambda text, name=name: f"{name}: {text}")
        assert torch.equal(first[name][0], second[name][0]), name
        mean = (first[name][1] + second[name][1]) / 2
        error, scale = (mean - gradient).abs().max(), gradient.abs().max()
        assert scale > 1e-6, name
        assert error < 1e-11 * scale, f"{name}: {error / scale:.2g}"


def test_losses_of_shares_are_not_shares_of_the_loss():
    """What would be trained if every process took the loss of its own rows."""
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    loss = LOSSES["whitened_residual"]
    own = [loss(psi_x[part], psi_y[part], weights[part]) for part in (slice(0, 20), slice(20, None))]
    assert float(sum(own)) / 2 < 0.95 * float(loss(psi_x, psi_y, weights))
