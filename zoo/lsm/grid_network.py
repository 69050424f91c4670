"""LSM on grids: the whole network (Wu et al., ICML 2023, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from zoo.checks import require, require_choice, require_positive
from zoo.lsm.convolutions import Norm
from zoo.lsm.patches import REDUCTION, Sizes, choose_layout
from zoo.lsm.unet import UNet
from zoo.registry import register

HIDDEN = 128  # channels between the last two layers


@register("lsm")
class LSM(nn.Module):
    """Latent spectral model: from fields on a regular grid, or a mesh with its order, to fields on the same grid.

    Positions in [0, 1] are appended to the input, a linear map lifts it to `width` channels, the U-Net with spectral
    blocks runs on the zero-padded grid, and two linear maps with an exact GELU between give the output. One network
    runs on grids of all sizes; with the automatic layout a patch of another grid has another number of points, which is
    not what it was trained on.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        dim: number of axes, 1, 2 or 3.
        width: channels w of the finest level, a multiple of `heads`.
        patch: see `choose_layout`.
        padding: see `choose_layout`. In the order of the axes: the published code takes its padding in the reverse
            order.
        tokens: latent tokens of each patch.
        basis: number of frequencies of the trigonometric map.
        heads: of the attention.
        norm: "batch", "instance", "group" or "none", see `zoo.lsm.convolutions.make_norm`.
        positions: append the positions of the points to the input.
        spectral: without, the blocks are left out: the U-Net alone, to compare with.
        recompute: less memory for more time: activations are computed again in the backward pass.

    Example:
        >>> import torch
        >>> LSM(in_channels=1, out_channels=1, width=8)(torch.zeros(2, 43, 43, 1)).shape
        torch.Size([2, 43, 43, 1])

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dim: Literal[1, 2, 3] = 2,
        width: int = 32,
        patch: Sizes = "auto",
        padding: Sizes = "auto",
        tokens: int = 4,
        basis: int = 12,
        heads: int = 8,
        norm: Norm = "batch",
        positions: bool = True,
        spectral: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        require_positive(in_channels=in_channels, out_channels=out_channels, width=width, heads=heads)
        require_choice("dim", dim, (1, 2, 3))
        self.patch = _checked_sizes("patch", patch, dim, least=1)
        self.padding = _checked_sizes("padding", padding, dim, least=0)
        self.in_channels, self.dim, self.norm, self.positions = in_channels, dim, norm, positions
        self.unet = UNet(dim, width, tokens, basis, heads, norm, spectral, recompute)
        self.lift = nn.Linear(in_channels + dim * positions, width)
        self.hidden = nn.Linear(width, HIDDEN)
        self.project = nn.Linear(HIDDEN, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output fields (B, *grid, out) of input fields (B, *grid, in).

        Raises:
            ValueError: the input has another number of axes or channels; or the grid does not work with `patch` and
                `padding`, and the message says which sizes would.
        """
        if x.dim() != self.dim + 2 or x.size(-1) != self.in_channels:
            axes = ", ".join(f"n{axis + 1}" for axis in range(self.dim))
            raise ValueError(f"x of shape {tuple(x.shape)} is not allowed; give (B, {axes}, {self.in_channels})")
        grid = x.shape[1:-1]
        patch, padding = choose_layout(grid, self.patch, self.padding)
        self._require_several_points(len(x), [(n + more) // REDUCTION for n, more in zip(grid, padding, strict=True)])
        if self.positions:
            x = torch.cat([x, unit_grid(grid, x.device).to(x.dtype).expand(x.size(0), *grid, self.dim)], dim=-1)
        x = self.lift(x).movedim(-1, 1)
        x = pad(x, [amount for more in reversed(padding) for amount in (0, more)])
        x = self.unet(x, patch)
        for axis, points in enumerate(grid):
            x = x.narrow(2 + axis, 0, points)
        x = x.movedim(1, -1)
        return self.project(gelu(self.hidden(x)))

    def _require_several_points(self, batch: int, deepest: Sequence[int]) -> None:
        # Statistics of a single number are none.
        single = max(deepest) == 1 and (self.norm == "instance" or (self.norm == "batch" and batch == 1))
        if single and self.training:
            raise ValueError(
                f"norm={self.norm!r} cannot be trained with batches of {batch} where the deepest level has a single "
                "point; give more than 16 points along an axis, or norm='group' or 'none'"
            )


def unit_grid(grid: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Return the positions of the points of a grid, the ends included, (*grid, dim) float32 in [0, 1].

    As published they are rounded to float32 in any precision, so that a network sees the same in float32 and float64.
    """
    axes = [torch.linspace(0, 1, points, dtype=torch.float64, device=device).float() for points in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def _checked_sizes(name: str, sizes: Sizes, dim: int, least: int) -> Sizes:
    if sizes == "auto":
        return "auto"
    allowed = f'{dim} integers >= {least}, or "auto"'
    numbers = isinstance(sizes, (list, tuple)) and len(sizes) == dim
    require(numbers and all(type(size) is int and size >= least for size in sizes), name, sizes, allowed)
    return list(sizes)
