"""Means over the global batch, with gradients: what makes a loss the same function on any number of processes.

A loss that is no sum over samples, as one of a Gram matrix, is not the mean of the losses of shares of a batch. Here
every process computes the loss of the whole batch, from sums over all processes. The gradient of such a sum is summed
over processes in turn, so that each holds its share of the global gradient times the number of processes, and the mean
that distributed training takes over processes is the global gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

from zoo.koopman.gram import root_weights


def several_ranks() -> bool:
    """Return whether there are other processes."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the sum over processes."""
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the sum of the gradients over processes: the loss of each depends on all."""
        return _Sum.apply(gradient)


def sum_over_ranks(x: Tensor) -> Tensor:
    """Return the sum of a real or complex tensor over all processes, differentiable any number of times."""
    if not several_ranks():
        return x
    # Not all backends know complex numbers.
    return torch.view_as_complex(_Sum.apply(torch.view_as_real(x))) if x.is_complex() else _Sum.apply(x)


def largest_over_ranks(x: Tensor) -> Tensor:
    """Return the largest of one number of each process; its gradient goes to whoever has it, in equal parts."""
    if not several_ranks():
        return x
    largest = x.detach().clone()
    distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
    holds = (x.detach() == largest).to(x.dtype)
    return sum_over_ranks(holds * x) / sum_over_ranks(holds)


def gathered(x: Tensor) -> list[Tensor]:
    """Return the tensors of one shape of all processes, without gradients."""
    if not several_ranks():
        return [x]
    real = (torch.view_as_real(x) if x.is_complex() else x).contiguous()
    parts = [torch.empty_like(real) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, real)
    return [torch.view_as_complex(part) if x.is_complex() else part for part in parts]


def shares(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Return the weights of the rows (M, N) of this process in a mean over the global batch: (M, 1) float64.

    Args:
        rows: of this process, at least one.
        weights: (M,) >= 0; None weights all rows of all processes equally.

    Raises:
        ValueError: the number of weights is wrong, or one is negative or not finite.
    """
    if weights is None:
        weights = torch.ones(len(rows), dtype=torch.float64, device=rows.device)
    given = root_weights(rows, weights.detach()) ** 2
    return given / sum_over_ranks(given.sum())
