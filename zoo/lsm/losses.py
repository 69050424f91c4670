"""The relative L2 error, which is loss and metric of all benchmarks, and that of the gradients of fields."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchmetrics import Metric


def relative_l2(prediction: Tensor, target: Tensor) -> Tensor:
    """Return ||prediction - target|| / ||target|| of each sample, over all of its points and channels: (B,).

    Infinite where a target is zero everywhere. The published loss is the sum over a batch, with learning rates for
    batches of 20; the reported numbers are means over the test samples.
    """
    difference = (prediction - target).flatten(1)
    return torch.linalg.vector_norm(difference, dim=1) / torch.linalg.vector_norm(target.flatten(1), dim=1)


def relative_gradient_l2(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the sum over axes of the relative L2 errors of the derivatives, (B,).

    Derivatives are central differences of the fields (B, *grid, C), which are continued by zeros at the boundary as in
    Wu et al., Transolver (ICML 2024, arXiv 2402.02366); the spacing cancels.
    """
    return torch.stack(
        [relative_l2(_difference(prediction, axis), _difference(target, axis)) for axis in range(1, target.dim() - 1)]
    ).sum(0)


def _difference(field: Tensor, axis: int) -> Tensor:
    padded = pad(field, [0, 0] * (field.dim() - 1 - axis) + [1, 1])
    return padded.narrow(axis, 2, field.size(axis)) - padded.narrow(axis, 0, field.size(axis))


class RelativeL2(Metric):
    """Mean over samples of the relative L2 error, in float64, exact over any number of processes."""

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add the samples of a batch (B, ...)."""
        self.total += relative_l2(prediction, target).double().sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.total / self.count
