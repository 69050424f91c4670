"""Normalisation of fields with statistics of the training data, which a datamodule gives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class FieldNormalizer(nn.Module):
    """encode(x) = (x - mean) / (std + 1e-5), decode(x) = x (std + 1e-5) + mean.

    Mean and deviation are those of each channel (C,), or of each point and channel (*grid, C); at first 0 and 1, when
    both maps are the identity.

    Args:
        shape: of mean and deviation; () for a single number.

    Attributes:
        mean: a buffer, subtracted.
        scale: a buffer, std + 1e-5.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int] = ()) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(tuple(shape)))
        self.register_buffer("scale", torch.ones(tuple(shape)))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take over the statistics of the training data, of the same shape; the device and dtype stay."""
        self.mean = torch.as_tensor(mean).to(self.mean)
        self.scale = torch.as_tensor(std).to(self.scale) + EPSILON

    def encode(self, x: Tensor) -> Tensor:
        """Return the normalised fields (B, *grid, C).

        Raises:
            ValueError: the statistics are those of the points of another grid.
        """
        self._require_grid(x)
        return (x - self.mean) / self.scale

    def decode(self, x: Tensor) -> Tensor:
        """Return the fields (B, *grid, C) in the user's units.

        Raises:
            ValueError: the statistics are those of the points of another grid.
        """
        self._require_grid(x)
        return x * self.scale + self.mean

    def _require_grid(self, x: Tensor) -> None:
        grid = tuple(self.mean.shape[:-1])
        given = tuple(x.shape[1:-1])
        if grid and grid != given:
            raise ValueError(
                f"fields on the grid {given} are not allowed: the model normalises each point of the grid {grid} that "
                'it was trained on; give that, or train with normalization="channel"'
            )
