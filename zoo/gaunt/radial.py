r"""Functions of the length of an edge: a Bessel basis, an envelope that ends smoothly at the cutoff, a perceptron.

    b_n(r) = sqrt(2 / r_c) sin(n pi r / r_c) / r,      n = 1 .. N
    u(r)   = 1 - (p + 1)(p + 2)/2 x^p + p (p + 2) x^(p + 1) - p (p + 1)/2 x^(p + 2),   x = r / r_c < 1,  else 0

u and its first two derivatives vanish at r_c.

Source: Gasteiger, Gross, Guennemann, "Directional message passing for molecular graphs", ICLR 2020, section 5.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.gaunt.constants import ConstantModule

SILU_SECOND_MOMENT = 0.35576
"""E[silu(x)^2] of a standard normal x."""


def polynomial_cutoff(lengths: Tensor, r_max: float, power: int) -> Tensor:
    """Return the envelope u of lengths (...)."""
    x = lengths / r_max
    p = power
    polynomial = x**p * ((p + 1) * (p + 2) / 2 - p * (p + 2) * x + p * (p + 1) / 2 * x.square())
    return torch.where(x < 1, 1 - polynomial, 0.0)


class RadialBasis(ConstantModule):
    """Bessel functions times the envelope.

    Args:
        r_max: cutoff radius.
        num_bessel: number N of functions.
        cutoff_power: p of the envelope.
    """

    frequencies: Tensor

    def __init__(self, r_max: float, num_bessel: int, cutoff_power: int) -> None:
        super().__init__()
        self.r_max, self.cutoff_power = r_max, cutoff_power
        numbers = torch.arange(1, num_bessel + 1, dtype=torch.float64)
        self.register_constant("frequencies", numbers * (math.pi / r_max))

    def forward(self, lengths: Tensor) -> Tensor:
        """Return the basis (E, N) at lengths (E,)."""
        lengths = lengths[:, None]
        bessel = math.sqrt(2 / self.r_max) * torch.sin(self.frequencies * lengths) / lengths
        return bessel * polynomial_cutoff(lengths, self.r_max, self.cutoff_power)


class RadialMLP(nn.Module):
    """Layers without biases, so that a vanishing basis gives vanishing weights; outputs of unit variance at first.

    Args:
        widths: of the input, the hidden layers and the output.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        layers = [nn.Linear(before, after, bias=False) for before, after in pairwise(widths)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        self.layers = nn.ModuleList(layers)

    def forward(self, basis: Tensor) -> Tensor:
        """Return (E, output) of a basis (E, input)."""
        *hidden, last = self.layers
        for layer in hidden:
            basis = nn.functional.silu(layer(basis)) * SILU_SECOND_MOMENT**-0.5
        return last(basis)
