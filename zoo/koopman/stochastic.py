"""Koopman operators of stochastic systems: K is an expectation, and variance is what a residual must not hide.

Colbrook, Li, Raut and Townsend, 2023, "Beyond expectations". From two independent successors y1, y2 of every x:

    A = Psi_X* W (Psi_Y1 + Psi_Y2) / 2
    L = (Psi_Y1* W Psi_Y1 + Psi_Y2* W Psi_Y2) / 2      -> E <psi(F(x)), psi(F(x))>
    H = (Psi_Y1* W Psi_Y2 + Psi_Y2* W Psi_Y1) / 2      -> <K psi, K psi>

The quadratic form of `zoo.koopman.residuals` with H in the place of L gives ||(K - lambda) g||^2, with L the "variance
residual" ||(K - lambda) g||^2 + integral of Var g(F(x)). Their difference is that integral.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.checks import require
from zoo.koopman.factors import Factors, factorize
from zoo.koopman.gram import assemble, double, root_weights, triangle_of_rows


@dataclass(frozen=True)
class StochasticStatistics:
    """Sums over snapshots with two successors each, (N, N) each; sums of parts of the data add up.

    Attributes:
        gram: G.
        cross: A.
        shifted: L.
        product: H, Hermitian, but positive semi-definite only in the limit.
    """

    gram: Tensor
    cross: Tensor
    shifted: Tensor
    product: Tensor

    def __add__(self, other: StochasticStatistics) -> StochasticStatistics:
        """Return the statistics of both parts of the data, each weighted as it was."""
        return StochasticStatistics(
            self.gram + other.gram,
            self.cross + other.cross,
            self.shifted + other.shifted,
            self.product + other.product,
        )

    @property
    def variance_matrix(self) -> Tensor:
        """[[G, A], [A*, L]], (2N, 2N): `zoo.koopman.factors.factorize_gram` of it gives variance pseudospectra."""
        return assemble(self.gram, self.cross, self.shifted)

    @property
    def expectation_matrix(self) -> Tensor:
        """[[G, A], [A*, H]], (2N, 2N): pseudospectra of the expectation operator; `Factors.clamped` tells the noise."""
        return assemble(self.gram, self.cross, self.product)


def stochastic_statistics(
    psi_x: Tensor, psi_y1: Tensor, psi_y2: Tensor, weights: Tensor | None = None
) -> StochasticStatistics:
    """Return the statistics of a dictionary on snapshots with two successors, (M, N) each.

    Raises:
        ValueError: shapes differ or entries are not finite.
    """
    psi_x, psi_y1, psi_y2 = double("psi_x", psi_x), double("psi_y1", psi_y1), double("psi_y2", psi_y2)
    for name, psi in (("psi_y1", psi_y1), ("psi_y2", psi_y2)):
        require(psi.shape == psi_x.shape, name, tuple(psi.shape), f"the shape of psi_x, {tuple(psi_x.shape)}")
    root = root_weights(psi_x, weights)
    x, first, second = root * psi_x, root * psi_y1, root * psi_y2
    product = first.mH @ second
    return StochasticStatistics(
        gram=x.mH @ x,
        cross=x.mH @ (first + second) / 2,
        shifted=(first.mH @ first + second.mH @ second) / 2,
        product=(product + product.mH) / 2,
    )


def stochastic_factors(psi_x: Tensor, psi_y1: Tensor, psi_y2: Tensor, weights: Tensor | None = None) -> Factors:
    """Return the orthonormal form with the variance leak, without squaring.

    [x, y1] and [x, y2] with half the weight each are snapshots of one system: their A and L are those of the
    stochastic system, and tau becomes the variance pseudospectrum.
    """
    psi_x, psi_y1, psi_y2 = double("psi_x", psi_x), double("psi_y1", psi_y1), double("psi_y2", psi_y2)
    root = root_weights(psi_x, weights) * 0.5**0.5
    rows = [root * torch.cat([psi_x, psi], dim=1) for psi in (psi_y1, psi_y2)]
    return factorize(triangle_of_rows(torch.cat(rows)))


@dataclass(frozen=True)
class StochasticResiduals:
    """Residuals of k pairs of a stochastic system, (k,) float64 each.

    Attributes:
        residual: of the expectation operator, from H, clamped at zero.
        squares: its square before clamping: below zero where sampling noise is larger than it.
        variance_residual: from L; its square exceeds that of the residual by the variance.
        variance: integral of Var g(F(x)) over ||g||^2, the difference of the squares.
        noise: standard error of `squares` by the jackknife over shards; NaN where no shards were given.
    """

    residual: Tensor
    squares: Tensor
    variance_residual: Tensor
    variance: Tensor
    noise: Tensor


def stochastic_residuals(
    statistics: StochasticStatistics | list[StochasticStatistics], eigenvalues: Tensor, coefficients: Tensor
) -> StochasticResiduals:
    """Return both residuals of pairs of a stochastic system.

    Args:
        statistics: of all data, or of its shards, which gives the noise level too.
        eigenvalues: (k,).
        coefficients: (N, k).
    """
    shards = statistics if isinstance(statistics, list) else [statistics]
    total = shards[0]
    for shard in shards[1:]:
        total = total + shard
    eigenvalues, coefficients = eigenvalues.to(torch.complex128), coefficients.to(torch.complex128)

    def ratio(part: StochasticStatistics, shifted: Tensor) -> Tensor:
        gram, cross, moved = (m.to(torch.complex128) for m in (part.gram, part.cross, shifted))
        forms = [(coefficients.conj() * (m @ coefficients)).sum(dim=0) for m in (gram, cross, moved)]
        norm = forms[0].real
        return (forms[2].real - 2 * (eigenvalues.conj() * forms[1]).real + eigenvalues.abs() ** 2 * norm) / norm

    squares = ratio(total, total.product)
    with_variance = ratio(total, total.shifted).clamp(min=0)
    noise = torch.full_like(squares, torch.nan)
    if len(shards) > 1:
        left_out = []
        for shard in shards:
            rest = StochasticStatistics(
                total.gram - shard.gram,
                total.cross - shard.cross,
                total.shifted - shard.shifted,
                total.product - shard.product,
            )
            left_out.append(ratio(rest, rest.product))
        spread = torch.stack(left_out)
        noise = ((len(shards) - 1) / len(shards) * ((spread - spread.mean(dim=0)) ** 2).sum(dim=0)).sqrt()
    return StochasticResiduals(
        squares.clamp(min=0).sqrt(), squares, with_variance.sqrt(), with_variance - squares, noise
    )
