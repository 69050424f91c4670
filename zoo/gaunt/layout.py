"""Features (..., C, d(L)) of this package, and flat features (..., C d(L)) of e3nn, degree by degree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.gaunt.harmonics import dim

if TYPE_CHECKING:
    from e3nn import o3


def natural_irreps(lmax: int, channels: int, pseudo: bool = False) -> o3.Irreps:
    """Return C copies of each degree up to L, of parity (-1)^l, or of the opposite parity if pseudo."""
    from e3nn import o3

    sign = -1 if pseudo else 1
    return o3.Irreps([(channels, (degree, sign * (-1) ** degree)) for degree in range(lmax + 1)])


def to_flat(features: Tensor) -> Tensor:
    """Return features (..., C, d(L)) as e3nn lays out `natural_irreps`: (..., C d(L))."""
    lmax = _lmax(features.size(-1))
    blocks = [features[..., degree**2 : (degree + 1) ** 2].flatten(-2) for degree in range(lmax + 1)]
    return torch.cat(blocks, dim=-1)


def from_flat(features: Tensor, channels: int) -> Tensor:
    """Return features that e3nn lays out as `natural_irreps` (..., C d(L)): (..., C, d(L)).

    Raises:
        ValueError: the last dimension is not C d(L) for any L.
    """
    width, remainder = divmod(features.size(-1), channels)
    if remainder:
        raise ValueError(f"features of width {features.size(-1)} are not {channels} channels of equal width")
    lmax = _lmax(width)
    blocks = features.split([channels * (2 * degree + 1) for degree in range(lmax + 1)], dim=-1)
    return torch.cat([block.unflatten(-1, (channels, -1)) for block in blocks], dim=-1)


def _lmax(width: int) -> int:
    lmax = round(width**0.5) - 1
    if width < 1 or dim(lmax) != width:
        raise ValueError(f"{width} coefficients are those of no degree; give (L + 1)^2 of them")
    return lmax
