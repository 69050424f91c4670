"""The convolutions of the U-Net, for one, two and three axes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, cat, nn
from torch.nn.functional import interpolate, max_pool1d, max_pool2d, max_pool3d, pad

from zoo.checks import require, require_choice

Norm = Literal["batch", "instance", "group", "none"]

NORMS = ("batch", "instance", "group", "none")
GROUPS = 8

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORMS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
POOLS = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}
INTERPOLATIONS = {1: "linear", 2: "bilinear", 3: "trilinear"}


def make_norm(norm: Norm, dim: int, channels: int) -> nn.Module:
    """Return a normalisation of feature maps (B, C, *grid).

    Args:
        norm: "batch" as published; "instance", which the authors' later code uses for time-dependent problems; "group",
            of 8 groups; or "none".
        dim: number of axes of the grid.
        channels: C.

    Raises:
        ValueError: there is no such normalisation.
    """
    require_choice("norm", norm, NORMS)
    if norm == "batch":
        return BATCH_NORMS[dim](channels)
    if norm == "instance":
        return INSTANCE_NORMS[dim](channels, affine=True)
    if norm == "none":
        return nn.Identity()
    require(channels % GROUPS == 0, "norm", norm, f"another one, or channels in multiples of {GROUPS}")
    return nn.GroupNorm(GROUPS, channels)


class DoubleConvolution(nn.Sequential):
    """Twice: convolution of three points along each axis, normalisation, ReLU.

    Args:
        dim: number of axes.
        in_channels: channels of the input.
        middle_channels: channels in between.
        out_channels: channels of the output.
        norm: see `make_norm`.
    """

    def __init__(self, dim: int, in_channels: int, middle_channels: int, out_channels: int, norm: Norm) -> None:
        layers: list[nn.Module] = []
        for channels_in, channels_out in ((in_channels, middle_channels), (middle_channels, out_channels)):
            layers += [
                CONVOLUTIONS[dim](channels_in, channels_out, kernel_size=3, padding=1, bias=False),
                make_norm(norm, dim, channels_out),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


def halve(x: Tensor) -> Tensor:
    """Return the maxima over cells of two points along each axis of (B, C, *grid); an odd last point is dropped."""
    return POOLS[x.dim() - 2](x, 2)


def join(skip: Tensor, x: Tensor) -> Tensor:
    """Double the size of x (B, C, *grid) by interpolation between the corners, fit it to `skip`, and append it there.

    Args:
        skip: (B, C', *other grid), at most one point longer than twice the grid along each axis.
        x: (B, C, *grid).

    Returns:
        (B, C' + C, *other grid), the channels of `skip` first; x is centred and padded with zeros.
    """
    x = interpolate(x, scale_factor=2, mode=INTERPOLATIONS[x.dim() - 2], align_corners=True)
    missing = [large - small for large, small in zip(skip.shape[2:], x.shape[2:], strict=True)]
    if any(missing):
        x = pad(x, [amount for points in reversed(missing) for amount in (points // 2, points - points // 2)])
    return cat([skip, x], dim=1)
