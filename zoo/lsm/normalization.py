"""Normalisation of fields with statistics of the training data, which a datamodule gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class FieldNormalizer(nn.Module):
    """encode(x) = (x - mean) / (std + 1e-5), decode(x) = x (std + 1e-5) + mean.

    Mean and deviation are numbers, of each channel (C,), or of each point and channel (*grid, C); 0 and 1 at first,
    when both maps are the identity.

    Attributes:
        mean: a buffer, subtracted.
        scale: a buffer, std + 1e-5.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take over the statistics of the training data, of the same shape; the device and dtype stay."""
        self.mean = torch.as_tensor(mean).to(self.mean)
        self.scale = torch.as_tensor(std).to(self.scale) + EPSILON

    def encode(self, x: Tensor) -> Tensor:
        """Return the normalised fields (B, *grid, C)."""
        return (x - self.mean) / self.scale

    def decode(self, x: Tensor) -> Tensor:
        """Return the fields (B, *grid, C) in the user's units."""
        return x * self.scale + self.mean

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: object) -> None:
        # Their shape is that of the training data.
        for name in ("mean", "scale"):
            if (value := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(value, dtype=self.mean.dtype, device=self.mean.device))
        super()._load_from_state_dict(state_dict, prefix, *args)
