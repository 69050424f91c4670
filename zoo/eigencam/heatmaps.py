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


def heatmap(maps: Tensor, size: tuple[int, ...], rectify: bool) -> Tensor:
    """Return heatmaps of a layer's raw maps: rectified if asked for, scaled to [0, 1], resized, scaled again.

    Resizing is linear with half-pixel centres and without antialiasing, as OpenCV's and `align_corners=False`.

    Args:
        maps: raw maps (B, h, w), or (B, d, h, w) of volumes.
        size: of the image, (H, W) or (D, H, W).
        rectify: set negative values to zero first, for maps whose sign means something.

    Returns:
        (B, *size), in [0, 1].
    """
    scaled = min_max(maps.clamp(min=0) if rectify else maps)
    kind = "bilinear" if len(size) == 2 else "trilinear"
    return min_max(interpolate(scaled.unsqueeze(1), size=size, mode=kind, align_corners=False).squeeze(1))


def fuse(heatmaps: list[Tensor], weights: list[Tensor], fusion: Fusion = "mean") -> Tensor:
    """Return one heatmap of those of several layers.

    Args:
        heatmaps: one (B, H, W) of each layer, in [0, 1].
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
