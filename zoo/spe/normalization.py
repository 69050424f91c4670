"""Batch normalisation whose training statistics are those of the global batch, on any backend and dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn


def _several_ranks() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class _SumOverRanks(torch.autograd.Function):
    """All-reduce with its gradient: every rank's loss depends on the sum, hence gradients are summed over ranks too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the sum of x over all ranks."""
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the sum of the gradients over all ranks."""
        return _SumOverRanks.apply(gradient.contiguous())


class BatchNorm1d(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over rows (R, C) that sums its training statistics over all ranks.

    On one process it is `torch.nn.BatchNorm1d`; with more, forward, gradients and running statistics equal those of one
    process that holds all rows. Ranks may hold different numbers of rows. `torch.nn.SyncBatchNorm` refuses CPUs.

    Mean and variance take two passes: sum(x), then sum((x - mean)^2). One pass with sum(x^2) would cancel.
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each column of (R, C)."""
        if not (self.training and _several_ranks()):
            return super().forward(input)
        rows = input if input.dtype == torch.float64 else input.float()  # statistics of half precision rows in float32
        count = rows.new_tensor([rows.size(0)])
        distributed.all_reduce(count)
        mean = _SumOverRanks.apply(rows.sum(0)) / count
        centred = rows - mean
        variance = _SumOverRanks.apply(centred.square().sum(0)) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var.dtype), self.momentum)
        return (centred * (variance + self.eps).rsqrt() * self.weight + self.bias).to(input.dtype)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm1d,
    "layer": nn.LayerNorm,
    "none": lambda width: nn.Identity(),
}


def make_norm(name: str, width: int) -> nn.Module:
    """Return the norm of a name in `NORMS` for rows of the given width."""
    return NORMS[name](width)
