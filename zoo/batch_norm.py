"""Batch normalisation whose training statistics are those of the global batch, on any backend and dtype."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


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

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each column of (R, C)."""
        return _global_batch_norm(self, input) if self.training and _several_ranks() else super().forward(input)


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` over images (B, C, H, W) that sums its training statistics over all ranks.

    See `BatchNorm1d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel of (B, C, H, W)."""
        return _global_batch_norm(self, input) if self.training and _several_ranks() else super().forward(input)


class BatchNorm3d(nn.BatchNorm3d):
    """`torch.nn.BatchNorm3d` over volumes (B, C, D, H, W) that sums its training statistics over all ranks.

    See `BatchNorm1d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel of (B, C, D, H, W)."""
        return _global_batch_norm(self, input) if self.training and _several_ranks() else super().forward(input)


REPLACEMENTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm2d,
    nn.BatchNorm3d: BatchNorm3d,
}


def synchronize(network: nn.Module) -> nn.Module:
    """Let the batch norms of a network use the statistics of the global batch; in place, parameters are untouched.

    Exactly `torch.nn.BatchNorm1d`, `BatchNorm2d` and `BatchNorm3d` are changed, not classes derived from them. On one
    process nothing about the network changes.

    Returns:
        The network.
    """
    for module in network.modules():
        if type(module) in REPLACEMENTS:
            module.__class__ = REPLACEMENTS[type(module)]
    return network


def _global_batch_norm(norm: _BatchNorm, input: Tensor) -> Tensor:
    values = input if input.dtype == torch.float64 else input.float()  # statistics of half precision in float32
    others = [dimension for dimension in range(values.dim()) if dimension != 1]
    shape = [-1 if dimension == 1 else 1 for dimension in range(values.dim())]
    count = values.new_tensor([values.numel() / values.size(1)])
    distributed.all_reduce(count)
    mean = _SumOverRanks.apply(values.sum(others)) / count
    centred = values - mean.reshape(shape)
    variance = _SumOverRanks.apply(centred.square().sum(others)) / count
    if norm.track_running_stats:
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            share = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum  # type: ignore[union-attr]
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)  # type: ignore[union-attr]
            unbiased = variance * count / (count - 1)
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)  # type: ignore[union-attr]
    output = centred * (variance + norm.eps).rsqrt().reshape(shape)
    if norm.affine:
        output = output * norm.weight.reshape(shape) + norm.bias.reshape(shape)
    return output.to(input.dtype)
