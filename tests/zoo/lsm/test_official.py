"""Every network equals the published layout, whose state dict is loaded by its names."""

import pytest
import torch

from tests.reference.lsm_published import Block, PublishedIPHI, PublishedLSM, PublishedPointLSM, complex_double
from tests.tolerances import tolerance
from zoo.lsm import LSM, NeuralSpectralBlock
from zoo.lsm.official import block_state_dict, from_official, grid_state_dict

CLOSE = tolerance(torch.float64)


def enlarged(network):
    """Make attention sharp and tokens large, so that no error hides behind small numbers."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "process" in name:
                parameter.mul_(3)
    return network


@pytest.mark.parametrize(
    ("dim", "size", "patch", "padding", "channels"),
    [
        (1, (45,), [3], [3], (1, 1)),
        (2, (41, 20), [3, 2], [12, 7], (1, 1)),
        (2, (32, 16), [2, 1], None, (10, 1)),
        (2, (35, 34), [1, 1], [1, 2], (2, 3)),
        (3, (29, 15, 12), [2, 1, 1], [4, 1, 3], (1, 4)),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_grids(dim, size, patch, padding, channels, training):
    published = enlarged(PublishedLSM(dim, *channels, 8, patch, padding=padding)).double()
    x = torch.randn(2, *size, channels[0], dtype=torch.float64)
    published.train()(x)  # running statistics of their own
    network = from_official(published.state_dict(), patch=patch, padding=padding).train(training)
    published.train(training)
    expected = published(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(network(x), expected, **CLOSE)
    for name, value in grid_state_dict(published.state_dict()).items():
        torch.testing.assert_close(network.state_dict()[name], value, **CLOSE)


@pytest.mark.parametrize("width", [16, 64])
def test_one_block(width):
    published = Block(2, width, 7, [3, 2], 5).double()
    block = NeuralSpectralBlock(width, tokens=5, basis=7).double()
    block.load_state_dict(block_state_dict(published.state_dict()))
    x = 5 * torch.randn(2, width, 9, 6, dtype=torch.float64)
    torch.testing.assert_close(block(x, [3, 2]), published(x), **CLOSE)


def test_gradients():
    published = enlarged(PublishedLSM(2, 1, 1, 16, [2, 1], padding=[0, 3])).double()
    network = from_official(published.state_dict(), patch=[2, 1], padding=[0, 3]).train()
    assert not network.unet.blocks[0].folded and network.unet.blocks[-1].folded
    x = torch.randn(3, 29, 16, 1, dtype=torch.float64)
    ours, theirs = {}, {}
    for model, gradients in ((network, ours), (published, theirs)):
        (model(x) ** 2).sum().backward()
        gradients |= {name: parameter.grad for name, parameter in model.named_parameters()}
    translated = grid_state_dict(theirs)
    assert translated.keys() == ours.keys()
    scale = max(gradient.abs().max() for gradient in ours.values())
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, translated[name], rtol=1e-9, atol=1e-12 * float(scale), msg=name)


@pytest.mark.parametrize("with_code", [True, False])
def test_points(with_code):
    published = complex_double(enlarged(PublishedPointLSM(2, 1, 8, modes=5, size=32)))
    iphi = PublishedIPHI().double()
    with torch.no_grad():  # modes of their own size, lest the positions drown them
        published.fftproject_in.weights1.mul_(20), published.fftproject_in.weights2.mul_(20)
    x, queries = torch.rand(2, 30, 2, dtype=torch.float64), torch.rand(2, 11, 2, dtype=torch.float64)
    code = torch.rand(2, 42, dtype=torch.float64) if with_code else None
    published.train()(x, code, iphi)
    network = from_official(published.state_dict(), iphi.state_dict(), patch=[2, 2], with_code=with_code)
    published.eval()
    torch.testing.assert_close(network(x, code), published(x, code, iphi), **CLOSE)
    expected = published(x, code, iphi, x_out=queries)
    torch.testing.assert_close(network(x, code, queries=queries), expected, **CLOSE)
    network.hermitian = "exact"
    assert not torch.allclose(network(x, code, queries=queries), expected, rtol=1e-3)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_seed_gives_the_published_initial_weights(dim):
    torch.manual_seed(3)
    published = PublishedLSM(dim, 1, 2, 8, [1] * dim)
    torch.manual_seed(3)
    network = LSM(1, 2, dim=dim, width=8)
    expected = grid_state_dict(published.state_dict())
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({"in_channels": 1, "out_channels": 1, "width": 32}, 4_812_801),
        ({"in_channels": 2, "out_channels": 1, "width": 32}, 4_812_833),
        ({"in_channels": 1, "out_channels": 1, "width": 64}, 19_187_457),
        ({"in_channels": 10, "out_channels": 1, "width": 64}, 19_188_033),
        ({"in_channels": 2, "out_channels": 1, "width": 48}, 10_804_913),
        ({"in_channels": 1, "out_channels": 4, "width": 32, "dim": 3}, 13_457_828),
    ],
)
def test_published_numbers_of_parameters(arguments, count):
    with torch.device("meta"):
        network = LSM(**arguments)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_foreign_state_dicts_are_refused():
    state = PublishedLSM(2, 1, 1, 8, [1, 1]).state_dict()
    with pytest.raises(ValueError, match=r"'process6\.latent', which is no name"):
        from_official({**state, "process6.latent": state["process5.latent"]})
    with pytest.raises(ValueError, match=r"no 'fc2\.weight'"):
        from_official({name: value for name, value in state.items() if name != "fc2.weight"})
    assert isinstance(from_official(state), LSM)
