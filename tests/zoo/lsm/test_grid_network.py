import pytest
import torch
from torch import nn

import zoo.lsm.network  # noqa: F401 - registers the networks
from tests.tolerances import tolerance
from zoo.lsm import LSM
from zoo.lsm.batch_statistics import batch_statistics
from zoo.lsm.folding import fold_batch_norms
from zoo.lsm.grid_network import unit_grid
from zoo.lsm.patches import choose_layout
from zoo.registry import _networks

CLOSE = tolerance(torch.float64)
GRIDS = {1: (50,), 2: (20, 33), 3: (17, 18, 5)}


def network_of(dim=2, **arguments):
    torch.manual_seed(0)
    return LSM(**{"in_channels": 2, "out_channels": 3, "dim": dim, "width": 8, **arguments}).double()


def fields(dim=2, batch=2):
    return torch.randn(batch, *GRIDS[dim], 2, dtype=torch.float64)


def settled(network, x):
    """Return the network in evaluation with running statistics that are not their initial ones."""
    for _ in range(3):
        network.train()(x + 0.3)
    return network.eval()


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("dim", GRIDS)
def test_every_grid_and_norm_trains(dim, norm):
    network, x = network_of(dim, norm=norm), fields(dim)
    output = network(x)
    assert output.shape == (*x.shape[:-1], 3)
    output.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    assert all(parameter.grad.any() for parameter in network.parameters() if parameter.dim() > 1)


def test_the_networks_are_registered():
    assert _networks["lsm"] is LSM and "lsm-points" in _networks


@pytest.mark.parametrize(
    ("grid", "patch", "padding", "expected"),
    [
        ((85, 85), "auto", "auto", ([6, 6], [11, 11])),
        ((221, 51), "auto", "auto", ([14, 4], [3, 13])),
        ((129,), "auto", "auto", ([9], [15])),
        ((64, 64), "auto", "auto", ([4, 4], [0, 0])),
        ((101, 31, 20), "auto", "auto", ([7, 2, 2], [11, 1, 12])),
        ((421, 421), "auto", "auto", ([27, 27], [11, 11])),
        ((421, 421), [9, 9], [11, 11], ([9, 9], [11, 11])),
        ((85, 85), [3, 3], "auto", ([3, 3], [11, 11])),
        ((50,), [2], "auto", ([2], [14])),
        ((35,), [1], [0], ([1], [0])),
        ((30,), "auto", [2], ([2], [2])),
    ],
)
def test_layouts(grid, patch, padding, expected):
    assert choose_layout(grid, patch, padding) == expected


@pytest.mark.parametrize(
    ("grid", "patch", "padding", "message"),
    [
        ((85, 64), [6, 4], [10, 0], r"axis 0.*85 points, padded 95.*6 points.*multiple of 96, as 96"),
        ((64, 100), "auto", [0, 0], r"axis 1.*multiple of 16, as 96 or 112"),
        ((8,), [1], [0], "multiple of 16, as 16"),
        ((64, 64), [4], "auto", r"patch=\[4\].*2 numbers"),
    ],
)
def test_layouts_that_do_not_work_are_refused(grid, patch, padding, message):
    with pytest.raises(ValueError, match=message):
        choose_layout(grid, patch, padding)


def test_padding_is_in_the_order_of_the_axes():
    network, x = network_of(padding=[12, 15]), fields()
    assert network(x).shape == (2, 20, 33, 3)
    with pytest.raises(ValueError, match="axis 0"):
        network(x.transpose(1, 2))


def test_padding_is_zeros_at_the_end():
    network = network_of(positions=False).eval()
    seen = []
    network.unet.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(fields())
    assert seen[0].shape == (2, 8, 32, 48)
    assert not seen[0][:, :, 20:].any() and not seen[0][:, :, :, 33:].any() and seen[0][:, :, :20, :33].all()


def test_positions_include_the_ends():
    grid = unit_grid((3, 5))
    assert grid[0, 0].tolist() == [0, 0] and grid[2, 4].tolist() == [1, 1] and grid[1, 1].tolist() == [0.5, 0.25]
    assert network_of(positions=False).lift.in_features == network_of().lift.in_features - 2


def test_one_network_runs_on_several_grids():
    network = settled(network_of(), fields())
    assert network(torch.randn(1, 64, 16, 2, dtype=torch.float64)).shape == (1, 64, 16, 3)


def test_without_blocks_it_is_the_unet_alone():
    whole, bare = network_of(), network_of(spectral=False)
    assert set(whole.state_dict()) - set(bare.state_dict()) == {name for name in whole.state_dict() if "blocks" in name}
    with torch.no_grad():
        for block in whole.unet.blocks:  # tokens that are zero bring nothing back to the points
            block.encoder.weight.zero_(), block.encoder.bias.zero_(), block.latent.zero_(), block.weights.zero_()
    bare.load_state_dict({name: value for name, value in whole.state_dict().items() if "blocks" not in name})
    x = fields()
    torch.testing.assert_close(whole(x), bare(x), **CLOSE)


@pytest.mark.parametrize("dim", [1, 2])
def test_recomputing_activations_changes_nothing(dim):
    x, results = fields(dim), []
    for recompute in (False, True):
        network = network_of(dim, recompute=recompute)
        network(x).square().sum().backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        results.append([*gradients, *network.state_dict().values()])
    for expected, actual in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, **CLOSE)


def test_folding_batch_norms_changes_nothing():
    x = fields()
    network = settled(network_of(), x)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(x), network(x), **CLOSE)
    torch.testing.assert_close(folded.float()(x.float()), network.float()(x.float()), **tolerance(torch.float32))
    network.double()
    assert all(
        torch.equal(network.state_dict()[name].to(value), value.float().to(value)) for name, value in before.items()
    )


def test_batch_statistics():
    x = fields()
    network = settled(network_of(), x)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    running = network(x)
    with batch_statistics(network):
        of_batch = network(x)
    assert not torch.allclose(of_batch, running, rtol=1e-3)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())
    assert torch.equal(network(x), running)
    torch.testing.assert_close(network.train()(x), of_batch, **CLOSE)


def test_channels_last_memory_changes_nothing():
    x = fields()
    network = settled(network_of(width=16), x)
    expected = network(x)
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(x), expected, **CLOSE)


def test_compiles_without_graph_breaks():
    x, network = fields().float(), network_of(recompute=False).float().eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), network(x), **tolerance(torch.float32))


def test_exports():
    x, network = fields(), network_of().eval()
    torch.testing.assert_close(torch.export.export(network, (x,)).module()(x), network(x), **CLOSE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", 0),
        ("out_channels", -1),
        ("dim", 4),
        ("width", 12),
        ("patch", [3]),
        ("patch", [3, 0]),
        ("padding", [1, -1]),
        ("padding", "same"),
        ("tokens", 0),
        ("basis", 0),
        ("heads", 0),
        ("norm", "layer"),
    ],
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        network_of(**{name: value})


def test_bad_inputs_are_refused():
    with pytest.raises(ValueError, match=r"x of shape \(2, 20, 33, 1\) is not allowed; give \(B, n1, n2, 2\)"):
        network_of()(torch.zeros(2, 20, 33, 1))
    with pytest.raises(ValueError, match="norm='instance' cannot be trained"):
        network_of(norm="instance")(torch.zeros(2, 16, 9, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="norm='batch' cannot be trained with batches of 1"):
        network_of()(torch.zeros(1, 16, 16, 2, dtype=torch.float64))
