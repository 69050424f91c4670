import subprocess
import sys

import pytest
import torch
from torch_geometric.data import Batch

from tests.paths import REPOSITORY
from tests.reference.spe_loop import looped_network
from tests.tolerances import tolerance
from tests.zoo.spe.graphs import batch_of, cycle, molecules, path, random_graph
from tests.zoo.spe.test_properties import settled
from zoo.spe import SPE, SPEGINE
from zoo.spe.encoding import pair_tensor
from zoo.spe.normalization import BatchNorm1d
from zoo.spe.pairs import NodePairs
from zoo.spe.phi import PHIS
from zoo.spectral.transforms import AddLaplacianSpectrum

CLOSE = tolerance(torch.float64)
SMALL = {"phi_channels": 4, "phi_width": 8, "rho_layers": 2, "rho_width": 8, "num_eigs": 10}
GRAPHS = [random_graph(n, 3, n) for n in (9, 5, 12, 9, 20)]


@pytest.mark.parametrize("inject", ["input", "every_layer"])
def test_equals_the_published_layout(inject):
    network = settled(SPEGINE(width=16, num_layers=2, inject=inject, random_epsilon=True, **{**SMALL, "num_eigs": 37}))
    batch = batch_of(*molecules(32), k=37)
    torch.testing.assert_close(network(batch), looped_network(network)(batch), **CLOSE)


def training_step(network, batch):
    """Predictions in training mode, gradients, and the running statistics of rho."""
    output = network(batch)
    parameters = [network.atoms.weight, network.embed_pe.weight, *network.spe.rho.mlps.parameters()]
    gradients = torch.autograd.grad((output**2).sum(), parameters)
    return [output, *gradients, *network.spe.rho.mlps.state_dict().values()]


@pytest.mark.parametrize("official_padding", [False, True])
def test_equals_the_published_layout_in_training(official_padding):
    arguments = {**SMALL, "num_eigs": 37, "official_padding": official_padding}
    network = settled(SPEGINE(width=16, num_layers=2, random_epsilon=True, **arguments)).train()
    batch = batch_of(*molecules(32), k=37)
    assert batch.ptr.diff().unique().numel() > 5
    expected, actual = training_step(looped_network(network), batch), training_step(network, batch)
    if official_padding:
        for theirs, ours in zip(expected, actual, strict=True):
            torch.testing.assert_close(ours, theirs, **CLOSE)
    else:
        assert not torch.allclose(expected[0], actual[0], rtol=1e-3)


def test_official_padding_changes_nothing_in_evaluation():
    whole, padded = settled(SPE(**SMALL)), SPE(**SMALL, official_padding=True).double().eval()
    padded.load_state_dict(whole.state_dict())
    batch = batch_of(*GRAPHS, k=10)
    assert torch.equal(padded(batch), whole(batch))


@pytest.mark.parametrize("column_chunk", [1, 4, 7, 20, 100])
@pytest.mark.parametrize("rho", ["gin", "mlp"])
def test_chunks_change_nothing(column_chunk, rho):
    arguments = {**SMALL, "rho": rho, "rho_norm": "layer"}
    whole = SPE(**arguments).double()
    chunked = SPE(**arguments, column_chunk=column_chunk).double()
    chunked.load_state_dict(whole.state_dict())
    batch = batch_of(*GRAPHS, k=10)
    torch.testing.assert_close(chunked(batch), whole(batch), **CLOSE)
    gradients = [torch.autograd.grad(spe(batch).square().sum(), spe.parameters()) for spe in (whole, chunked)]
    for expected, actual in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, expected, **CLOSE)


def test_chunks_with_batch_statistics_only_in_evaluation():
    batch = batch_of(*GRAPHS, k=10)
    chunked = settled(SPE(**SMALL, column_chunk=4))
    whole = SPE(**SMALL).double().eval()
    whole.load_state_dict(chunked.state_dict())
    torch.testing.assert_close(chunked(batch), whole(batch), **CLOSE)
    with pytest.raises(ValueError, match=r"column_chunk=4.*rho_norm='layer'"):
        chunked.train()(batch)
    with pytest.raises(ValueError, match="column_chunk=4"):
        SPE(**SMALL, rho_norm="none", rho_batch_norm=True, column_chunk=4).double()(batch)


ENCODE_AND_DIFFERENTIATE = """
import resource, sys, torch
from tests.zoo.spe.graphs import random_graph
from zoo.spe import SPE
from zoo.spectral.transforms import AddLaplacianSpectrum
num_nodes, num_eigs, arguments = eval(sys.argv[1])
data = AddLaplacianSpectrum(num_eigs)(random_graph(num_nodes, 4, 0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
spe = SPE(num_eigs, **arguments)
spe(data).square().mean().backward()
assert all(parameter.grad is not None for parameter in spe.parameters())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(before / 2**20, after / 2**20)
"""


