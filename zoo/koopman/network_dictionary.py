"""Dictionaries whose functions a network learns, of states in any unit."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from zoo.koopman.dictionaries import ModuleDictionary


class Standardization(nn.Module):
    """Coordinates less their mean, in units of their standard deviation; of one state alone they stay what they are.

    Args:
        dim: number of coordinates of a state.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(dim, dtype=torch.float64))

    def adapt(self, x: Tensor) -> None:
        """Take mean and deviation from states (M, d); a coordinate that does not vary keeps its unit."""
        deviation = x.std(0, correction=0)
        self.mean.copy_(x.mean(0))
        self.deviation.copy_(deviation.where(deviation > 0, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return standardised states (M, d)."""
        return (x - self.mean.to(x.dtype)) / self.deviation.to(x.dtype)


class NetworkDictionary(ModuleDictionary):
    """1, the state, and the outputs of a network of the standardised state.

    Args:
        network: maps (M, dim) to (M, outputs).
        dim: number of coordinates of a state.
        outputs: number of the network's outputs.
    """

    def __init__(self, network: nn.Module, dim: int, outputs: int) -> None:
        super().__init__(nn.Sequential(Standardization(dim), network), dim, outputs)

    @property
    def standardization(self) -> Standardization:
        """What the states go through first."""
        return cast(nn.Sequential, self.module)[0]  # type: ignore[return-value]

    def adapt(self, x: Tensor) -> None:
        """Take the mean and the deviation of states (M, d)."""
        self.standardization.adapt(x)
