"""Maps as the metrics take them: checked, scaled exactly to [0, 1], resized."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from zoo.checks import require


def check_maps(maps: Tensor) -> None:
    """Raise a ValueError unless maps are (B, h, w), floating-point and finite."""
    require(maps.ndim == 3 and 0 not in maps.shape[1:], "maps", tuple(maps.shape), "a tensor of shape (B, h, w)")
    require(maps.is_floating_point(), "maps.dtype", maps.dtype, "a floating-point tensor")
    require(bool(torch.isfinite(maps).all()), "maps", "NaN or infinity", "finite numbers")


def check_unit_maps(maps: Tensor) -> None:
    """Raise a ValueError unless maps pass `check_maps` and lie in [0, 1], but for rounding."""
    check_maps(maps)
    inside = bool(((maps >= -1e-5) & (maps <= 1 + 1e-5)).all())
    require(inside, "maps", f"outside [0, 1] somewhere, shape {tuple(maps.shape)}", "heatmaps scaled to [0, 1]")


def check_masks(masks: Tensor, maps: Tensor) -> None:
    """Raise a ValueError unless masks are (B, H, W), one of each map, with 0 background, 1 object and 255 ignored."""
    fits = masks.ndim == 3 and len(masks) == len(maps) and 0 not in masks.shape[1:]
    require(fits, "masks", tuple(masks.shape), f"a tensor of shape ({len(maps)}, H, W)")
    known = bool(((masks == 0) | (masks == 1) | (masks == 255)).all())
    require(known, "masks", "other values", "0 for background, 1 for object, 255 for ignored")


def unit_maps(maps: Tensor) -> Tensor:
    """Shift and scale every map exactly to [0, 1], in float64; a constant map becomes 0: (B, h, w)."""
    shifted = maps.double() - maps.double().amin((1, 2), keepdim=True)
    span = shifted.amax((1, 2), keepdim=True)
    return shifted / torch.where(span > 0, span, 1.0)


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (B, h, w) to (B, *size) bilinearly, half-pixel centres, no antialiasing: the aspect may change."""
    if maps.shape[1:] == size:
        return maps
    return interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
