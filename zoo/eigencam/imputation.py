"""Filling removed pixels from their surroundings (Rong et al., ROAD, ICML 2022), for whole batches at once.

A removed pixel is the weighted mean of its neighbours in the image, removed or not, with weights 1/6 of direct and 1/12
of diagonal ones; at the border the weights of the missing neighbours are left out:

    (D - W) x = 0 at removed pixels,    D = W 1,    x given at the others

On the removed pixels this is a symmetric positive definite system, the nine-point Laplacian. It is solved by
conjugate gradients with one multigrid V-cycle as preconditioner, which takes about as many iterations for large holes
as for small ones. There are no convolutions: those would be rounded under TF32 and autocast.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from zoo.checks import require

ITERATIONS = 12
"""Of conjugate gradients. They leave about 1e-5 of the image's contrast, as single precision does."""

COARSEST = 3
"""Side of a grid that is not coarsened any further."""


def neighbour_sum(values: Tensor) -> Tensor:
    """Return W x of images (..., H, W): 1/6 of direct plus 1/12 of diagonal neighbours, 0 outside of the image."""
    # (1, 2, 1) along both axes is 12 W and 4 times the pixel itself.
    padded = pad(values, (1, 1, 1, 1))
    rows = (padded[..., :-2] + padded[..., 2:]).add_(padded[..., 1:-1], alpha=2)
    both = (rows[..., :-2, :] + rows[..., 2:, :]).add_(rows[..., 1:-1, :], alpha=2)
    return both.sub_(values, alpha=4).div_(12)


def _restrict_width(values: Tensor) -> Tensor:
    half = values.shape[-1] // 2
    padded = pad(values, (1, 1, 0, 0), mode="replicate")
    outer = padded[..., : 2 * half : 2] + padded[..., 3::2]
    inner = padded[..., 1 : 2 * half + 1 : 2] + padded[..., 2 : 2 * half + 2 : 2]
    return (outer + 3 * inner) / 4


def _prolong_width(values: Tensor) -> Tensor:
    padded = pad(values, (1, 1, 0, 0), mode="replicate")
    middle = 3 * padded[..., 1:-1]
    return torch.stack((middle + padded[..., :-2], middle + padded[..., 2:]), dim=-1).flatten(-2) / 4


def restrict(values: Tensor) -> Tensor:
    """Return sums on the grid of half the resolution: the transpose of `prolong`. (B, C, 2h, 2w) to (B, C, h, w)."""
    return _restrict_width(_restrict_width(values).mT).mT


def prolong(values: Tensor) -> Tensor:
    """Interpolate linearly to the grid of twice the resolution: (B, C, h, w) to (B, C, 2h, 2w)."""
    return _prolong_width(_prolong_width(values).mT).mT


@dataclass(frozen=True)
class Grid:
    """One level of the multigrid hierarchy.

    Attributes:
        removed: 1 where a pixel is unknown, 0 where it is given, (B, 1, h, w).
        degree: D at the unknown pixels, 0 elsewhere, (B, 1, h, w).
        inverse: 1 / D at the unknown pixels, 0 elsewhere, (B, 1, h, w): an undamped Jacobi step, which leaves at most a
            third of what a coarser grid cannot represent.
    """

    removed: Tensor
    degree: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, removed: Tensor) -> Grid:
        """Make the grid of an image whose removed pixels are known."""
        degree = neighbour_sum(torch.ones_like(removed))
        return cls(removed, removed * degree, removed / degree)

    def apply(self, values: Tensor) -> Tensor:
        """Return (D - W) x at the removed pixels, for x that is 0 elsewhere."""
        return torch.addcmul(self.degree * values, self.removed, neighbour_sum(values), value=-1)


def _grids(removed: Tensor) -> list[Grid]:
    grids = []
    while True:
        grids.append(Grid.of(removed))
        height, width = removed.shape[2:]
        if min(height, width) <= COARSEST:
            return grids
        # A coarse pixel is unknown if all its pixels inside the image are.
        removed = 1 - max_pool2d(1 - _pad_to_even(removed, value=1.0), 2)


def _pad_to_even(values: Tensor, value: float = 0.0) -> Tensor:
    height, width = values.shape[2:]
    return pad(values, (0, width % 2, 0, height % 2), value=value)


def _cycle(grids: list[Grid], target: Tensor) -> Tensor:
    """Return an approximate solution by one V-cycle; symmetric and positive definite for targets at removed pixels."""
    grid, *coarser = grids
    values = grid.inverse * target
    if coarser:
        height, width = target.shape[2:]
        residual = coarser[0].removed * restrict(_pad_to_even(target - grid.apply(values)))
        correction = prolong(_cycle(coarser, residual))[..., :height, :width]
        values = torch.addcmul(values, grid.removed, correction)
    return torch.addcmul(values, grid.inverse, target - grid.apply(values))


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator > 0, numerator / denominator, 0.0)


def impute(images: Tensor, removed: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """Fill removed pixels with the weighted means of their neighbours.

    Args:
        images: (B, C, H, W) float32 or float64.
        removed: which pixels are to be filled, (B, H, W) bool, not all of an image.
        iterations: of conjugate gradients; their number is fixed, so that nothing is read back from the device.

    Returns:
        (B, C, H, W), equal to the images where nothing was removed.

    Raises:
        ValueError: shapes do not fit.
    """
    expected = (len(images), *images.shape[2:])
    require(removed.shape == expected, "removed", tuple(removed.shape), f"a tensor of shape {expected}")
    known = torch.where(removed[:, None], 0.0, images)
    grids = _grids(removed[:, None].to(images.dtype))
    finest = grids[0]
    values = torch.zeros_like(images)
    residual = finest.removed * neighbour_sum(known)  # the right-hand side, values being 0
    direction = preconditioned = _cycle(grids, residual)
    power = (residual * preconditioned).sum((2, 3), keepdim=True)
    for _ in range(iterations):
        applied = finest.apply(direction)
        length = _ratio(power, (direction * applied).sum((2, 3), keepdim=True))
        values = torch.addcmul(values, length, direction)
        residual = torch.addcmul(residual, length, applied, value=-1)
        preconditioned = _cycle(grids, residual)
        previous, power = power, (residual * preconditioned).sum((2, 3), keepdim=True)
        direction = torch.addcmul(preconditioned, _ratio(power, previous), direction)
    return known + values
