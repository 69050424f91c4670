import math

import pytest
import torch

from tests.tolerances import tolerance
from zoo.lsm import NeuralSpectralBlock
from zoo.lsm.patches import patchify, unpatchify
from zoo.lsm.projection import decode_direct, decode_folded, encode_direct, encode_folded, folding_pays
from zoo.lsm.spectral_block import transition

CLOSE = tolerance(torch.float64)
PATCHES = {1: [3], 2: [3, 2], 3: [2, 3, 1]}


def block_of(width=16, **arguments):
    torch.manual_seed(1)
    block = NeuralSpectralBlock(width, **arguments).double()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return block


def maps(width, patch, counts=3, batch=2):
    return torch.randn(batch, width, *(counts * p for p in patch), dtype=torch.float64)


@pytest.mark.parametrize("dim", PATCHES)
def test_patches_are_rectangles_of_the_grid(dim):
    patch = PATCHES[dim]
    x = maps(4, patch)
    patches = patchify(x, patch)
    assert patches.shape == (2 * 3**dim, math.prod(patch), 4)
    torch.testing.assert_close(patches[0], x[(0, slice(None), *(slice(p) for p in patch))].flatten(1).T)
    last = x[(1, slice(None), *(slice(-p, None) for p in patch))]
    torch.testing.assert_close(patches[-1], last.flatten(1).T)
    assert torch.equal(unpatchify(patches, patch, x.shape[2:]), x)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("dim", PATCHES)
def test_a_patch_knows_nothing_of_the_others(dim, folded):
    block, patch = block_of(), PATCHES[dim]
    block.folded = folded
    x = maps(16, patch)
    changed = x.clone()
    place = (0, slice(None), *(slice(p, 2 * p) for p in patch))
    changed[place] += 1
    before, after = block(x, patch), block(changed, patch)
    assert not torch.allclose(before[place], after[place])
    before[place] = after[place] = 0
    assert torch.equal(before, after)


@pytest.mark.parametrize("folded", [False, True])
def test_permuting_points_or_patches_permutes_the_output(folded):
    block = block_of()
    block.folded = folded
    x = maps(16, [4], counts=5, batch=1)
    points = torch.randperm(4)
    shuffled = unpatchify(patchify(x, [4])[:, points], [4], [20])
    expected = patchify(block(x, [4]), [4])[:, points]
    torch.testing.assert_close(patchify(block(shuffled, [4]), [4]), expected, **CLOSE)
    order = torch.randperm(5)
    shuffled = unpatchify(patchify(x, [4])[order], [4], [20])
    torch.testing.assert_close(patchify(block(shuffled, [4]), [4]), patchify(block(x, [4]), [4])[order], **CLOSE)


def test_dead_weights_and_shift_invariance():
    block, x = block_of(), maps(16, [3, 2])
    (block(x, [3, 2]) ** 2).sum().backward()
    assert torch.equal(block.weights.grad[:, 0], torch.zeros(16, dtype=torch.float64))
    keys, values = block.encoder.bias.grad[0::2], block.encoder.bias.grad[1::2]
    assert keys.abs().max() < 1e-12 * values.abs().max()
    before = block(x, [3, 2])
    with torch.no_grad():
        block.encoder.bias[0::2] += torch.randn(16)
    torch.testing.assert_close(block(x, [3, 2]), before, **CLOSE)
    with torch.no_grad():  # the negative control: values are not keys
        block.encoder.bias[1::2] += 0.1
    assert (block(x, [3, 2]) - before).abs().max() > 1e-3


def test_transition():
    torch.manual_seed(0)
    tokens, basis = torch.randn(3, 2, 4, 5, dtype=torch.float64), 6
    weights = torch.zeros(10, 2 * basis, dtype=torch.float64)
    assert torch.equal(transition(tokens, weights), tokens)
    weights[:, basis] = 0.25  # cos 0
    torch.testing.assert_close(transition(tokens, weights), tokens + 0.25, **CLOSE)
    weights = torch.randn_like(weights)
    change = transition(tokens, weights) - tokens
    torch.testing.assert_close(transition(tokens + 2 * basis, weights) - tokens - 2 * basis, change, **CLOSE)
    by_hand = sum(
        weights[7, j] * torch.sin(math.pi * j / basis * tokens[:, 1, :, 2])
        + weights[7, basis + j] * torch.cos(math.pi * j / basis * tokens[:, 1, :, 2])
        for j in range(basis)
    )
    torch.testing.assert_close(change[:, 1, :, 2], by_hand, **CLOSE)


