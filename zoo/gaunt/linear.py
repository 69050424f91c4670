"""Equivariant linear maps: channels are mixed within each degree, alike for all m."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DegreeLinear(nn.Module):
    """One matrix for each degree, or for each degree and kind of node; no bias.

    Args:
        channels_in: number of channels of the features.
        channels_out: number of channels of the result.
        lmax: degree of the features.
        num_elements: number of kinds of nodes with matrices of their own; None for the same matrices everywhere.

    Attributes:
        weight: (L + 1, channels_in, channels_out), or (num_elements, L + 1, ..), normal at first with variance
            1 / channels_in.
    """

    def __init__(self, channels_in: int, channels_out: int, lmax: int, num_elements: int | None = None) -> None:
        super().__init__()
        self.lmax = lmax
        kinds = () if num_elements is None else (num_elements,)
        self.weight = nn.Parameter(torch.randn(*kinds, lmax + 1, channels_in, channels_out) * channels_in**-0.5)

    def forward(self, features: Tensor, elements: Tensor | None = None) -> Tensor:
        """Return the mixed features.

        Args:
            features: (N, channels_in, d(L)).
            elements: kind of each node (N,), where matrices depend on it.

        Returns:
            (N, channels_out, d(L)).
        """
        weight = self.weight if elements is None else self.weight[elements]
        blocks = [
            weight[..., degree, :, :].mT @ features[..., degree**2 : (degree + 1) ** 2]
            for degree in range(self.lmax + 1)
        ]
        return torch.cat(blocks, dim=-1)
