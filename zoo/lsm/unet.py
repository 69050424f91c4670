"""The U-Net around the neural spectral blocks: five levels, each with a block of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, is_grad_enabled, nn

from zoo.lsm.checkpointing import recomputed
from zoo.lsm.convolutions import CONVOLUTIONS, DoubleConvolution, Norm, halve, join
from zoo.lsm.spectral_block import NeuralSpectralBlock


class UNet(nn.Module):
    """Convolutions on five levels of w, 2w, 4w, 8w, 8w channels; what a level hands upwards passes its spectral block.

    Args:
        dim: number of axes, 1 to 3.
        width: channels w, a multiple of `heads`.
        tokens: see `NeuralSpectralBlock`.
        basis: see `NeuralSpectralBlock`.
        heads: see `NeuralSpectralBlock`.
        norm: see `zoo.lsm.convolutions.make_norm`.
        spectral: without, the blocks are left out: the U-Net alone.
        recompute: keep only what passes between levels, and compute the rest again in the backward pass.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        dim: int,
        width: int,
        tokens: int = 4,
        basis: int = 12,
        heads: int = 8,
        norm: Norm = "batch",
        spectral: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        w, self.recompute = width, recompute
        levels = [w, 2 * w, 4 * w, 8 * w, 8 * w]
        # Made in the order of the published code, so that a seed gives its initial weights.
        self.enter = DoubleConvolution(dim, w, w, w, norm)
        self.downs = nn.ModuleList(
            DoubleConvolution(dim, above, below, below, norm) for above, below in pairwise(levels)
        )
        self.ups = nn.ModuleList(
            DoubleConvolution(dim, 2 * channels, channels, out, norm)
            for channels, out in ((8 * w, 4 * w), (4 * w, 2 * w), (2 * w, w), (w, w))
        )
        self.leave = CONVOLUTIONS[dim](w, w, kernel_size=1)
        self.blocks = nn.ModuleList(NeuralSpectralBlock(c, tokens, basis, heads) for c in levels if spectral)

    def forward(self, x: Tensor, patch: Sequence[int]) -> Tensor:
        """Return (B, w, *grid) for x (B, w, *grid) and a patch that divides the grid on all levels."""
        features = [self._run(self.enter, x)]
        for down in self.downs:
            features.append(self._run(down, halve(features[-1])))
        if self.blocks:
            features = [self._run(block, feature, patch) for block, feature in zip(self.blocks, features, strict=True)]
        x = features.pop()
        for up in self.ups:
            x = self._run(up, join(features.pop(), x))
        return self.leave(x)

    def _run(self, module: nn.Module, *inputs: Any) -> Tensor:
        return recomputed(module, *inputs) if self.recompute and is_grad_enabled() else module(*inputs)
