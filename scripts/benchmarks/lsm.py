"""LSM: training steps of block, network and transforms of points, against the layout of the published code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.reference.lsm_published import Block, PublishedLSM, SpectralConv
from trainers.benchmark import Case, Variant
from zoo.lsm import LSM, NeuralSpectralBlock
from zoo.lsm.fourier import SpectralProjection
from zoo.lsm.official import block_state_dict, grid_state_dict

BATCH = 2


def variant(name: str, forward: Callable[..., Tensor], *inputs: Tensor) -> Variant:
    """Return forward and backward pass to all inputs; what must be equal is the output."""

    def step() -> None:
        leaves = [entry.detach().requires_grad_() for entry in inputs]
        forward(*leaves).square().sum().backward()

    @torch.no_grad()
    def output() -> Tensor:
        return forward(*inputs)

    return Variant(name, step, output)


def block(level: int, width: int = 64, size: int = 96) -> Case:
    """Return the block of a level of the Darcy network, 1 to 5, with patches of a sixteenth of the first level."""
    channels, points, patch = width * min(8, 2 ** (level - 1)), size >> (level - 1), [size // 16] * 2
    published = Block(2, channels, 12, patch, 4)
    ours = NeuralSpectralBlock(channels)
    ours.load_state_dict(block_state_dict(published.state_dict()))
    x = torch.randn(BATCH, channels, points, points)
    return Case(
        f"block of level {level}, {channels} channels, {points} x {points}",
        variant("ours", lambda x: ours(x, patch), x),
        [variant("published layout", published, x)],
    )


def network(width: int = 64, size: int = 85) -> Case:
    """Return the network of the Darcy protocol, in training."""
    padding = -size % 16
    published = PublishedLSM(2, 1, 1, width, [(size + padding) // 16] * 2, padding=[padding] * 2)
    ours = LSM(in_channels=1, out_channels=1, width=width)
    ours.load_state_dict(grid_state_dict(published.state_dict()))
    x = torch.randn(BATCH, size, size, 1)
    return Case(
        f"network, {width} channels, {size} x {size}, batch {BATCH}",
        variant("ours", ours, x),
        [variant("published layout", published, x)],
    )


def transforms(points: int = 972, batch: int = 20, width: int = 32, modes: int = 12, size: int = 96) -> Case:
    """Return the way of the Elasticity network from points to the latent grid and back to the points."""
    published = [SpectralConv(width, modes, size) for _ in range(2)]
    ours = [SpectralProjection(width, modes) for _ in range(2)]
    for mine, theirs in zip(ours, published, strict=True):
        mine.weights.data = torch.view_as_real(torch.cat([theirs.weights1, theirs.weights2], dim=2).detach())
    u, xi = torch.randn(batch, width, points), torch.rand(batch, points, 2)
    return Case(
        f"{points} points to {modes} x {modes} modes, grid and back, batch {batch}",
        variant("ours", lambda u, xi: ours[1].to_points(ours[0].to_grid(u, xi, size), xi, "official"), u, xi),
        [variant("published layout", lambda u, xi: published[1](published[0](u, x_in=xi), x_out=xi), u, xi)],
    )


def cases() -> list[Case]:
    """Return the workloads."""
    torch.manual_seed(0)
    return [*(block(level) for level in (1, 3, 5)), network(), transforms()]
