"""`GauntSelfMix`: features multiplied with themselves, as a residual layer for any equivariant network.

    x <- x + Linear P[ f_{Linear x} * f_{Linear x} ]

The paper puts it after the feed-forward block of each layer of EquiformerV2 (Luo, Chen, Krishnapriyan, ICLR 2024,
section 4.2). Its code was not released; the placement of the linear maps is ours.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.checks import require_positive
from zoo.gaunt.harmonics import require_degree
from zoo.gaunt.linear import DegreeLinear
from zoo.gaunt.product import GauntTensorProduct


class GauntSelfMix(nn.Module):
    """Mix the degrees of features, without a change of shape; the identity at first.

    Args:
        lmax: degree of the features.
        channels: number C of channels.
        rank: number of terms with weights of their own of the product.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> import torch
        >>> GauntSelfMix(4, 16)(torch.randn(10, 16, 25)).shape
        torch.Size([10, 16, 25])
    """

    def __init__(self, lmax: int, channels: int, rank: int = 1) -> None:
        super().__init__()
        require_degree(lmax=lmax)
        require_positive(channels=channels)
        self.left, self.right, self.linear = (DegreeLinear(channels, channels, lmax) for _ in range(3))
        self.product = GauntTensorProduct(lmax, lmax, lmax, channels, rank, normalize=True)
        nn.init.zeros_(self.linear.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return the mixed features, (N, C, d(L)) as given."""
        return features + self.linear(self.product(self.left(features), self.right(features)))
