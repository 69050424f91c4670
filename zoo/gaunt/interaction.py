r"""`Interaction`: what each atom gathers from its neighbours, by one of three equivariant convolutions.

    gaunt           sum_r P[f_{w^r . h_j} * f_{h^r . Y(u_ij)}], weights w and h from the length of the edge
    gaunt+bracket   the same, and the Poisson bracket for the paths that the product lacks
    cg              Clebsch-Gordan paths with a weight each, as in MACE

Features are tensors of parity (-1)^l. The bracket of such tensors is a pseudo-tensor, of parity -(-1)^l: with
"gaunt+bracket" atoms have a second set of features for these, which the bracket turns into tensors again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor, nn

from zoo.gaunt.constants import ConstantModule
from zoo.gaunt.convolution import BracketConvolution, GauntConvolution, sum_at
from zoo.gaunt.harmonics import spherical_harmonics
from zoo.gaunt.linear import DegreeLinear
from zoo.gaunt.paths import PathCoupling
from zoo.gaunt.radial import RadialMLP

CONVOLUTIONS = ("gaunt", "gaunt+bracket", "cg")
HIDDEN = [64, 64, 64]
"""Widths of the perceptron of lengths, as published."""


class Edges(NamedTuple):
    """The edges of a batch: source and target (2, E), vectors from source to target (E, 3), radial basis (E, B)."""

    edge_index: Tensor
    vectors: Tensor
    basis: Tensor


class WeightedConvolution(nn.Module):
    """A convolution whose weights are functions of the length, and a linear map of its result.

    Args:
        convolution: with `lmax_in`, `lmax_filter` and `lmax_out` given here.
        lmax_in: degree of the features; with 0 they have no weights, which filters have already.
        lmax_filter: degree of the filters.
        lmax_out: degree of the result.
        channels: number C of channels.
        num_bessel: size of the radial basis.
        rank: number R of terms.
    """

    def __init__(
        self,
        convolution: GauntConvolution | BracketConvolution,
        lmax_in: int,
        lmax_filter: int,
        lmax_out: int,
        channels: int,
        num_bessel: int,
        rank: int,
    ) -> None:
        super().__init__()
        self.convolution, self.channels = convolution, channels
        self.rank = rank if lmax_in else 1
        self.sizes = [lmax_filter + 1, lmax_in + 1 if lmax_in else 0]
        self.weights = RadialMLP([num_bessel, *HIDDEN, self.rank * channels * sum(self.sizes)])
        self.linear = DegreeLinear(channels, channels, lmax_out)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        """Return what each node gathers: (N, C, d(L_in)) -> (N, C, d(L_out))."""
        by_degree = self.weights(edges.basis).reshape(-1, self.rank, self.channels, sum(self.sizes))
        radial, weights = by_degree.split(self.sizes, dim=-1)
        radial = radial * math.sqrt(4 * math.pi / self.rank)
        gathered = self.convolution(
            features, edges.vectors, radial, edges.edge_index, weights=weights if self.sizes[1] else None
        )
        return self.linear(gathered)


class PathConvolution(ConstantModule):
    """A Clebsch-Gordan convolution with a weight for each path, a function of the length; and a linear map.

    Args:
        lmax_in: degree of the features.
        lmax_filter: degree of the filters.
        lmax_out: degree of the result.
        channels: number C of channels.
        num_bessel: size of the radial basis.
    """

    path_scales: Tensor

    def __init__(self, lmax_in: int, lmax_filter: int, lmax_out: int, channels: int, num_bessel: int) -> None:
        super().__init__()
        self.coupling, self.channels = PathCoupling(lmax_in, lmax_filter, lmax_out), channels
        ends = self.coupling.path_out
        counts = ends.bincount()[ends]  # of the paths to each degree
        self.register_constant("path_scales", ((2 * ends + 1).double() / counts).sqrt())
        self.weights = RadialMLP([num_bessel, *HIDDEN, channels * len(self.coupling.paths)])
        self.linear = DegreeLinear(channels, channels, lmax_out)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        """Return what each node gathers: (N, C, d(L_in)) -> (N, C, d(L_out))."""
        harmonics = spherical_harmonics(self.coupling.lmax_filter, edges.vectors, "component")
        weights = self.weights(edges.basis).unflatten(1, (self.channels, -1)) * self.path_scales
        source, target = edges.edge_index
        messages = self.coupling(features[source], harmonics, weights)
        return self.linear(sum_at(target, messages, features.size(0)))


class Interaction(nn.Module):
    """Gather the features of neighbours, divided by the average number of neighbours.

    Args:
        lmax_in: degree of the features.
        lmax_edge: degree of the filters and of the result.
        channels: number C of channels.
        num_bessel: size of the radial basis.
        conv: one of `CONVOLUTIONS`.
        rank: number of terms of the Gaunt convolution.
        pseudo_in: whether the features have pseudo-tensors beside them.
        pseudo_out: whether the result shall have.
    """

    def __init__(
        self,
        lmax_in: int,
        lmax_edge: int,
        channels: int,
        num_bessel: int,
        conv: str,
        rank: int,
        pseudo_in: bool,
        pseudo_out: bool,
    ) -> None:
        super().__init__()
        self.linear = DegreeLinear(channels, channels, lmax_in)
        sizes = (lmax_in, lmax_edge, lmax_edge)

        def product() -> nn.Module:
            if conv == "cg":
                return PathConvolution(*sizes, channels, num_bessel)
            return WeightedConvolution(GauntConvolution(*sizes, normalize=True), *sizes, channels, num_bessel, rank)

        def bracket() -> nn.Module:
            return WeightedConvolution(BracketConvolution(*sizes, normalize=True), *sizes, channels, num_bessel, rank)

        self.natural = product()
        self.pseudo_linear = DegreeLinear(channels, channels, lmax_in) if pseudo_in else None
        self.natural_from_pseudo = bracket() if pseudo_in else None
        self.pseudo = product() if pseudo_in and pseudo_out else None
        self.pseudo_from_natural = bracket() if pseudo_out and lmax_in > 0 else None

    def forward(self, features: Tensor, pseudo: Tensor | None, edges: Edges) -> tuple[Tensor, Tensor | None]:
        """Return what each node gathers: tensors (N, C, d(L_edge)), and pseudo-tensors or None."""
        features = self.linear(features)
        natural, turned = self.natural(features, edges), None
        if self.pseudo_from_natural is not None:
            turned = self.pseudo_from_natural(features, edges)
        if pseudo is not None and self.pseudo_linear is not None and self.natural_from_pseudo is not None:
            pseudo = self.pseudo_linear(pseudo)
            natural = natural + self.natural_from_pseudo(pseudo, edges)
            if self.pseudo is not None:
                kept = self.pseudo(pseudo, edges)
                turned = kept if turned is None else turned + kept
        return natural, turned
