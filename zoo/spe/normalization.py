"""Batch normalisation whose training statistics are those of the global batch, on any backend and dtype."""

from __future__ import annotations

import torch
import torch.distributed.nn.functional as collective
from torch import Tensor, distributed, nn


class BatchNorm1d(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over rows (R, C) that sums its training statistics over all ranks.

    On one process it is `torch.nn.BatchNorm1d`; with more, forward, gradients and running statistics equal those of one
    process that holds all rows. Ranks may hold different numbers of rows. Unlike `torch.nn.SyncBatchNorm` it runs on CPU.

    Mean and variance take two passes: sum(x), then sum((x - mean)^2). One pass with sum(x^2) would cancel.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each column of (R, C)."""
        if not (self.training and distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
            return super().forward(input)
        rows = input if input.dtype == torch.float64 else input.float()  # statistics of half precision rows in float32
        count = rows.new_tensor([rows.size(0)])
        distributed.all_reduce(count)
        mean = collective.all_reduce(rows.sum(0)) / count
        centred = rows - mean
        variance = collective.all_reduce(centred.square().sum(0)) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var.dtype), self.momentum)
        return (centred * (variance + self.eps).rsqrt() * self.weight + self.bias).to(input.dtype)


NORMS: dict[str, type[nn.Module]] = {"batch": BatchNorm1d, "layer": nn.LayerNorm, "none": nn.Identity}


def make_norm(name: str, width: int) -> nn.Module:
    """Return the norm called "batch", "layer" or "none" for rows of the given width; `check_norm` names are allowed."""
    return nn.Identity() if name == "none" else NORMS[name](width)