def memory_of(num_nodes, num_eigs, **arguments):
    """Return the memory that a process needs before and after it encodes a graph and differentiates, in GiB."""
    command = [sys.executable, "-W", "ignore", "-c", ENCODE_AND_DIFFERENTIATE, repr((num_nodes, num_eigs, arguments))]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return map(float, run.stdout.split())


def test_memory_does_not_grow_with_the_number_of_chunks():
    arguments = {"phi_channels": 2, "rho_width": 32, "rho_norm": "none", "column_chunk": 8}
    before, after = memory_of(600, 32, **arguments)
    assert after - before < 0.2  # all columns at once take 1.2, the graphs of chunks that live on 0.9


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_published_rho_on_2000_nodes_in_8_gib():
    _, after = memory_of(2000, 37, rho_norm="layer", column_chunk=16)
    assert after < 4


def test_number_of_eigenpairs():
    spe = settled(SPE(**SMALL))
    wide = batch_of(*GRAPHS, k=15)
    torch.testing.assert_close(spe(wide), spe(batch_of(*GRAPHS, k=10)), **CLOSE)  # further pairs are ignored
    with pytest.raises(ValueError, match=r"num_eigs=10 but the batch holds 8.*AddLaplacianSpectrum\(k=10\)"):
        spe(batch_of(*GRAPHS, k=8))
    assert spe(batch_of(path(3), k=8)).shape == (3, 10)  # all there is


def test_one_graph_that_was_never_batched():
    spe, data = settled(SPE(**SMALL)), AddLaplacianSpectrum(10)(cycle(5))
    torch.testing.assert_close(spe(data), spe(Batch.from_data_list([data])), **CLOSE)


def test_missing_spectrum_is_named():
    with pytest.raises(ValueError, match=r"'eigvals'.*AddLaplacianSpectrum"):
        SPE(**SMALL)(Batch.from_data_list([cycle(5)]))


def test_pair_tensor_stays_in_single_precision_under_autocast():
    spe, batch = SPE(**SMALL).eval(), batch_of(*GRAPHS, k=10)
    pairs = NodePairs(batch.edge_index, batch.ptr)
    expected = pair_tensor(*spe.spectrum(batch), pairs)
    with torch.autocast("cpu", torch.bfloat16):
        w = pair_tensor(*spe.spectrum(batch), pairs)
    assert w.dtype == torch.float32
    torch.testing.assert_close(w, expected, rtol=0, atol=1e-6)


def test_half_precision_parameters_are_refused():
    with pytest.raises(ValueError, match=r"parameters of torch\.bfloat16 are not allowed"):
        SPE(**SMALL).bfloat16()(batch_of(*GRAPHS, k=10))


@pytest.mark.parametrize("phi", PHIS)
def test_encodings_do_not_depend_on_how_far_the_batch_is_padded(phi):
    spe = settled(SPE(**{**SMALL, "num_eigs": 20, "phi": phi}))
    narrow, wide = AddLaplacianSpectrum(5)(cycle(5)), AddLaplacianSpectrum(30)(cycle(5))
    torch.testing.assert_close(spe(narrow), spe(wide), **CLOSE)


def test_a_batch_may_lack_the_pointer():
    spe, batch = settled(SPE(**SMALL)), batch_of(*GRAPHS, k=10)
    expected = spe(batch)
    del batch.ptr
    torch.testing.assert_close(spe(batch), expected, **CLOSE)


@pytest.mark.parametrize(("rho", "norm"), [("gin", BatchNorm1d), ("mlp", torch.nn.LayerNorm)])
def test_each_rho_has_its_published_norm(rho, norm):
    norms = [module for module in SPE(rho=rho).rho.modules() if isinstance(module, (BatchNorm1d, torch.nn.LayerNorm))]
    assert norms and all(isinstance(module, norm) for module in norms)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_eigs", 0),
        ("pe_width", -1),
        ("phi", "spline"),
        ("phi_channels", 0),
        ("phi_layers", 0),
        ("phi_width", 1.5),
        ("phi_activation", "gelu"),
        ("rho", "ign"),
        ("rho_layers", 0),
        ("rho_width", True),
        ("rho_norm", "instance"),
        ("rho_dropout", 1.0),
        ("column_chunk", 0),
    ],
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        SPE(**{name: value})


def test_bad_combinations_are_named():
    with pytest.raises(ValueError, match="pe_width=None"):
        SPE(num_eigs=None)
    with pytest.raises(ValueError, match="phi_heads=3"):
        SPE(phi="transformer", phi_heads=3)