def test_transition_is_lipschitz():
    weights = torch.randn(8, 24, dtype=torch.float64)
    frequencies = math.pi * torch.arange(12) / 12
    bound = 1 + (frequencies * (weights[:, :12] ** 2 + weights[:, 12:] ** 2).sqrt()).sum(1)
    a, b = torch.randn(2, 500, 8, 1, 1, dtype=torch.float64)
    slope = ((transition(a, weights) - transition(b, weights)) / (a - b)).abs().flatten(1)
    assert (slope <= bound).all() and (slope.amax(0) > 0.2 * bound).any()


@pytest.mark.parametrize("folded", [False, True])
def test_tokens_are_means_of_values(folded):
    block = block_of()
    block.folded = folded
    patches = torch.randn(5, 7, 16, dtype=torch.float64)
    values = block.encoder(patches)[..., 1::2].unflatten(-1, (8, 2)).transpose(1, 2)  # (P, h, L, d)
    pooled = block.encode(patches) - block.latent
    assert (pooled <= values.amax(2, keepdim=True) + 1e-12).all()
    assert (pooled >= values.amin(2, keepdim=True) - 1e-12).all()
    constant = patches[:, :1].expand(-1, 7, -1)
    torch.testing.assert_close(block.encode(constant) - block.latent, values[:, :, :1].expand(-1, -1, 4, -1), **CLOSE)


@pytest.mark.parametrize("points", [1, 9, 36])
@pytest.mark.parametrize("width", [16, 128])
def test_folding_changes_nothing(width, points):
    block = block_of(width)
    patches = torch.randn(6, points, width, dtype=torch.float64, requires_grad=True)
    encoder = (block.latent, block.encoder.weight, block.encoder.bias)
    tokens = encode_direct(patches, *encoder)
    torch.testing.assert_close(encode_folded(patches, *encoder), tokens, **CLOSE)
    decoder = (block.decoder.weight, block.decoder.bias)
    direct, folded = decode_direct(patches, tokens, *decoder), decode_folded(patches, tokens, *decoder)
    torch.testing.assert_close(folded, direct, **CLOSE)
    for expected, actual in zip(
        torch.autograd.grad((direct**3).sum(), [patches, *encoder, *decoder], retain_graph=True),
        torch.autograd.grad(
            (decode_folded(patches, encode_folded(patches, *encoder), *decoder) ** 3).sum(),
            [patches, *encoder, *decoder],
            allow_unused=True,
        ),
        strict=True,
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-8 * float(expected.abs().max() + 1))


def test_the_form_follows_the_width():
    assert [NeuralSpectralBlock(c).folded for c in (32, 64)] == [False, True]
    assert not folding_pays(42, 8, 4) and folding_pays(43, 8, 4)


@pytest.mark.parametrize("folded", [False, True])
def test_half_precision_is_kept_out_of_softmax_and_sines(folded):
    block = block_of(64).float()
    block.folded = folded
    x = torch.randn(2, 64, 6, 6)
    expected = block(x, [3, 3])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(block(x, [3, 3]), expected)
    rounded = x.bfloat16()
    reference = block(rounded.float(), [3, 3])
    output = block(rounded, [3, 3])
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), reference, rtol=1e-2, atol=3e-2)


def test_channels_last_memory_is_kept():
    block, x = block_of(), maps(16, [3, 2])
    x_last = x.to(memory_format=torch.channels_last)
    output = block(x_last, [3, 2])
    assert output.is_contiguous(memory_format=torch.channels_last) and block(x, [3, 2]).is_contiguous()
    torch.testing.assert_close(output, block(x, [3, 2]), **CLOSE)


@pytest.mark.parametrize(
    ("name", "value"), [("width", 12), ("width", 0), ("tokens", 0), ("basis", 1.5), ("heads", True)]
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        NeuralSpectralBlock(**{"width": 16, name: value})
