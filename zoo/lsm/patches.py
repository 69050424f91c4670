"""Cut feature maps into patches, and choose patches and padding that fit all levels of the U-Net.

The feature map is halved four times, and the patch has the same number of points on all five levels. With the automatic
choice, sizes are padded up to multiples of 16 and the patch is a sixteenth: the levels have 16, 8, 4, 2 and 1 patches
along each axis, so that the tokens of the deepest level see the whole domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

from torch import Tensor

LEVELS = 5
REDUCTION = 2 ** (LEVELS - 1)  # of the size from the first level to the last

Sizes = Literal["auto"] | Sequence[int]


def patchify(x: Tensor, patch: Sequence[int]) -> Tensor:
    """Cut a feature map into patches.

    Args:
        x: (B, C, *grid).
        patch: points p of a patch along each axis, each a divisor of the size of the grid.

    Returns:
        (P, L, C): the patches of the first map in row-major order, then those of the next; L = prod(p) points each in
        row-major order.
    """
    dim = len(patch)
    split = [size for points, p in zip(x.shape[2:], patch, strict=True) for size in (points // p, p)]
    counts, within = range(2, 2 + 2 * dim, 2), range(3, 3 + 2 * dim, 2)
    patches = x.reshape(*x.shape[:2], *split).permute(0, *counts, *within, 1)
    return patches.reshape(-1, prod(patch), x.size(1))


def unpatchify(patches: Tensor, patch: Sequence[int], grid: Sequence[int]) -> Tensor:
    """Put patches (P, L, C), as `patchify` cuts them, together to a feature map (B, C, *grid)."""
    dim, channels = len(patch), patches.size(-1)
    counts = [points // p for points, p in zip(grid, patch, strict=True)]
    interleaved = [axis for pair in zip(range(1, 1 + dim), range(1 + dim, 1 + 2 * dim), strict=True) for axis in pair]
    x = patches.reshape(-1, *counts, *patch, channels).permute(0, *interleaved, 1 + 2 * dim)
    return x.reshape(-1, *grid, channels).movedim(-1, 1)


def choose_layout(grid: Sequence[int], patch: Sizes = "auto", padding: Sizes = "auto") -> tuple[list[int], list[int]]:
    """Choose the patch and the padding of a grid.

    Args:
        grid: number of points along each axis.
        patch: points of a patch along each axis; "auto" for a sixteenth of the padded size.
        padding: points that are appended to each axis, in the order of the axes; "auto" for the fewest that will do.

    Returns:
        The patch, and the padding, of each axis.

    Raises:
        ValueError: there is another number of axes; or the padded size of an axis does not work, and the message says
            which sizes would.
    """
    axes = len(grid)
    for name, given in (("patch", patch), ("padding", padding)):
        if given != "auto" and len(given) != axes:
            raise ValueError(f"{name}={list(given)!r} is not allowed; give {axes} numbers, one for each axis of {grid}")
    patches, pads = [], []
    for axis, points in enumerate(grid):
        p = None if patch == "auto" else int(patch[axis])
        unit = REDUCTION * (p or 1)
        pad = -points % unit if padding == "auto" else int(padding[axis])
        _require_divisible(axis, points, pad, p)
        patches.append(p or (points + pad) // REDUCTION)
        pads.append(pad)
    return patches, pads


def _require_divisible(axis: int, points: int, pad: int, patch: int | None) -> None:
    padded = points + pad
    if patch is None:
        fits, unit = padded >= REDUCTION and padded % REDUCTION == 0, REDUCTION
    else:
        levels = [padded >> level for level in range(LEVELS)]
        fits, unit = levels[-1] >= patch and all(size % patch == 0 for size in levels), REDUCTION * patch
    if not fits:
        below, above = padded // unit * unit, -(-padded // unit) * unit
        close = " or ".join(str(size) for size in dict.fromkeys((below, above)) if size > 0)
        chosen = "a sixteenth of it" if patch is None else f"{patch} points"
        raise ValueError(
            f"axis {axis} of the grid has {points} points, padded {padded}, which does not work with a patch of "
            f"{chosen} on {LEVELS} levels; give a padded size that is a multiple of {unit}, as {close}, or "
            'padding="auto"'
        )
