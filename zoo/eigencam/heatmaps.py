"""From the raw maps of layers to one heatmap of the image's size, in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from zoo.checks import require, require_choice

Fusion = Literal["mean", "max", "energy"]
FUSIONS = ("mean", "max", "energy")

GUARD = 1e-7
"""Added to the range of a map before dividing by it, as `grad-cam` does: a constant map becomes 0."""

FACTORS = (0.9, 1.0, 1.1)
"""Brightness factors of the augmented views."""


def min_max(maps: Tensor) -> Tensor:
    """Shift and scale every map to [0, 1]: (B, *spatial)."""
    flat = maps.flatten(1)
    flat = flat - flat.amin(1, keepdim=True)
    return (flat / (GUARD + flat.amax(1, keepdim=True))).reshape(maps.shape)


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return the Pearson correlation of each map with another, (B,); 0 with a constant one."""
    first, second = (maps.flatten(1) - maps.flatten(1).mean(1, keepdim=True) for maps in (first, second))
    norms = torch.linalg.vector_norm(first, dim=1) * torch.linalg.vector_norm(second, dim=1)
    return (first * second).sum(1) / torch.where(norms > 0, norms, 1.0)


def heatmap(maps: Tensor, size: tuple[int, ...], rectify: bool, extent: tuple[float, ...] | None = None) -> Tensor:
    """Return heatmaps of a layer's raw maps: rectified if asked for, scaled to [0, 1] and resized; `fuse` comes next.

    Resizing is linear with half-pixel centres and without antialiasing, as OpenCV's and `align_corners=False`.

    Args:
        maps: raw maps (B, h, w), or (B, d, h, w) of volumes.
        size: of the image, (H, W) or (D, H, W).
        rectify: set negative values to zero first, for maps whose sign means something.
        extent: for each axis the fraction of the map, from its beginning, that shows the image; None for all of it.

    Returns:
        (B, *size), within [0, 1]; the interpolation need not attain the ends.
    """
    scaled = min_max(maps.clamp(min=0) if rectify else maps)
    kind = "bilinear" if len(size) == 2 else "trilinear"
    padded = tuple(round(side / share) for side, share in zip(size, extent or (1.0,) * len(size), strict=True))
    resized = interpolate(scaled.unsqueeze(1), size=padded, mode=kind, align_corners=False).squeeze(1)
    return resized[(slice(None), *(slice(side) for side in size))]


def fuse(heatmaps: list[Tensor], weights: list[Tensor], fusion: Fusion = "mean") -> Tensor:
    """Return one heatmap of those of the layers, scaled to [0, 1].

    Args:
        heatmaps: one (B, H, W) of each layer, within [0, 1].
        weights: one (B,) of each layer, >= 0: the share of its activations that its map explains; only "energy" reads
            them.
        fusion: "mean", "max", or "energy" for the mean weighted by `weights`.

    Returns:
        (B, H, W), in [0, 1].

    Raises:
        ValueError: there are no heatmaps, or `fusion` is not allowed.
    """
    require(len(heatmaps) > 0, "heatmaps", heatmaps, "at least one")
    require_choice("fusion", fusion, FUSIONS)
    stack = torch.stack(heatmaps, dim=1)
    if fusion == "max":
        return min_max(stack.amax(1))
    share = torch.stack(weights, dim=1) if fusion == "energy" else torch.ones_like(stack[:, :, 0, 0])
    share = share / share.sum(1, keepdim=True).clamp(min=GUARD)
    return min_max((stack * share[..., None, None].to(stack)).sum(1))


def aug_smooth(explain: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the mean of the heatmaps of six views of each image: as it is and mirrored, at three brightnesses.

    Args:
        explain: images (B, 3, H, W) to heatmaps (B, H, W).
        images: (B, 3, H, W).

    Returns:
        (B, H, W), in [0, 1].
    """
    return torch.stack(list(_explained_views(explain, images))).mean(0)


def _explained_views(explain: Callable[[Tensor], Tensor], images: Tensor) -> Iterable[Tensor]:
    for factor in FACTORS:
        yield explain(images * factor)
        yield explain(images.flip(-1) * factor).flip(-1)
