"""The perceptron that all parts of the SPE networks are made of."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from zoo.spe.normalization import make_norm


class MLP(nn.Sequential):
    """Linear -> norm -> ReLU -> dropout, repeated, then Linear -> dropout: (R, in_features) -> (R, out_features).

    Args:
        in_features: width of the input.
        width: width of the hidden layers.
        out_features: width of the output.
        layers: number of linear maps, >= 1.
        norm: "batch", "layer" or "none".
        dropout: probability in [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        out_features: int,
        layers: int = 3,
        norm: str = "batch",
        dropout: float = 0.0,
    ) -> None:
        widths = [in_features, *[width] * (layers - 1), out_features]
        modules: list[nn.Module] = []
        for source, target in pairwise(widths[:-1]):
            modules += [nn.Linear(source, target), make_norm(norm, target), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        super().__init__(*modules, nn.Linear(widths[-2], out_features), nn.Dropout(dropout))

    @property
    def first(self) -> nn.Linear:
        """The first linear map."""
        return cast(nn.Linear, self[0])

    @property
    def last(self) -> nn.Linear:
        """The last linear map."""
        return cast(nn.Linear, self[-2])

    def between(self, x: Tensor) -> Tensor:
        """Apply what lies between the first and the last linear map."""
        for module in list(self)[1:-2]:
            x = module(x)
        return x
