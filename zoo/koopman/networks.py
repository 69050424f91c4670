"""Networks whose outputs are the functions of a dictionary.

`zoo.koopman.dictionaries.ModuleDictionary` puts 1 and the state before them. They compute in the precision of the
states, whatever that of their weights: trained in float32, the same functions are judged in float64, where residuals
are not blurred by rounding.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.checks import require_choice, require_positive
from zoo.registry import register

Layers = Literal["residual", "plain"]


class Linear(nn.Linear):
    """`torch.nn.Linear` in the precision of its input."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the images of rows (..., in_features), (..., out_features)."""
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return linear(input, self.weight.to(input.dtype), bias)


@register("koopman-tanh")
class TanhNetwork(nn.Module):
    """Tanh perceptron (M, dim) -> (M, outputs): a linear map without bias, `depth` hidden layers, a linear map.

    Args:
        dim: number of coordinates d of a state.
        outputs: number of functions.
        width: of the hidden layers.
        depth: number of hidden layers.
        layers: "residual", h + tanh(W h + b), as in EDMD-DL (Li, Dietrich, Bollt and Kevrekidis, 2017); or "plain",
            tanh(W h + b), as in ResKoopNet (Xu et al., 2025, arXiv 2501.00701).

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, dim: int, outputs: int = 22, width: int = 100, depth: int = 3, layers: Layers = "residual"
    ) -> None:
        super().__init__()
        require_positive(dim=dim, outputs=outputs, width=width, depth=depth)
        require_choice("layers", layers, get_args(Layers))
        self.dim, self.outputs, self.layers = dim, outputs, layers
        self.first = Linear(dim, width, bias=False)
        self.hidden = nn.ModuleList(Linear(width, width) for _ in range(depth))
        self.last = Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the functions at states (M, dim), (M, outputs)."""
        h = self.first(x)
        for layer in self.hidden:
            image = layer(h).tanh()
            h = h + image if self.layers == "residual" else image
        return self.last(h)
