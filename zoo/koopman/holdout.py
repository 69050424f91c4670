"""What validation and test say about a learner: residuals of its eigenpairs, and its one-step error, over all ranks."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.koopman.gram import merge_triangles
from zoo.spectral.accumulators import TSQRAccumulator


class PairFactors(Metric):
    """Triangular factors of the rows sqrt(w) [psi(x), psi(y), ...], in shards: all that a certificate needs.

    Args:
        width: number of columns of a row.
        dtype: torch.float64, or torch.complex128 of complex dictionaries.
        shards: number of parts of the data that are kept apart, for intervals.
    """

    full_state_update = False
    triangles: Tensor

    def __init__(self, width: int, dtype: torch.dtype, shards: int) -> None:
        super().__init__()
        self.width, self.rows_dtype, self.shards = width, dtype, shards
        empty = self._accumulator().statistic
        self.add_state("triangles", torch.view_as_real(empty) if empty.is_complex() else empty, _merge_ranks)
        self.set_dtype(torch.float64)

    def _accumulator(self) -> TSQRAccumulator:
        return TSQRAccumulator(self.width, dtype=self.rows_dtype, shards=self.shards)

    def update(self, *blocks: Tensor, weights: Tensor, shard: int = 0) -> None:
        """Add rows, given as blocks of columns (m, W_1), (m, W_2), ..., with weights (m,), to a shard."""
        accumulator = self._accumulator()
        accumulator.statistic = self._factors().cpu()
        accumulator.update(*(block.cpu() for block in blocks), weights=weights.cpu(), shard=shard)
        statistic = accumulator.statistic.to(self.triangles.device)
        self.triangles = torch.view_as_real(statistic) if statistic.is_complex() else statistic

    def compute(self) -> list[Tensor]:
        """Return the factor (width, width) of each shard that has rows, on the CPU."""
        return [factor[:-1, :-1] for factor in self._factors().cpu() if bool(factor.any())]

    def _factors(self) -> Tensor:
        return torch.view_as_complex(self.triangles.contiguous()) if self.rows_dtype.is_complex else self.triangles


def _merge_ranks(triangles: Tensor) -> Tensor:
    """Return the shards' factors from those of all ranks, (ranks, shards, W + 1, W + 1), or pairs of real numbers."""
    is_complex = triangles.ndim == 5
    stacked = torch.view_as_complex(triangles.contiguous()) if is_complex else triangles
    merged = torch.stack([merge_triangles(list(shard)) for shard in stacked.unbind(1)])
    return torch.view_as_real(merged) if is_complex else merged


class RelativeError(Metric):
    """Root of the weighted mean square of an error, relative to that of the variation of the target around its mean.

    0 is perfect, 1 is as good as the mean; `1 - error^2` is the coefficient of determination.
    """

    full_state_update = False
    moments: Tensor

    def __init__(self, targets: int) -> None:
        super().__init__()
        # Of every target: weight, sum, sum of squares, sum of squared errors.
        self.add_state("moments", torch.zeros(4, targets, dtype=torch.float64), "sum")
        self.set_dtype(torch.float64)

    def update(self, prediction: Tensor, target: Tensor, weights: Tensor) -> None:
        """Add predictions and targets (m, T), with weights (m,)."""
        target, weights = target.double(), weights.double()[:, None]
        terms = (torch.ones_like(target), target, target**2, (prediction.double() - target) ** 2)
        self.moments += torch.stack([(weights * term).sum(0) for term in terms])

    def compute(self) -> Tensor:
        """Return the error."""
        weight, first, second, error = self.moments
        weight = torch.where(weight > 0, weight, 1.0)
        variation = (second - first**2 / weight).clamp(min=0).sum()
        return (error.sum() / torch.where(variation > 0, variation, 1.0)).sqrt()
